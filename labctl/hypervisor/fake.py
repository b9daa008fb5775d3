"""A hypervisor in memory, for tests: the interface of `Hypervisor`, as strict as libvirt where labctl looks.

    host = FakeHost()
    with FakeHypervisor(host) as hypervisor:
        hypervisor.create_network("<network>...</network>")

The same tests prove it and the real one (tests/hypervisor). A test may watch every call that would reach libvirt, and
end the program there: `trace` is told before and after each.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO, Self
from uuid import UUID

import libvirt

from labctl.errors import DeadlineError, HypervisorError, NotFoundError, RemoteError
from labctl.guest import Result
from labctl.hypervisor import fake_xml
from labctl.hypervisor.facts import DomainFacts, HostFacts, NetworkFacts, PoolFacts, State, VolumeFacts
from labctl.hypervisor.fake_disk import File, qcow2
from labctl.hypervisor.fake_host import FakeDomain, FakeHost, FakeNetwork, FakePool, Refusal, invalid
from labctl.hypervisor.listing import Listing
from labctl.hypervisor.memory import MOST, Head
from labctl.hypervisor.translate import error_for

_CHUNK = 256 * 1024
_ROOM = 64 * 1024  # to a multiple of this, libvirt fills the head of a memory image up
_HEADER = 92


class FakeHypervisor:
    """A connection to a fake host; see `Hypervisor` for what each method does.

    Args:
        host: what stands there, also after this connection ends.
        trace: told of every call, before and after it; what it raises ends the call.
    """

    def __init__(self, host: FakeHost, *, trace: Callable[[str], None] | None = None) -> None:
        self.uri = "fake:///"
        self._host = host
        self._closed = False
        self._trace = trace or (lambda _: None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; what stands on the host stays."""
        self._closed = True

    # -- the host -----------------------------------------------------------------------------------------------

    def host(self) -> HostFacts:
        """Read what the host is and has."""
        with self._does("read the host's facts"):
            host = self._host
            taken = sum(self._resident().values()) // 1024**2
            return HostFacts(
                hostname=host.hostname,
                memory=host.memory,
                available=host.memory - host.others - taken,
                cpus=host.cpus,
                libvirt=host.libvirt,
                qemu=host.qemu,
            )

    def kvm_obstacle(self) -> str:
        """Say why guests cannot run under KVM; empty when they can."""
        with self._does("read what the hypervisor can do"):
            return "" if self._host.kvm else "its libvirt offers no KVM"

    def processor(self) -> str:
        """Return what the host's processor is."""
        with self._does("read what the hypervisor can do"):
            return "Fake Processor 00000000"

    # -- networks -----------------------------------------------------------------------------------------------

    def networks(self) -> Listing[NetworkFacts]:
        """Return every network by name."""
        with self._does("list the networks"):
            found = {network.facts.name: network.facts for network in self._host.networks.values()}
            return Listing(found, found.get, uuids={facts.uuid: name for name, facts in found.items()})

    def create_network(self, document: str) -> None:
        """Define a network and start it."""
        with self._does("define a network"):
            root = fake_xml.parsed(document, "network")
            fake_xml.identified(root)
            networks = self._host.networks
            if root.find("bridge") is None:
                ET.SubElement(root, "bridge", name=f"virbr{len(networks)}")
            facts = NetworkFacts.from_xml(fake_xml.text(root), active=False)
            fake_xml.check_clash(
                "network", facts.name, facts.uuid, {each.facts.name: uuid for uuid, each in networks.items()}
            )
            for uuid, other in networks.items():
                if other.facts.bridge == facts.bridge and uuid != facts.uuid:
                    message = f"internal error: bridge name '{facts.bridge}' already in use."
                    raise Refusal(libvirt.VIR_ERR_INTERNAL_ERROR, message)
            known = networks.get(facts.uuid)
            if known is None or not known.active:  # what runs stays as it was until it is started again
                networks[facts.uuid] = FakeNetwork(fake_xml.text(root), facts, known.starts if known else 0)
        self._start_network(networks[facts.uuid])

    def start_network(self, uuid: UUID) -> None:
        """Start a network."""
        with self._does(f"find network {uuid}"):
            network = self._network(uuid)
        self._start_network(network)

    def remove_network(self, uuid: UUID) -> None:
        """Stop and undefine a network."""
        with contextlib.suppress(NotFoundError):
            with self._does(f"remove network {uuid}"):
                self._host.stop_network(self._network(uuid))
            with self._does(f"remove network {uuid}"):
                self._network(uuid)
                del self._host.networks[uuid]

    def plugged(self, uuid: UUID) -> set[tuple[UUID, str]] | None:
        """Return which cards are plugged into a network that runs, by domain and MAC."""
        with self._does(f"ask network {uuid} for its ports"):
            name = self._network(uuid).facts.name
            guests = [(key, domain.guest) for key, domain in self._host.domains.items() if domain.guest]
            return {
                (key, mac) for key, guest in guests for mac, where in self._host.plugged(guest).items() if where == name
            }

    def _start_network(self, network: FakeNetwork) -> None:
        with self._does(f"start network {network.facts.name}"):
            if not network.active:
                self._host.start_network(network)

    def _network(self, uuid: UUID) -> FakeNetwork:
        if uuid not in self._host.networks:
            message = f"Network not found: no network with matching uuid '{uuid}'"
            raise Refusal(libvirt.VIR_ERR_NO_NETWORK, message)
        return self._host.networks[uuid]

    # -- storage ------------------------------------------------------------------------------------------------

    def pools(self) -> dict[str, PoolFacts]:
        """Return every storage pool by name."""
        with self._does("list the storage pools"):
            return {
                pool.name: PoolFacts(
                    name=pool.name,
                    uuid=pool.uuid,
                    active=pool.active,
                    path=pool.path,
                    capacity=pool.capacity,
                    available=pool.available,
                )
                for pool in self._host.pools.values()
            }

    def create_pool(self, document: str) -> None:
        """Define a directory pool, make its directory, start it, and let it start with the host."""
        host = self._host
        with self._does("define a storage pool"):
            root = fake_xml.parsed(document, "pool")
            fake_xml.identified(root)
            if root.get("type") != "dir":
                message = f"internal error: missing backend for pool type {root.get('type')}"
                raise Refusal(libvirt.VIR_ERR_INTERNAL_ERROR, message)
            facts = PoolFacts.from_xml(fake_xml.text(root), active=False)
            fake_xml.check_clash("pool", facts.name, facts.uuid, {pool.name: pool.uuid for pool in host.pools.values()})
            pool = host.pools.setdefault(facts.name, FakePool(facts.name, facts.uuid, facts.path))
        with self._does(f"build storage pool {pool.name}"):
            host.folders.add(pool.path)
        self._start_pool(pool)
        with self._does(f"let storage pool {pool.name} start with the host"):
            pool.autostart = True

    def start_pool(self, name: str) -> None:
        """Start a pool."""
        with self._does(f"find storage pool {name}"):
            pool = self._host.pool(name)
        self._start_pool(pool)

    def _start_pool(self, pool: FakePool) -> None:
        with self._does(f"start storage pool {pool.name}"):
            if not pool.active:
                self._host.refresh(pool)
                pool.active = True

    def refresh_pool(self, name: str) -> None:
        """Let libvirt read the pool's directory again."""
        with self._does(f"refresh storage pool {name}"):
            self._host.refresh(self._host.pool(name, active=True))

    def remove_pool(self, uuid: UUID) -> None:
        """Stop and undefine a pool, and delete its directory."""
        host = self._host
        with contextlib.suppress(NotFoundError):
            with self._does(f"remove storage pool {uuid}"):
                found = [pool for pool in host.pools.values() if pool.uuid == uuid]
                if not found:
                    message = f"Storage pool not found: no storage pool with matching uuid '{uuid}'"
                    raise Refusal(libvirt.VIR_ERR_NO_STORAGE_POOL, message)
                found[0].active = False
            with self._does(f"remove storage pool {uuid}"):
                if any(path.startswith(f"{found[0].path}/") for path in host.files):
                    message = f"failed to remove pool '{found[0].path}': Directory not empty"
                    raise Refusal(libvirt.VIR_ERR_SYSTEM_ERROR, message)
                host.folders.discard(found[0].path)
            with self._does(f"remove storage pool {uuid}"):
                del host.pools[found[0].name]

    def volumes(self, pool: str) -> Listing[VolumeFacts]:
        """Return every volume of a pool by name."""
        with self._does(f"list the volumes of {pool}"):
            storage = self._host.pool(pool, active=True)

            def read(name: str) -> VolumeFacts | None:
                with contextlib.suppress(Refusal):
                    return self._host.volume_facts(*self._host.volume(storage, name))
                return None

            return Listing(dict.fromkeys(storage.listed), read)

    def create_volume(self, pool: str, document: str) -> VolumeFacts:
        """Make the volume of an XML document."""
        name = ET.fromstring(document).findtext("name") or "without a name"  # noqa: S314 - written by tests
        with self._does(f"create volume {name} in {pool}"):
            fake_xml.parsed(document, "volume")
            storage = self._host.pool(pool, active=True)
            wanted = VolumeFacts.from_xml(document)
            path = f"{storage.path}/{name}"
            if name in storage.listed:
                message = f"storage volume name '{name}' already in use."
                raise Refusal(libvirt.VIR_ERR_STORAGE_VOL_EXIST, message)
            if path in self._host.files:
                raise Refusal(libvirt.VIR_ERR_SYSTEM_ERROR, f"cannot create path '{path}': File exists")
            if wanted.backing is not None and wanted.backing not in self._host.files:
                message = f"inaccessible backing store volume {wanted.backing}: No such file or directory"
                raise Refusal(libvirt.VIR_ERR_SYSTEM_ERROR, message)
            if wanted.format == "qcow2":
                self._host.write(path, 0, qcow2(wanted.capacity, wanted.backing))
            elif wanted.format == "raw":
                self._host.files[path] = File(size=wanted.capacity)
            else:
                message = f"XML error: unknown volume format type {wanted.format}"
                raise Refusal(libvirt.VIR_ERR_XML_ERROR, message)
            storage.listed.add(name)
            storage.available -= len(self._host.files[path].content)
            return self._host.volume_facts(path, self._host.files[path])

    def upload(self, pool: str, name: str, content: BinaryIO, length: int) -> None:
        """Write `length` bytes from `content` into a volume, from its start."""
        doing = f"upload into volume {name}"
        with self._does(doing):
            path, _ = self._host.volume(self._host.pool(pool, active=True), name)
        self._write(doing, pool, path, iter(lambda: content.read(_CHUNK), b""), most=length)

    def download(self, pool: str, name: str, length: int) -> bytes:
        """Return the first `length` bytes of a volume."""
        with self._does(f"download volume {name}"):
            _, file = self._host.volume(self._host.pool(pool, active=True), name)
            return file.read(0, length)

    def fetch(self, pool: str, name: str, target: Callable[[bytes], object], *, offset: int = 0) -> None:
        """Give a whole volume, as it lies in the pool, to `target`, part by part."""
        with self._does(f"download volume {name}"):
            _, file = self._host.volume(self._host.pool(pool, active=True), name)
            content = file.read(offset, file.size)
        for start in range(0, len(content), _CHUNK):
            target(content[start : start + _CHUNK])

    def copy_volume(self, pool: str, source: str, document: str) -> str:
        """Make the volume of an XML document with the bytes of another one; return their SHA-256."""
        made = self.create_volume(pool, document)
        parts: list[bytes] = []
        self.fetch(pool, source, parts.append)
        self._write(f"copy volume {source} to {made.name}", pool, made.path, iter(parts))
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def remove_volume(self, pool: str, name: str) -> None:
        """Delete a volume."""
        with contextlib.suppress(NotFoundError), self._does(f"delete volume {name}"):
            storage = self._host.pool(pool, active=True)
            path, file = self._host.volume(storage, name)
            del self._host.files[path]
            storage.listed.discard(name)
            storage.available += len(file.content)

    def _write(self, doing: str, pool: str, path: str, parts: Iterator[bytes], *, most: int = 0) -> None:
        """Write parts into a file, each in a call of its own; libvirt reads the pool again at the end.

        Args:
            most: how many bytes it takes; 0 takes all.
        """
        offset = 0
        for part in parts:
            half = len(part) // 2
            for piece in (part[:half], part[half:]):  # so that even a short one can be cut off
                with self._does(doing):
                    if most and offset + len(piece) > most:
                        raise Refusal(libvirt.VIR_ERR_SYSTEM_ERROR, "cannot write to stream: No space left on device")
                    self._host.write(path, offset, piece)
                    offset += len(piece)
        with self._does(doing):
            self._host.refresh(self._host.pool(pool, active=True))

    # -- domains ------------------------------------------------------------------------------------------------

    def domains(self) -> Listing[DomainFacts]:
        """Return every domain by name."""
        with self._does("list the domains"):
            found = {domain.name: _facts(domain) for domain in self._host.domains.values()}
            return Listing(found, found.get, uuids={facts.uuid: name for name, facts in found.items()})

    def states(self) -> dict[tuple[str, UUID], State]:
        """Return the state of every domain by name and UUID."""
        with self._does("list the domains"):
            found = [_facts(domain) for domain in self._host.domains.values()]
            return {(facts.name, facts.uuid): facts.state for facts in found}

    def files(self) -> dict[str, frozenset[str]]:
        """Return the paths of the disks of every running domain, and of all that they stand on."""
        with self._does("list the domains' disks"):
            found = [_facts(domain) for domain in self._host.domains.values()]
            return {facts.name: frozenset(self._chains(facts.files)) for facts in found if facts.state.active}

    def _chains(self, paths: Iterable[str]) -> Iterator[str]:
        """Yield paths of disks, and of all that they stand on."""
        for path in paths:
            below: str | None = path
            while below is not None:
                yield below
                file = self._host.files.get(below)
                _, below = (file and file.disk) or (0, None)

    def domain(self, uuid: UUID) -> DomainFacts | None:
        """Return the domain of that UUID; None when there is none."""
        with contextlib.suppress(NotFoundError), self._does("read a domain"):
            return _facts(self._domain(uuid))
        return None

    def define_domain(self, document: str) -> None:
        """Define a domain from its XML document."""
        with self._does("define a domain"):
            root = fake_xml.parsed(document, "domain")
            name, uuid = fake_xml.domain(root, self._host)
            known = self._host.domains.setdefault(uuid, FakeDomain(name, uuid, None))
            known.document = fake_xml.text(root)

    def start_domain(self, uuid: UUID, *, paused: bool = False) -> None:
        """Start a domain."""
        domain = self._found(uuid)
        with self._does(f"start domain {domain.name}"):
            if domain.state.active:
                return
            assert domain.document is not None
            self._host.begin(domain, domain.document)
            if not paused:
                self._host.go_on(domain)

    def resident(self) -> dict[UUID, int]:
        """Return how many bytes of the host's memory each running domain takes now."""
        with self._does("ask the domains for their memory"):
            return self._resident()

    def _resident(self) -> dict[UUID, int]:
        return {
            uuid: int(_facts(domain).memory * self._host.touched) * 1024**2
            for uuid, domain in self._host.domains.items()
            if domain.state.active
        }

    def processor_time(self, uuid: UUID) -> float:
        """Return how many seconds of the host's processors a domain has taken: fake guests are at rest."""
        self._found(uuid)
        return 0.0

    def suspend_domain(self, uuid: UUID) -> None:
        """Stop a running domain's processors."""
        domain = self._found(uuid)
        with self._does(f"suspend domain {domain.name}"):
            if domain.state is not State.PAUSED:
                self._check_active(domain)
                domain.state, domain.reason = State.PAUSED, "user"
                self._host.changed.notify_all()

    def save_domain(self, uuid: UUID, path: str) -> None:
        """Write a domain's memory to a file on the host, and end the domain."""
        domain = self._found(uuid)
        with self._does(f"save the memory of domain {domain.name}"):
            self._check_active(domain)
            assert domain.guest is not None
            assert domain.live is not None
            room = -(-(_HEADER + len(domain.live.encode()) + 1) // _ROOM) * _ROOM - _HEADER
            head = Head(document=domain.live, cookie="", room=room, running=False)
            self._host.files[path] = File()
            self._host.write(path, 0, head.encode() + json.dumps(domain.guest.memory).encode())
            self._host.end(domain)

    def restore_domain(self, path: str) -> None:
        """Start the domain that a memory image describes, with its memory, its processors stopped."""
        with self._does("restore a domain's memory"):
            if path not in self._host.files:
                message = f"Failed to open file '{path}': No such file or directory"
                raise Refusal(libvirt.VIR_ERR_SYSTEM_ERROR, message)
            file = self._host.files[path]
            try:
                head = Head.parse(file.read(0, MOST))
            except HypervisorError as exc:
                message = f"operation failed: failed to read qemu header: {exc.details}"
                raise Refusal(libvirt.VIR_ERR_OPERATION_FAILED, message) from exc
            root = fake_xml.parsed(head.document, "domain")
            name, uuid = fake_xml.domain(root, self._host)
            domain = self._host.domains.get(uuid) or FakeDomain(name, uuid, None)
            if domain.state.active:
                raise invalid(f"domain is already active as '{name}'")
            try:
                memory = json.loads(file.read(head.length, file.size))
            except ValueError:
                message = "internal error: QEMU unexpectedly closed the monitor: error while loading state"
                raise Refusal(libvirt.VIR_ERR_INTERNAL_ERROR, message) from None
            guest = self._host.begin(domain, fake_xml.text(root))
            self._host.domains[uuid] = domain
            self._host.remember(guest, memory)

    def run_inside(
        self, uuid: UUID, script: str, *, timeout: float, cancelled: threading.Event, stdin: bytes = b""
    ) -> Result:
        """Run a shell script in a domain's guest through its agent; an agent that is silent is not waited for."""
        domain = self._found(uuid)
        with self._does(f"run a command in {domain.name}"):
            if domain.state is not State.RUNNING or domain.guest is None:
                raise invalid("domain is not running")
            if cancelled.is_set():
                raise RemoteError(f"{domain.name}: its guest agent was not waited for")
            if not domain.guest.agent or timeout <= 0:
                raise DeadlineError(f"{domain.name}: its guest agent did not answer in time")
            return self._host.ask(domain, script, stdin)

    def resume_domain(self, uuid: UUID) -> None:
        """Let a paused domain go on."""
        domain = self._found(uuid)
        with self._does(f"resume domain {domain.name}"):
            self._check_active(domain)
            if domain.state is State.RUNNING:
                raise invalid("domain is already running")
            self._host.go_on(domain)

    def plug(self, uuid: UUID, mac: str, network: str) -> None:
        """Plug a card of a running domain into a network."""
        domain = self._found(uuid)
        with self._does(f"plug a card of domain {domain.name} into network {network}"):
            self._check_active(domain)
            assert domain.guest is not None
            if mac not in {card[0] for card in domain.guest.cards}:
                raise NotFoundError(f"domain {domain.name} has no card {mac}")
            self._host.plug(domain.guest, mac, network)

    def shutdown_domain(self, uuid: UUID) -> None:
        """Ask a running domain's guest to power off; it does at once, unless it does not listen."""
        domain = self._found(uuid)
        with self._does(f"shut domain {domain.name} down"):
            self._check_active(domain)
            if domain.state is State.RUNNING and domain.guest is not None and domain.guest.listens:
                domain.guest.write()
                self._host.end(domain)

    def remove_domain(self, uuid: UUID) -> None:
        """Power a domain off at once and undefine it."""
        with contextlib.suppress(NotFoundError):
            self.power_off(uuid)
            domain = self._found(uuid)
            with self._does(f"undefine domain {domain.name}"):
                self._domain(uuid).document = None
                if not domain.state.active:
                    del self._host.domains[uuid]

    def power_off(self, uuid: UUID) -> None:
        """Power a domain off at once."""
        domain = self._found(uuid)
        with self._does(f"power domain {domain.name} off"):
            if domain.state.active:
                self._host.end(domain)

    def wait_for_domain(
        self,
        uuid: UUID,
        wanted: Callable[[DomainFacts | None], bool],
        *,
        timeout: float,
        cancelled: threading.Event,
    ) -> bool:
        """Wait until the domain's facts (None: it is gone) are as wanted; return whether they are."""
        deadline = time.monotonic() + timeout
        while True:
            with self._host.changed:
                if wanted(self.domain(uuid)):
                    return True
                remaining = deadline - time.monotonic()
                if remaining <= 0 or cancelled.is_set():
                    return False
                self._host.changed.wait(min(remaining, 0.1))

    # -- inside -------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _does(self, doing: str) -> Iterator[None]:
        """Do one call to libvirt: tell of it, hold the host still, and raise our error for what is refused."""
        self._trace(f"before: {doing}")
        try:
            with self._host.lock:
                if self._closed:
                    raise Refusal(libvirt.VIR_ERR_INVALID_CONN, "invalid connection pointer")
                yield
        except Refusal as exc:
            raise error_for(doing, exc.code, exc.message) from exc
        self._trace(f"after: {doing}")

    def _found(self, uuid: UUID) -> FakeDomain:
        with self._does(f"find domain {uuid}"):
            return self._domain(uuid)

    def _domain(self, uuid: UUID) -> FakeDomain:
        if uuid not in self._host.domains:
            raise Refusal(libvirt.VIR_ERR_NO_DOMAIN, f"Domain not found: no domain with matching uuid '{uuid}'")
        return self._host.domains[uuid]

    @staticmethod
    def _check_active(domain: FakeDomain) -> None:
        if not domain.state.active:
            raise invalid("domain is not running")


def _facts(domain: FakeDomain) -> DomainFacts:
    document = domain.live or domain.document
    assert document is not None
    facts = _read(document)
    if facts.agent is None or not domain.state.active:
        return replace(facts, state=domain.state, reason=domain.reason, agent=None)
    answers = domain.guest is not None and domain.guest.agent and bool(domain.guest.memory)
    return replace(facts, state=domain.state, reason=domain.reason, agent=answers)


@functools.lru_cache(maxsize=256)
def _read(document: str) -> DomainFacts:
    return DomainFacts.from_xml(document, State.RUNNING)
