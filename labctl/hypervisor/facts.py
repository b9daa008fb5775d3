"""What libvirt says exists, as frozen facts, each with one constructor that reads libvirt's XML."""

from __future__ import annotations

import enum
import xml.etree.ElementTree as ET
from dataclasses import dataclass, fields
from typing import Self
from uuid import UUID

from netaddr import IPNetwork

METADATA_URI = "urn:labctl:1"

IO_ERROR = "I/O error"
"""Why a domain is paused whose disk could not be written to, mostly because the host's file system is full."""

_PAUSED = (
    *("", "user", "migrating", "saving", "dumping", IO_ERROR, "watchdog", "from snapshot", "shutting down"),
    *("creating snapshot", "crashed", "starting up", "post-copy", "post-copy failed"),
)
_OFF = ("", "shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from snapshot", "daemon")


class State(enum.StrEnum):
    """A domain's state, in libvirt's order and virsh's words."""

    NOSTATE = "no state"
    RUNNING = "running"
    BLOCKED = "idle"
    PAUSED = "paused"
    SHUTDOWN = "in shutdown"
    SHUTOFF = "shut off"
    CRASHED = "crashed"
    SUSPENDED = "pmsuspended"

    @classmethod
    def from_libvirt(cls, number: int) -> State:
        """Return the state of virDomainState's `number`."""
        states = list(cls)
        return states[number] if number < len(states) else cls.NOSTATE

    def reason(self, number: int) -> str:
        """Return why a domain is in this state, in virsh's words; empty when libvirt does not say."""
        words = {State.PAUSED: _PAUSED, State.SHUTOFF: _OFF}.get(self, ())
        return words[number] if number < len(words) else ""

    @property
    def active(self) -> bool:
        """Whether a hypervisor process stands behind the domain."""
        return self not in (State.NOSTATE, State.SHUTOFF, State.CRASHED)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Our metadata in an object: whose it is and what it was made from."""

    owner: UUID
    lab: UUID
    team: str
    topology: str
    digest: str

    @classmethod
    def from_element(cls, metadata: ET.Element | None) -> Self | None:
        """Read the `<metadata>` element; None when nothing (or nothing sound) of ours is in it."""
        element = metadata.find(f"{{{METADATA_URI}}}{cls._tag()}") if metadata is not None else None
        if element is None:
            return None
        read = {"UUID": UUID, "int": int}
        try:
            return cls(**{each.name: read.get(str(each.type), str)(element.attrib[each.name]) for each in fields(cls)})
        except (KeyError, ValueError):
            return None

    @classmethod
    def _tag(cls) -> str:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Owner(Mark):
    """Our metadata in a domain."""

    stage: str
    node: str
    generation: int

    @classmethod
    def _tag(cls) -> str:
        return "node"


@dataclass(frozen=True, kw_only=True)
class NetworkOwner(Mark):
    """Our metadata in a network; `network` is its key in the topology."""

    network: str

    @classmethod
    def _tag(cls) -> str:
        return "network"


@dataclass(frozen=True, kw_only=True)
class DomainFacts:
    """One domain.

    Attributes:
        owner: our metadata; None on a domain that labctl did not make.
        memory: MiB.
        disks: device to path of its source (vda, sda, ...).
        files: of its disks and, while it runs, of all that they stand on.
        macs: of its NICs, in order.
        networks: names of the networks (or bridges) that its NICs are plugged into.
        agent: whether the guest agent is connected; None when the domain is off or has no agent channel.
        virt: kvm or qemu.
        console: path of the log of its serial console; empty where it has none.
        picture: port of its screen (VNC) on its host's loopback; None while it is off, or where it has none.
        reason: why it is in its state, for instance "I/O error" of a paused one whose disk is full; often empty.
    """

    name: str
    uuid: UUID
    state: State
    owner: Owner | None
    memory: int
    vcpus: int
    disks: dict[str, str]
    files: frozenset[str]
    macs: tuple[str, ...]
    networks: tuple[str, ...]
    agent: bool | None
    virt: str
    console: str = ""
    picture: int | None = None
    reason: str = ""

    @classmethod
    def from_xml(cls, document: str, state: State, reason: str = "") -> Self:
        """Read a domain's XML, as libvirt gives it (memory in KiB)."""
        root = ET.fromstring(document)  # noqa: S314 - libvirt's own words
        channel = root.find("devices/channel/target[@name='org.qemu.guest_agent.0']")
        log = root.find("devices/serial/log")
        screen = root.find("devices/graphics[@type='vnc']")
        port = int(screen.get("port", "-1")) if screen is not None else -1
        return cls(
            name=root.findtext("name", ""),
            uuid=UUID(root.findtext("uuid", "")),
            state=state,
            owner=Owner.from_element(root.find("metadata")),
            memory=int(root.findtext("memory", "0")) // 1024,
            vcpus=int(root.findtext("vcpu", "1")),
            disks=_disks(root),
            files=frozenset(source.get("file", "") for source in root.iterfind("devices/disk//source")) - {""},
            macs=tuple(mac.get("address", "") for mac in root.findall("devices/interface/mac")),
            networks=tuple(
                source.get("network") or source.get("bridge") or ""
                for source in root.findall("devices/interface/source")
            ),
            agent=channel.get("state") == "connected" if channel is not None and state.active else None,
            virt=root.get("type", ""),
            console=log.get("file", "") if log is not None else "",
            picture=port if port > 0 else None,
            reason=reason,
        )


@dataclass(frozen=True, kw_only=True)
class NetworkFacts:
    """One network.

    Attributes:
        subnets: those on which the host has an address.
        owner: our metadata; None on a network that labctl did not make.
    """

    name: str
    uuid: UUID
    active: bool
    bridge: str
    subnets: tuple[IPNetwork, ...]
    owner: NetworkOwner | None

    @classmethod
    def from_xml(cls, document: str, *, active: bool) -> Self:
        """Read a network's XML."""
        root = ET.fromstring(document)  # noqa: S314
        bridge = root.find("bridge")
        return cls(
            name=root.findtext("name", ""),
            uuid=UUID(root.findtext("uuid", "")),
            active=active,
            bridge=bridge.get("name", "") if bridge is not None else "",
            subnets=tuple(
                IPNetwork(f"{ip.get('address')}/{ip.get('prefix') or ip.get('netmask')}").cidr
                for ip in root.findall("ip")
                if ip.get("prefix") or ip.get("netmask")
            ),
            owner=NetworkOwner.from_element(root.find("metadata")),
        )


@dataclass(frozen=True, kw_only=True)
class VolumeFacts:
    """One storage volume; sizes in bytes.

    Attributes:
        backing: path of the volume that it is an overlay of.
        modified: when its content was last written, seconds since 1970; 0 where libvirt cannot tell.
    """

    name: str
    path: str
    format: str
    capacity: int
    allocation: int
    backing: str | None
    modified: float = 0.0

    @classmethod
    def from_xml(cls, document: str) -> Self:
        """Read a volume's XML (sizes in bytes, as libvirt gives them)."""
        root = ET.fromstring(document)  # noqa: S314
        form = root.find("target/format")
        return cls(
            name=root.findtext("name", ""),
            path=root.findtext("target/path", ""),
            format=form.get("type", "raw") if form is not None else "raw",
            capacity=int(root.findtext("capacity", "0")),
            allocation=int(root.findtext("allocation", "0")),
            backing=root.findtext("backingStore/path") or None,
            modified=float(root.findtext("target/timestamps/mtime") or 0),
        )


@dataclass(frozen=True, kw_only=True)
class PoolFacts:
    """One storage pool; sizes in bytes."""

    name: str
    uuid: UUID
    active: bool
    path: str
    capacity: int
    available: int

    @classmethod
    def from_xml(cls, document: str, *, active: bool) -> Self:
        """Read a pool's XML."""
        root = ET.fromstring(document)  # noqa: S314
        return cls(
            name=root.findtext("name", ""),
            uuid=UUID(root.findtext("uuid", "")),
            active=active,
            path=root.findtext("target/path", ""),
            capacity=int(root.findtext("capacity", "0")),
            available=int(root.findtext("available", "0")),
        )


@dataclass(frozen=True, kw_only=True)
class HostFacts:
    """The machine behind the connection.

    Attributes:
        memory: MiB in all.
        available: MiB that are free or only cache.
        cpus: logical processors.
        libvirt, qemu: versions as (major, minor, release).
    """

    hostname: str
    memory: int
    available: int
    cpus: int
    libvirt: tuple[int, int, int]
    qemu: tuple[int, int, int]


def version(number: int) -> tuple[int, int, int]:
    """Split libvirt's version number (9000000) into (9, 0, 0)."""
    return number // 1_000_000, number // 1000 % 1000, number % 1000


def _disks(root: ET.Element) -> dict[str, str]:
    found = {}
    for disk in root.findall("devices/disk"):
        source, target = disk.find("source"), disk.find("target")
        if source is not None and target is not None:
            found[target.get("dev", "")] = source.get("file") or source.get("volume") or source.get("dev") or ""
    return found
