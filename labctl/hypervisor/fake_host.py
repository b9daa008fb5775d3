"""The machine behind a fake hypervisor: files, pools, networks, domains and guests, as far as labctl looks at them.

It outlives the connections to it (`fake.FakeHypervisor`), as libvirt outlives the commands that use it. It refuses
with libvirt's codes and words. Tests play accidents by changing what stands on it.
"""

from __future__ import annotations

import copy
import re
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any
from uuid import UUID

import libvirt

from labctl.guest import Result
from labctl.hypervisor.facts import NetworkFacts, State, VolumeFacts
from labctl.hypervisor.fake_disk import File
from labctl.hypervisor.fake_objects import FakeDomain, FakeGuest, FakeNetwork, FakePool, Refusal, Unscripted, invalid

Answer = Callable[["FakeGuest", str, bytes], Result]
"""What a guest answers to a script and its input, which may change the guest."""

AGENT = "org.qemu.guest_agent.0"


class FakeHost:
    """A machine with libvirt.

    Attributes:
        memory: MiB. others: how much of it other programs take.
        merged: how much of it is free because equal pages are kept once.
        touched: how much of its memory a running domain takes, between 0 and 1.
        disk: bytes of the file system. elsewhere: how many of them other files take.
        bridges: that exist without a network, with the addresses on them.
        answers: a pattern and what guests answer to scripts that it is found in; the first that fits.
        booted: called when a guest has booted.
        accidents: what would have ruined a guest.
    """

    def __init__(self, *, memory: int = 64 * 1024, cpus: int = 8, kvm: bool = False) -> None:
        self.hostname = "fake"
        self.memory, self.others, self.touched, self.cpus, self.kvm = memory, 0, 0.5, cpus, kvm
        self.merged = 0
        self.qemu, self.libvirt = (7, 2, 0), (9, 0, 0)
        self.disk, self.elsewhere = 1024**4, 0
        self._make_locks()
        self.files: dict[str, File] = {}
        self.folders: set[str] = set()
        self.pools: dict[str, FakePool] = {}
        self.networks: dict[UUID, FakeNetwork] = {}
        self.domains: dict[UUID, FakeDomain] = {}
        self.bridges: dict[str, str] = {}
        self.answers: list[tuple[str, Answer]] = []
        self.booted: Callable[[FakeGuest], None] = _nothing
        self.accidents: list[str] = []
        self.boots = self.machines = 0  # so many there were

    # -- for tests ----------------------------------------------------------------------------------------------

    def twin(self) -> FakeHost:
        """Return another host with the same on it, for a test that goes two ways from one state."""
        with self.lock:
            return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("lock", "changed")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._make_locks()

    def _make_locks(self) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)

    def domain(self, name: str) -> FakeDomain:
        """Return the domain of a name."""
        return next(domain for domain in self.domains.values() if domain.name == name)

    def guest(self, name: str) -> FakeGuest:
        """Return what runs in the domain of a name."""
        guest = self.domain(name).guest
        assert guest is not None, f"{name} is off"
        return guest

    def network(self, name: str) -> FakeNetwork:
        """Return the network of a name."""
        return next(network for network in self.networks.values() if network.facts.name == name)

    def restart(self) -> None:
        """Lose power and come back: all is off but pools that start by themselves."""
        with self.changed:
            for domain in list(self.domains.values()):
                self.end(domain)
            for network in self.networks.values():
                self.stop_network(network)
            for pool in self.pools.values():
                pool.active = pool.autostart
            self.changed.notify_all()

    # -- files --------------------------------------------------------------------------------------------------

    @property
    def free(self) -> int:
        """Bytes that are free in the file system."""
        return self.disk - self.elsewhere - sum(len(file.content) for file in self.files.values())

    def write(self, path: str, offset: int, content: bytes) -> None:
        """Write into a file, which need not exist."""
        file = self.files.get(path) or File()
        if max(0, offset + len(content) - len(file.content)) > self.free:
            raise Refusal(libvirt.VIR_ERR_SYSTEM_ERROR, f"cannot write to file {path}: No space left on device")
        self.files[path] = file
        file.write(offset, content)

    def written(self, file: File) -> dict[str, Any]:
        """Return what guests wrote to an image, or else to one under it."""
        while (state := file.state) is None and file.disk and file.disk[1] in self.files:
            file = self.files[file.disk[1]]
        return dict(state or {})

    def opened(self, path: str) -> File:
        """Return the file of a disk whose whole chain is there."""
        seen = path
        while True:
            if seen not in self.files:
                what = f"storage file '{path}'" if seen == path else f"backing file '{seen}' of storage file '{path}'"
                raise Refusal(libvirt.VIR_ERR_SYSTEM_ERROR, f"Cannot access {what}: No such file or directory")
            disk = self.files[seen].disk
            if disk is None or disk[1] is None:
                return self.files[path]
            seen = disk[1]

    # -- pools --------------------------------------------------------------------------------------------------

    def pool(self, name: str, *, active: bool = False) -> FakePool:
        """Return a pool.

        Args:
            active: refuse one that is off.
        """
        if name not in self.pools:
            message = f"Storage pool not found: no storage pool with matching name '{name}'"
            raise Refusal(libvirt.VIR_ERR_NO_STORAGE_POOL, message)
        if active and not self.pools[name].active:
            raise invalid(f"storage pool '{name}' is not active")
        return self.pools[name]

    def refresh(self, pool: FakePool) -> None:
        """Read a pool's directory, and how much room there is."""
        if pool.path not in self.folders:
            message = f"cannot open directory '{pool.path}': No such file or directory"
            raise Refusal(libvirt.VIR_ERR_SYSTEM_ERROR, message)
        pool.listed = {path.rpartition("/")[2] for path in self.files if path.rpartition("/")[0] == pool.path}
        pool.capacity, pool.available = self.disk, self.free

    def volume(self, pool: FakePool, name: str) -> tuple[str, File]:
        """Return the path and the file of a volume."""
        path = f"{pool.path}/{name}"
        if name not in pool.listed:
            message = f"Storage volume not found: no storage vol with matching name '{name}'"
            raise Refusal(libvirt.VIR_ERR_NO_STORAGE_VOL, message)
        if path not in self.files:
            raise Refusal(libvirt.VIR_ERR_NO_STORAGE_VOL, f"cannot stat file '{path}': No such file or directory")
        return path, self.files[path]

    @staticmethod
    def volume_facts(path: str, file: File) -> VolumeFacts:
        """Look into a file as libvirt does."""
        capacity, backing = file.disk or (file.size, None)
        return VolumeFacts(
            name=path.rpartition("/")[2],
            path=path,
            format="qcow2" if file.disk else "raw",
            capacity=capacity,
            allocation=len(file.content),
            backing=backing,
            modified=file.modified,
        )

    # -- networks -----------------------------------------------------------------------------------------------

    def start_network(self, network: FakeNetwork) -> None:
        """Make a network's bridge."""
        facts = network.facts
        others = [other.facts for other in self.networks.values() if other.active]
        taken = [(subnet, other.bridge) for other in others for subnet in other.subnets]
        taken += [(subnet, bridge) for bridge, text in self.bridges.items() for subnet in _subnets(text)]
        for subnet, bridge in taken:
            if any(subnet in own or own in subnet for own in facts.subnets):
                message = f"internal error: Network is already in use by interface {bridge}"
                raise Refusal(libvirt.VIR_ERR_INTERNAL_ERROR, message)
        if facts.bridge in self.bridges:
            message = f"Unable to create bridge {facts.bridge}: File exists"
            raise Refusal(libvirt.VIR_ERR_SYSTEM_ERROR, message)
        network.facts = NetworkFacts.from_xml(network.document, active=True)
        network.starts += 1

    @staticmethod
    def stop_network(network: FakeNetwork) -> None:
        """Take a network's bridge away; the cards of running domains hang in the air then."""
        network.facts = NetworkFacts.from_xml(network.document, active=False)

    def plugged(self, guest: FakeGuest) -> dict[str, str]:
        """Return the networks that a guest's cards are plugged into, by MAC, without those that hang in the air."""
        now = {(network.facts.name, network.starts): network for network in self.networks.values() if network.active}
        return {mac: name for mac, name, starts in guest.cards if (name, starts) in now}

    def plug(self, guest: FakeGuest, mac: str, name: str) -> None:
        """Plug a card into a network; nothing happens where it was plugged into one of that name."""
        found = [network for network in self.networks.values() if network.facts.name == name]
        if not found:
            message = f"Network not found: no network with matching name '{name}'"
            raise Refusal(libvirt.VIR_ERR_NO_NETWORK, message)
        if not found[0].active:
            raise invalid(f"network '{name}' is not active")
        guest.cards = tuple(
            (mac, name, found[0].starts) if card[0] == mac and card[1] != name else card for card in guest.cards
        )

    def at(self, address: str) -> FakeGuest | None:
        """Return the running guest that has an address by DHCP from the host, where it can be reached."""
        for domain in self.domains.values():
            if domain.guest is None or domain.state is not State.RUNNING:
                continue
            for mac, name in self.plugged(domain.guest).items():
                leases = ET.fromstring(self.network(name).document).findall("ip/dhcp/host")  # noqa: S314
                if any((lease.get("mac"), lease.get("ip")) == (mac, address) for lease in leases):
                    return domain.guest
        return None

    # -- domains ------------------------------------------------------------------------------------------------

    def begin(self, domain: FakeDomain, document: str) -> FakeGuest:
        """Start a machine, its processors stopped."""
        root = ET.fromstring(document)  # noqa: S314 - written by tests
        disks: dict[str, File] = {}
        cds: dict[str, File] = {}
        for disk in root.findall("devices/disk"):
            path, device = _attribute(disk, "source", "file"), _attribute(disk, "target", "dev")
            file = self.opened(path)
            (disks if disk.get("device", "disk") == "disk" else cds)[device] = file
            for other in self.domains.values():
                if other.guest and device in disks and file in other.guest.disks.values():
                    message = (
                        "internal error: process exited while connecting to monitor: qemu-system-x86_64: "
                        f'Failed to get "write" lock\nIs another process using the image [{path}]?'
                    )
                    raise Refusal(libvirt.VIR_ERR_INTERNAL_ERROR, message)
        cards = []
        for card in root.findall("devices/interface[@type='network']"):
            name = _attribute(card, "source", "network")
            found = [network for network in self.networks.values() if network.facts.name == name]
            if not found:
                message = f"Network not found: no network with matching name '{name}'"
                raise Refusal(libvirt.VIR_ERR_NO_NETWORK, message)
            if not found[0].active:
                raise invalid(f"network '{name}' is not active")
            cards.append((_attribute(card, "mac", "address"), name, found[0].starts))
        domain.guest = FakeGuest(domain, self, disks, cds, tuple(cards))
        self.machines += 1
        root.set("id", str(self.machines))
        for screen in root.findall("devices/graphics"):
            screen.set("port", str(5899 + self.machines))
        domain.live, domain.state, domain.reason = ET.tostring(root, encoding="unicode"), State.PAUSED, "user"
        self.changed.notify_all()
        return domain.guest

    def go_on(self, domain: FakeDomain) -> None:
        """Let a machine's processors go."""
        assert domain.guest is not None
        domain.state, domain.reason = State.RUNNING, ""
        domain.guest.run()
        self.changed.notify_all()

    def end(self, domain: FakeDomain) -> None:
        """End a machine; a domain without a document is gone then."""
        domain.live, domain.guest, domain.state, domain.reason = None, None, State.SHUTOFF, ""
        if domain.document is None:
            self.domains.pop(domain.uuid, None)
        self.changed.notify_all()

    def ask(self, domain: FakeDomain, script: str, stdin: bytes) -> Result:
        """Have a guest answer a script.

        Raises:
            Unscripted: nobody has told what to answer.
        """
        assert domain.guest is not None
        for pattern, answer in self.answers:
            if re.search(pattern, script):
                said = answer(domain.guest, script, stdin)
                if domain.guest is not None:
                    domain.guest.write()
                return said
        raise Unscripted(f"{domain.name} does not know {script!r} with {stdin!r}")

    def remember(self, guest: FakeGuest, memory: dict[str, Any]) -> None:
        """Give a machine the memory of another moment, and note it when its disks are of a later one."""
        for device, file in guest.disks.items():
            now, then = self.written(file).get("writes", 0), memory["writes"].get(device, 0)
            if now != then:
                self.accidents.append(
                    f"{guest.domain.name}: memory of write {then} meets {device}, which is at write {now}"
                )
        guest.memory = memory


def _nothing(_: FakeGuest) -> None:
    """Do nothing when a guest has booted."""


def _attribute(element: ET.Element, child: str, name: str) -> str:
    found = element.find(child)
    value = found.get(name) if found is not None else None
    if value is None:
        message = f"XML error: {element.tag} without {child} {name}, which no document of labctl lacks"
        raise Refusal(libvirt.VIR_ERR_XML_ERROR, message)
    return value


def _subnets(text: str) -> tuple[Any, ...]:
    """Return the subnets on a bridge: their CIDRs, with blanks between."""
    from netaddr import IPNetwork

    return tuple(IPNetwork(part).cidr for part in text.split())
