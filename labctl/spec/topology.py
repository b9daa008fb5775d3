"""Topologies: which networks and nodes a lab has, read from a YAML file into frozen, checked models."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

from netaddr import IPNetwork
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from labctl import data
from labctl.errors import InputError
from labctl.sizes import GIB
from labctl.spec import advice, document, problems, rules
from labctl.spec.document import Document, Location, Problem
from labctl.spec.duties import duties
from labctl.spec.openstack import OpenStack
from labctl.spec.part import Part
from labctl.spec.values import (
    Address,
    Count,
    DiskSize,
    DomainName,
    ImageName,
    Line,
    Memory,
    NetworkName,
    NodeName,
    Password,
    RoleName,
    Subnet,
    TopologyName,
)

_INHERITED = ("image", "vcpus", "memory", "disk")
_MODELINE = "# yaml-language-server: $schema="


def _not_required(schema: dict[str, Any]) -> None:
    """Leave the stand-ins for `defaults` out of the schema that editors see."""
    for name in _INHERITED:
        schema["properties"][name].pop("default", None)


def _readable(schema: dict[str, Any]) -> None:
    """Write the sizes as people do."""
    schema["properties"]["memory"]["default"] = "1 GiB"
    schema["properties"]["disk"]["default"] = "10 GiB"


class Disk(Part):
    """An empty data disk; the first is /dev/vdb."""

    size: DiskSize
    """Size, for instance "20 GiB"; a bare number is GiB. It occupies only what is written to it."""


class Nic(Part):
    """A network card; its place in the list gives its name, eth0 first."""

    network: NetworkName
    """The network it is plugged into, one of `networks`."""

    address: Address | None = None
    """Its static address in the network's subnet. Without one, a card on the nat network asks DHCP and any other card
    is left unconfigured."""


class Node(Part):
    """A virtual machine. What it does not say comes from `defaults`."""

    model_config = ConfigDict(json_schema_extra=_not_required)

    description: Line = ""
    """What it is for, shown in virt-manager and by `labctl topology show`."""

    image: ImageName = ""
    """The base image of its system disk, /dev/vda; see `labctl image list`."""

    vcpus: Count = Field(default=0, ge=1, le=64)
    """Virtual processors."""

    memory: Memory = 0
    """Memory, for instance "2 GiB"; a bare number is MiB."""

    disk: DiskSize = 0
    """Size of the system disk; the image's file system grows to it."""

    disks: tuple[Disk, ...] = Field(default=(), max_length=8)
    """Empty data disks, /dev/vdb first."""

    nics: tuple[Nic, ...] = Field(min_length=1, max_length=8)
    """Network cards, eth0 first; exactly one on the nat network."""

    roles: tuple[RoleName, ...] = Field(default=(), max_length=32)
    """What the node does in the OpenStack cloud, for instance [mariadb, rabbitmq]; see docs/reference/roles.md."""


class Defaults(Part):
    """What every node has unless it says otherwise."""

    model_config = ConfigDict(json_schema_extra=_readable)

    image: ImageName = "debian-13"
    """The base image of the nodes' system disks; see `labctl image list`."""

    vcpus: Count = Field(default=1, ge=1, le=64)
    """Virtual processors."""

    memory: Memory = 1024
    """Memory, for instance "1 GiB"; a bare number is MiB."""

    disk: DiskSize = 10 * GIB
    """Size of the system disk, for instance "10 GiB"; a bare number is GiB."""


class Network(Part):
    """A network of the lab."""

    kind: Literal["nat", "isolated"] = "isolated"
    """nat: the host serves DHCP and DNS and labctl reaches the nodes by it; its subnet is leased per team.
    isolated: a bridge on which the host has no address, the same inside every lab."""

    description: Line = ""
    """What it is for, shown in virt-manager and by `labctl topology show`."""

    subnet: Subnet | None = None
    """The subnet of an isolated network; without one, its cards are left unconfigured."""

    names: Literal["short", "full", "none"] = "none"
    """How /etc/hosts of every node names the addresses of this network: short (db-node), full (db-node.example.org)."""


class Topology(Part):
    """The networks and nodes of a lab."""

    name: TopologyName
    """The topology's name. The nodes' MAC addresses derive from it."""

    description: Line = ""
    """One line for `labctl topology list`."""

    domain: DomainName = "example.org"
    """The domain of the nodes' full names."""

    password: Password | None = None
    """The root password of every node, for logging in without a key. Everybody who can read this file knows it."""

    defaults: Defaults = Defaults()
    """What every node has unless it says otherwise."""

    openstack: OpenStack | None = None
    """The cloud of the lab; without one it has the stage bare alone."""

    networks: dict[NetworkName, Network] = Field(min_length=1, max_length=16)
    """The networks by name; exactly one of kind nat."""

    nodes: dict[NodeName, Node] = Field(min_length=1, max_length=64)
    """The nodes by host name, in the order in which status and plans show them."""

    @field_validator("nodes")
    @classmethod
    def _inherit(cls, nodes: dict[str, Node], info: ValidationInfo) -> dict[str, Node]:
        defaults = info.data.get("defaults", Defaults())
        inherited = {name: getattr(defaults, name) for name in _INHERITED}
        return {
            key: node.model_copy(update={k: v for k, v in inherited.items() if k not in node.model_fields_set})
            for key, node in nodes.items()
        }

    @cached_property
    def digest(self) -> str:
        """Hash of all that makes a difference to a lab, hexadecimal; descriptions do not."""
        essence: dict[str, Any] = self.document()
        essence.pop("description", None)
        for part in ("networks", "nodes"):
            items = essence[part].items()
            essence[part] = [[key, {k: v for k, v in item.items() if k != "description"}] for key, item in items]
        return hashlib.sha256(json.dumps(essence, sort_keys=True).encode()).hexdigest()

    @property
    def duties(self) -> dict[str, tuple[str, ...]]:
        """What each node does: its roles, and what one of them does because no node has the role for it."""
        return duties({name: node.roles for name, node in self.nodes.items()})

    @property
    def mgmt(self) -> str:
        """The name of the nat network."""
        return next(name for name, network in self.networks.items() if network.kind == "nat")

    @property
    def subnets(self) -> tuple[IPNetwork, ...]:
        """The subnets that are the same in every lab; no management subnet may overlap them."""
        return tuple(network.subnet for network in self.networks.values() if network.subnet is not None)

    def document(self) -> dict[str, Any]:
        """Return the topology as plain data for JSON, every node complete; `restore` reads it back."""
        return self.model_dump(mode="json", exclude={"defaults"})


class Judge(Protocol):
    """Finds what else is wrong in a topology that is valid by itself."""

    def __call__(self, topology: Topology, *, whole: bool) -> Iterable[Problem]:
        """Yield problems; `whole` is false where parts of the file were not valid and are left out."""


def load(path_or_name: str | Path, *, also: Judge | None = None) -> Topology:
    """Read a shipped topology by its name, or any other by its path.

    Args:
        also: looks at it too.

    Raises:
        InputError: there is none, or it is not valid; the message lists every problem with its line.
    """
    return loads(*source(path_or_name), also=also)


def loads(text: str, source: str, *, also: Judge | None = None) -> Topology:
    """Read a topology from YAML text.

    Args:
        text: the YAML text.
        source: what to call it in messages, a file name for instance.
        also: looks at it too.

    Raises:
        InputError: the text is not valid; the message lists every problem with its line.
    """

    def judge(topology: Topology, *, whole: bool) -> Iterator[Problem]:
        yield from advice.check(topology)
        if also:
            yield from also(topology, whole=whole)

    return _build(document.parse(text, source), judge)


def restore(content: dict[str, Any]) -> Topology:
    """Return the topology that `Topology.document` described.

    It is not asked for more than a plan needs: a lab that an earlier version made can be looked at and destroyed.

    Raises:
        InputError: the content is not valid.
    """
    return _restored(json.dumps(content))


@functools.lru_cache(maxsize=64)
def _restored(content: str) -> Topology:
    """Validate a recorded topology once: a command reads each record several times."""
    return _build(Document("the recorded topology", json.loads(content), {}))


def schema() -> dict[str, Any]:
    """Return the JSON Schema of topology files, for editors."""
    made = Topology.model_json_schema()
    for named in ("networks", "nodes"):  # a name that does not match the pattern is an error in the editor too
        made["properties"][named]["additionalProperties"] = False
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "labctl topology",
        "examples": [
            {
                "name": "pair",
                "networks": {"mgmt": {"kind": "nat"}, "internal": {"subnet": "10.0.0.0/24", "names": "short"}},
                "nodes": {"node-1": {"nics": [{"network": "mgmt"}, {"network": "internal", "address": "10.0.0.3"}]}},
            }
        ],
    } | {key: value for key, value in made.items() if key != "title"}


def shipped() -> list[str]:
    """Return the names of the topologies that come with labctl."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def source(path_or_name: str | Path) -> tuple[str, str]:
    """Return a topology's text, and what to call it in messages.

    Raises:
        InputError: there is no such topology.
    """
    text = str(path_or_name)
    path = Path(path_or_name)
    is_path = isinstance(path_or_name, Path) or "/" in text or path.suffix in {".yaml", ".yml"}
    if not is_path and text in shipped():
        return document.read(_folder() / f"{text}.yaml"), f"{text}.yaml"
    if is_path or path.is_file():
        return document.read(path), text
    raise InputError(
        f'there is no topology "{text}"{problems.closest(text, shipped())}',
        remedy="labctl topology list shows them; a file of your own is given by its path, ./my.yaml for instance.",
    )


def template(name: str) -> str:
    """Return the text of a shipped topology for copying; its schema line points to the schema of this installation."""
    text, _ = source(name)
    first, _, rest = text.partition("\n")
    if not first.startswith(_MODELINE):
        return text
    return f"{_MODELINE}{data.folder('networks') / 'topology.schema.json'}\n{rest}"


def _folder() -> Path:
    return data.folder("networks") / "topologies"


def _build(doc: Document, judge: Judge | None = None) -> Topology:
    """Validate; when something is wrong, drop it and look on, so that one run reports everything."""
    wrong = list(doc.problems)
    dropped: list[Location] = []
    content = doc.data
    topology: Topology | None = None
    while topology is None:
        try:
            topology = Topology.model_validate(content)
        except ValidationError as exc:
            if content is doc.data:  # what comes up later only follows from what was dropped
                wrong += problems.found(exc, _keys_at)
            content = rules.without(content, exc, dropped)
            if content is None:
                break
    if topology is not None:
        found = rules.check(topology, given=doc.data)
        found += judge(topology, whole=not dropped) if judge else ()
        wrong += rules.independent(found, dropped, topology)
    if wrong or topology is None:
        remedy = "labctl topology show gridka prints a valid one with comments; docs/topologies.md describes every key."
        raise problems.refusal(doc, wrong, what="topology", remedy=remedy)
    return topology


def _keys_at(location: Location) -> Iterable[str]:
    """Return the keys that a mapping at this place of a topology file may have."""
    match location:
        case ():
            model: type[BaseModel] = Topology
        case ("defaults",):
            model = Defaults
        case ("openstack",):
            model = OpenStack
        case ("networks", _):
            model = Network
        case ("nodes", _):
            model = Node
        case ("nodes", _, "nics", _):
            model = Nic
        case ("nodes", _, "disks", _):
            model = Disk
        case _:
            return ()
    return model.model_fields
