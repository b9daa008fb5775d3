"""The record of a lab: what is decided once about it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

from netaddr import IPNetwork


@dataclass(frozen=True, kw_only=True)
class LabRecord:
    """What is decided once about a lab, written before its first object is made.

    Attributes:
        host: name or URI of the host that the lab stands on.
        topology: the topology's whole document; the file it came from may change.
        virt: kvm or qemu.
        images: image name to the volume that this lab's overlays stand on.
        generations: how often each node was made anew.
        ready: node to the generation that was seen ready.
        volumes: names of volumes that are ours, or that we were about to make when we wrote this.
        golden: ID of the golden set that the lab stands on; empty when it stands on base images.
        installed: whether its cloud was brought up to the end.
        nested: how instances run in each compute node, kvm or qemu, as far as the installer saw it.
        cold: whether its nodes boot, though their golden set has memory.
        bare: nodes that were reset to stage bare; they stand on base images.
    """

    team: str
    lab: UUID
    owner: UUID
    host: str
    mgmt: IPNetwork
    topology: dict[str, Any]
    digest: str
    stage: str
    virt: str
    images: dict[str, str] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)
    ready: dict[str, int] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    golden: str = ""
    installed: bool = False
    nested: dict[str, str] = field(default_factory=dict)
    cold: bool = False
    bare: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the record as a JSON document."""
        texts = {"lab": str(self.lab), "owner": str(self.owner), "mgmt": str(self.mgmt)}
        return json.dumps(vars(self) | texts, indent=2)

    @classmethod
    def from_json(cls, document: str) -> Self:
        """Read what `to_json` wrote."""
        values = json.loads(document)
        converted = {
            "lab": UUID(values["lab"]),
            "owner": UUID(values["owner"]),
            "mgmt": IPNetwork(values["mgmt"]),
            "volumes": tuple(values["volumes"]),
            "bare": tuple(values.get("bare", ())),
        }
        return cls(**(values | converted))
