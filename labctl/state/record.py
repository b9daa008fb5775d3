"""The record of a lab: what is decided once about it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

from netaddr import AddrFormatError, IPNetwork

from labctl.errors import InputError
from labctl.plan.lab import INSTALLED, stage_name
from labctl.state.parsing import parsed

_GOLDEN = re.compile("([0-9a-f]{12})?")
_LABEL = re.compile("([a-z0-9]([a-z0-9-]*[a-z0-9])?)?")
_ROLE = re.compile("([a-z][a-z0-9-]*)?")


class _Text:
    """Describes to pydantic how a subnet is read."""

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(_subnet, core_schema.str_schema())


def _subnet(text: str) -> IPNetwork:
    try:
        return IPNetwork(text)
    except AddrFormatError as exc:
        raise ValueError(str(exc)) from exc


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
        restored: node to the generation that goes on from memory, written before it is restored.
        identified: node to the generation that was made this lab's after it had been restored.
        volumes: names of volumes that are ours, or that we were about to make when we wrote this.
        golden: ID of the golden set that the lab stands on; empty when it stands on base images.
        installed: whether its cloud was brought up to the end.
        nested: how instances run in each compute node, kvm or qemu, as far as the installer saw it.
        cold: whether its nodes boot, though their golden set has memory.
        bare: nodes that were reset to stage bare; they stand on base images.
        restoring: ID of the snapshot that the lab is being taken back to; empty when that is done.
        captured: ID of the golden set that was last captured from the lab; nodes are reset to it while it exists.
        chapter: the last role whose chapter is in the lab as it was made, a bare one otherwise; empty for none.
        reached: the last role up to which the installer has come in a lab whose cloud is not whole.
        standby: whether its nodes are paused until a team takes the lab, and then until `create` has let them go on.
        label: how the names of its objects begin, where a team took it: as it was called before.
        inherits: whether the cloud's passwords and what is known of it are still to be taken from the golden set.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    team: str
    lab: UUID
    owner: UUID
    host: str
    mgmt: Annotated[IPNetwork, _Text()]
    topology: dict[str, Any]
    digest: str
    stage: str
    virt: str
    images: dict[str, str] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)
    ready: dict[str, int] = field(default_factory=dict)
    restored: dict[str, int] = field(default_factory=dict)
    identified: dict[str, int] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    golden: str = ""
    installed: bool = False
    nested: dict[str, str] = field(default_factory=dict)
    cold: bool = False
    bare: tuple[str, ...] = ()
    restoring: str = ""
    captured: str = ""
    chapter: str = ""
    reached: str = ""
    inherits: bool = False
    standby: bool = False
    label: str = ""

    @property
    def waits(self) -> bool:
        """Whether it is a lab of the pool that no team has taken."""
        return self.standby and not self.label

    @property
    def stage_name(self) -> str:
        """What people call its stage: bare, installed, or after:glance."""
        return stage_name(self.stage, self.chapter)

    @property
    def stands(self) -> bool:
        """Whether what its stage promises of a cloud was brought up; a bare lab's promises nothing."""
        return self.installed if self.stage == INSTALLED else not self.chapter or bool(self.reached)

    def to_json(self) -> str:
        """Return the record as a JSON document."""
        texts = {"lab": str(self.lab), "owner": str(self.owner), "mgmt": str(self.mgmt)}
        return json.dumps(vars(self) | texts, indent=2)

    @classmethod
    def from_json(cls, document: str, *, team: str) -> Self:
        """Read what `to_json` wrote, and see that every value is one that labctl could have written.

        Args:
            team: whose lab it must be.

        Raises:
            ValueError: it is something else; the message says what.
        """
        record = parsed(document, cls)
        if record.standby and record.team != team:  # that team took it: its folder was renamed
            record = replace(record, team=team, label=record.label or record.team)
        if wrong := _wrong(record, team):
            raise ValueError("\n".join(wrong))
        return record


def _wrong(record: LabRecord, team: str) -> list[str]:
    """Return which values have the right type but contradict each other."""
    from labctl.spec import topology

    try:
        nodes = set(topology.restore(record.topology).nodes)
    except InputError as exc:
        return [exc.details or exc.brief]
    # destroy deletes what is claimed here, by its name.
    own = re.compile(rf"({re.escape(record.label or team)}-|snapshot-{re.escape(team)}\.)[^/]+")
    named = {*record.generations, *record.ready, *record.restored, *record.identified, *record.nested, *record.bare}
    sets = (record.golden, record.captured)
    host = record.host if "://" in record.host else record.host.replace("/", "")
    return [
        f"{what}: {', '.join(sorted(strange))}"
        for what, strange in (
            (f"it is not {team}'s, but the lab of", {record.team} - {team}),
            (
                "nodes that are not in the topology",
                named - nodes,
            ),
            ("generations below zero", {name for name, number in record.generations.items() if number < 0}),
            ("not an IPv4 subnet", {str(record.mgmt)} if record.mgmt.version != 4 else set()),
            ("not a host", {record.host} - {host} if host else {'""'}),
            ("not a stage", {record.stage} - {"bare", "installed"}),
            ("not a kind of virtualisation", {record.virt, *record.nested.values()} - {"kvm", "qemu"}),
            ("not the beginning of names", {record.label} if not _LABEL.fullmatch(record.label) else set()),
            ("not roles", {each for each in (record.chapter, record.reached) if not _ROLE.fullmatch(each)}),
            ("not IDs of golden sets", {each for each in sets if not _GOLDEN.fullmatch(each)}),
            ("volumes that are not the lab's", {name for name in record.volumes if not own.fullmatch(name)}),
        )
        if strange
    ]
