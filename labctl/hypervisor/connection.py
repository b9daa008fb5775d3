"""One connection to libvirt and every call that labctl makes through it. Safe to use from many threads."""

from __future__ import annotations

import contextlib
import hashlib
import queue
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Self
from urllib.parse import urlsplit
from uuid import UUID

import libvirt

from labctl.errors import HypervisorError, NotFoundError
from labctl.guest import Result
from labctl.hypervisor import agent, capabilities, events
from labctl.hypervisor.facts import DomainFacts, HostFacts, NetworkFacts, PoolFacts, State, VolumeFacts, version
from labctl.hypervisor.listing import Listing
from labctl.hypervisor.translate import translated

_CONNECT = {False: 20.0, True: 60.0}  # seconds, by whether SSH is on the way
_CHUNK = 256 * 1024  # a libvirt stream packet holds at most 256 KiB of payload (VIR_NET_MESSAGE_PAYLOAD)
_BUSY = 30.0  # seconds that a pool may be busy with volumes that are made


class Hypervisor:
    """A libvirt connection; a context manager that closes it.

    Args:
        uri: a libvirt URI, for instance qemu:///system or test:///default.

    Raises:
        HypervisorError: nothing answers there, or not in time.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        events.start_loop()
        with translated(f"connect to {uri}", remedy=_connecting(uri)):
            self._connection = _opened(uri)
            # A peer that is dead or hangs is noticed after 20 s; drivers that are not remote refuse, and need none.
            with contextlib.suppress(libvirt.libvirtError):
                self._connection.setKeepAlive(5, 3)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; libvirt may have lost it already."""
        with contextlib.suppress(libvirt.libvirtError):
            self._connection.close()

    # -- the host -----------------------------------------------------------------------------------------------

    def host(self) -> HostFacts:
        """Read what the host is and has."""
        with translated("read the host's facts"):
            information = self._connection.getInfo()
            kib = self._memory_kib()
            return HostFacts(
                hostname=self._connection.getHostname(),
                memory=kib.get("total", information[1] * 1024) // 1024,
                available=sum(kib.get(part, 0) for part in ("free", "buffers", "cached")) // 1024,
                cpus=int(information[2]),
                libvirt=version(self._connection.getLibVersion()),
                qemu=version(self._connection.getVersion()),
            )

    def kvm_obstacle(self) -> str:
        """Say why guests cannot run under KVM, as the host itself reports; empty when they can."""
        with translated("read what the hypervisor can do"):
            document = self._connection.getCapabilities()
        return capabilities.kvm_obstacle(document, self._features(capabilities.host_cpu(document)))

    def _features(self, cpu: str | None) -> frozenset[str] | None:
        """Return the features of the host's processor, those of its model included; None where libvirt cannot say."""
        if cpu is None:
            return None
        try:
            every = self._connection.baselineCPU([cpu], libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES)
        except libvirt.libvirtError:
            return None
        return capabilities.features_of(every) | capabilities.features_of(cpu)

    def processor(self) -> str:
        """Return what the host's processor is, as far as guests under KVM can tell: vendor, model, features."""
        with translated("read what the hypervisor can do"):
            document = ET.fromstring(self._connection.getCapabilities())  # noqa: S314 - libvirt's own words
        cpu = document.find("host/cpu")
        if cpu is None:
            return ""
        features = sorted(feature.get("name", "") for feature in cpu.findall("feature"))
        digest = hashlib.sha256(" ".join(features).encode()).hexdigest()[:8]
        return f"{cpu.findtext('vendor', '')} {cpu.findtext('model', '')} {digest}"

    def _memory_kib(self) -> dict[str, int]:
        try:
            return dict(self._connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS, 0))
        except libvirt.libvirtError:  # the test driver has no such statistics
            return {"free": self._connection.getInfo()[1] * 1024}

    # -- networks -----------------------------------------------------------------------------------------------

    def networks(self) -> Listing[NetworkFacts]:
        """Return every network by name."""
        with translated("list the networks"):
            every = {network.name(): network for network in self._connection.listAllNetworks()}
            running = self._connection.listAllNetworks(libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE)
        active = {network.UUID() for network in running}

        def read(name: str) -> NetworkFacts | None:
            with contextlib.suppress(NotFoundError), translated("read a network"):
                return NetworkFacts.from_xml(every[name].XMLDesc(), active=every[name].UUID() in active)
            return None

        return Listing(every, read, uuids={UUID(bytes=network.UUID()): name for name, network in every.items()})

    def create_network(self, document: str) -> None:
        """Define the network of an XML document and start it; one that is defined already is only started."""
        with translated("define a network"):
            network = self._connection.networkDefineXML(document)
        self._start(network, f"start network {network.name()}")

    def start_network(self, uuid: UUID) -> None:
        """Start a network; nothing happens when it runs."""
        with translated(f"find network {uuid}"):
            network = self._connection.networkLookupByUUIDString(str(uuid))
        self._start(network, f"start network {network.name()}")

    def remove_network(self, uuid: UUID) -> None:
        """Stop and undefine a network; nothing happens when it is gone."""
        with contextlib.suppress(NotFoundError), translated(f"remove network {uuid}"):
            network = self._connection.networkLookupByUUIDString(str(uuid))
            if network.isActive():
                network.destroy()
            network.undefine()

    def plugged(self, uuid: UUID) -> set[tuple[UUID, str]] | None:
        """Return which cards are plugged into a network that runs, by domain and MAC.

        A network that is stopped lets go of its cards, and none of them comes back when it is started again.

        Returns:
            None where the driver does not tell.
        """
        found = set()
        with translated(f"ask network {uuid} for its ports"):
            network = self._connection.networkLookupByUUIDString(str(uuid))
            try:
                ports = network.listAllPorts()
            except libvirt.libvirtError as exc:
                if exc.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
                    return None
                raise
            for port in ports:
                with contextlib.suppress(NotFoundError), translated("read a network's port"):
                    document = ET.fromstring(port.XMLDesc())  # noqa: S314 - libvirt's own words
                    found.add((UUID(document.findtext("owner/uuid", "")), _mac(document)))
        return found

    # -- storage ------------------------------------------------------------------------------------------------

    def pools(self) -> dict[str, PoolFacts]:
        """Return every storage pool by name."""
        with translated("list the storage pools"):
            every = self._connection.listAllStoragePools()
            running = self._connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
            active = {pool.UUID() for pool in running}
            facts = [PoolFacts.from_xml(pool.XMLDesc(), active=pool.UUID() in active) for pool in every]
            return {pool.name: pool for pool in facts}

    def create_pool(self, document: str) -> None:
        """Define a directory pool, make its directory, start it, and let it start with the host."""
        with translated("define a storage pool"):
            pool = self._connection.storagePoolDefineXML(document)
        name = pool.name()
        with translated(f"build storage pool {name}"):
            if not pool.isActive():
                pool.build()
        self._start(pool, f"start storage pool {name}")
        with translated(f"let storage pool {name} start with the host"):
            pool.setAutostart(True)

    def start_pool(self, name: str) -> None:
        """Start a pool; nothing happens when it runs."""
        with translated(f"find storage pool {name}"):
            pool = self._connection.storagePoolLookupByName(name)
        self._start(pool, f"start storage pool {name}")

    def refresh_pool(self, name: str) -> None:
        """Let libvirt read the pool's directory again, and how full its file system is.

        While a volume is made in the pool libvirt refuses; it is asked again for some seconds.
        """
        deadline = time.monotonic() + _BUSY
        with translated(f"refresh storage pool {name}"):
            pool = self._connection.storagePoolLookupByName(name)
            while True:
                try:
                    pool.refresh()
                    break
                except libvirt.libvirtError as exc:
                    if "asynchronous jobs" not in str(exc) or time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)

    def remove_pool(self, uuid: UUID) -> None:
        """Stop and undefine a pool, and delete its directory; nothing happens when it is gone."""
        with contextlib.suppress(NotFoundError), translated(f"remove storage pool {uuid}"):
            pool = self._connection.storagePoolLookupByUUIDString(str(uuid))
            if pool.isActive():
                pool.destroy()
            pool.delete()
            pool.undefine()

    def volumes(self, pool: str) -> Listing[VolumeFacts]:
        """Return every volume of a pool by name."""
        with translated(f"list the volumes of {pool}"):
            listed = self._connection.storagePoolLookupByName(pool).listAllVolumes()
        every = {volume.name(): volume for volume in listed}

        def read(name: str) -> VolumeFacts | None:
            with contextlib.suppress(NotFoundError), translated("read a volume"):
                return VolumeFacts.from_xml(every[name].XMLDesc())
            return None

        return Listing(every, read)

    def create_volume(self, pool: str, document: str) -> VolumeFacts:
        """Make the volume of an XML document.

        Raises:
            AlreadyExistsError: the pool has a volume of that name.
        """
        with translated(f"create volume {_name(document)} in {pool}"):
            storage = self._connection.storagePoolLookupByName(pool)
            return VolumeFacts.from_xml(storage.createXML(document).XMLDesc())

    def upload(self, pool: str, name: str, content: BinaryIO, length: int) -> None:
        """Write `length` bytes from `content` into a volume, from its start."""
        with translated(f"upload into volume {name}"), self._stream() as stream:
            volume = self._connection.storagePoolLookupByName(pool).storageVolLookupByName(name)
            volume.upload(stream, 0, length)
            while chunk := content.read(_CHUNK):
                stream.send(chunk)

    def download(self, pool: str, name: str, length: int) -> bytes:
        """Return the first `length` bytes of a volume."""
        with translated(f"download volume {name}"), self._stream() as stream:
            volume = self._connection.storagePoolLookupByName(pool).storageVolLookupByName(name)
            volume.download(stream, 0, length)
            parts = []
            while chunk := stream.recv(_CHUNK):
                parts.append(chunk)
            return b"".join(parts)

    def fetch(self, pool: str, name: str, target: Callable[[bytes], object], *, offset: int = 0) -> None:
        """Give a whole volume, as it lies in the pool, to `target`, part by part.

        Args:
            offset: bytes to leave out at the beginning.
        """
        with translated(f"download volume {name}"), self._stream() as stream:
            volume = self._connection.storagePoolLookupByName(pool).storageVolLookupByName(name)
            volume.download(stream, offset, 0)
            while chunk := stream.recv(_CHUNK):
                target(chunk)

    def copy_volume(self, pool: str, source: str, document: str) -> str:
        """Make the volume of an XML document with the bytes of another one, as they lie in the pool.

        libvirt's own copy (virStorageVolCreateXMLFrom) would write what an overlay shows, its backing volume too.

        Returns:
            The SHA-256 of the bytes, hexadecimal.

        Raises:
            AlreadyExistsError: the pool has a volume of that name.
        """
        name = self.create_volume(pool, document).name
        hashed = hashlib.sha256()
        with translated(f"copy volume {source} to {name}"), self._stream() as stream:
            self._connection.storagePoolLookupByName(pool).storageVolLookupByName(name).upload(stream, 0, 0)

            def take(chunk: bytes) -> None:
                hashed.update(chunk)
                stream.send(chunk)

            self.fetch(pool, source, take)
        return hashed.hexdigest()

    def remove_volume(self, pool: str, name: str) -> None:
        """Delete a volume; nothing happens when it is gone."""
        with contextlib.suppress(NotFoundError), translated(f"delete volume {name}"):
            self._connection.storagePoolLookupByName(pool).storageVolLookupByName(name).delete()

    # -- domains ------------------------------------------------------------------------------------------------

    def domains(self) -> Listing[DomainFacts]:
        """Return every domain by name; their states are those of this moment."""
        every = {domain.name(): (domain, state, reason) for domain, state, reason in self._states()}

        def read(name: str) -> DomainFacts | None:
            domain, state, reason = every[name]
            with contextlib.suppress(NotFoundError), translated("read a domain"):  # removed by somebody meanwhile
                return DomainFacts.from_xml(domain.XMLDesc(), state, reason)
            return None

        return Listing(every, read, uuids={UUID(bytes=domain.UUID()): name for name, (domain, *_) in every.items()})

    def states(self) -> dict[tuple[str, UUID], State]:
        """Return the state of every domain by name and UUID, asked for in one call."""
        return {(domain.name(), UUID(bytes=domain.UUID())): state for domain, state, _ in self._states()}

    def files(self) -> dict[str, frozenset[str]]:
        """Return the paths of the disks of every running domain, and of all that they stand on, asked for in one call.

        A domain is missing where libvirt does not tell the path of each.
        """
        with translated("list the domains' disks"):
            flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING
            every = self._connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_BLOCK, flags)
        found = {}
        for domain, facts in every:
            paths = [str(value) for key, value in facts.items() if key.startswith("block.") and key.endswith(".path")]
            if len(paths) == facts.get("block.count"):
                found[domain.name()] = frozenset(paths)
        return found

    def domain(self, uuid: UUID) -> DomainFacts | None:
        """Return the domain of that UUID; None when there is none."""
        with contextlib.suppress(NotFoundError):
            return self._domain_facts(self._lookup(uuid))
        return None

    def define_domain(self, document: str) -> None:
        """Define a domain from its XML document, checked against libvirt's schema.

        Raises:
            AlreadyExistsError: a domain of that name and another UUID exists.
        """
        with translated("define a domain"):
            self._connection.defineXMLFlags(document, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)

    def start_domain(self, uuid: UUID, *, paused: bool = False) -> None:
        """Start a domain; nothing happens when it runs.

        Args:
            paused: start it with its processors stopped; `resume_domain` lets them go.
        """
        domain = self._lookup(uuid)
        flags = libvirt.VIR_DOMAIN_START_PAUSED if paused else 0
        self._start(domain, f"start domain {domain.name()}", lambda: domain.createWithFlags(flags))

    def resident(self) -> dict[UUID, int]:
        """Return how many bytes of the host's memory each running domain takes now, asked for in one call.

        A domain is missing where libvirt cannot tell.
        """
        with translated("ask the domains for their memory"):
            found = self._connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_BALLOON, 0)
            return {
                UUID(bytes=domain.UUID()): int(facts["balloon.rss"]) * 1024
                for domain, facts in found
                if "balloon.rss" in facts
            }

    def processor_time(self, uuid: UUID) -> float:
        """Return how many seconds of the host's processors a running domain has taken so far."""
        domain = self._lookup(uuid)
        with translated(f"ask domain {domain.name()} for its processor time"):
            return float(domain.info()[4]) / 1e9

    def suspend_domain(self, uuid: UUID) -> None:
        """Stop a running domain's processors; nothing happens when they stand still."""
        domain = self._lookup(uuid)
        with translated(f"suspend domain {domain.name()}"):
            if domain.state()[0] != libvirt.VIR_DOMAIN_PAUSED:
                domain.suspend()

    def save_domain(self, uuid: UUID, path: str) -> None:
        """Write a domain's memory to a file on the host, which is that of a volume, and end the domain."""
        domain = self._lookup(uuid)
        with translated(f"save the memory of domain {domain.name()}"):
            domain.saveFlags(path, None, libvirt.VIR_DOMAIN_SAVE_PAUSED)

    def restore_domain(self, path: str) -> None:
        """Start the domain that a memory image describes, with its memory, its processors stopped."""
        with translated("restore a domain's memory"):
            self._connection.restoreFlags(path, None, libvirt.VIR_DOMAIN_SAVE_PAUSED)

    def run_inside(
        self, uuid: UUID, script: str, *, timeout: float, cancelled: threading.Event, stdin: bytes = b""
    ) -> Result:
        """Run a shell script in a domain's guest through its agent; see `agent.execute`."""
        return agent.execute(self._lookup(uuid), script, stdin=stdin, timeout=timeout, cancelled=cancelled)

    def resume_domain(self, uuid: UUID) -> None:
        """Let a paused domain go on."""
        domain = self._lookup(uuid)
        with translated(f"resume domain {domain.name()}"):
            domain.resume()

    def plug(self, uuid: UUID, mac: str, network: str) -> None:
        """Plug a card of a running domain into a network; the guest notices nothing.

        libvirt does nothing where it takes the card for plugged in there already.
        """
        domain = self._lookup(uuid)
        with translated(f"plug a card of domain {domain.name()} into network {network}"):
            root = ET.fromstring(domain.XMLDesc())  # noqa: S314 - libvirt's own words
            card = next((card for card in root.findall("devices/interface") if _mac(card) == mac), None)
            if card is None:
                raise NotFoundError(f"domain {domain.name()} has no card {mac}")
            for source in card.findall("source"):
                source.attrib = {"network": network}
            domain.updateDeviceFlags(ET.tostring(card, encoding="unicode"), libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def shutdown_domain(self, uuid: UUID) -> None:
        """Ask a running domain's guest to power off; it may take its time or not listen."""
        domain = self._lookup(uuid)
        with translated(f"shut domain {domain.name()} down"):
            domain.shutdown()

    def remove_domain(self, uuid: UUID) -> None:
        """Power a domain off at once and undefine it; nothing happens when it is gone."""
        with contextlib.suppress(NotFoundError):
            self.power_off(uuid)
            domain = self._lookup(uuid)
            with translated(f"undefine domain {domain.name()}"):
                domain.undefineFlags(
                    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
                )

    def power_off(self, uuid: UUID) -> None:
        """Power a domain off at once; nothing happens when it is off."""
        domain = self._lookup(uuid)
        with translated(f"power domain {domain.name()} off"):
            if domain.isActive():
                domain.destroy()

    def wait_for_domain(
        self,
        uuid: UUID,
        wanted: Callable[[DomainFacts | None], bool],
        *,
        timeout: float,
        cancelled: threading.Event,
    ) -> bool:
        """Wait until the domain's facts (None: it is gone) are as wanted.

        Args:
            timeout: seconds at most.
            cancelled: ends the wait early when set.

        Returns:
            Whether they are.
        """
        changed = threading.Event()
        deadline = time.monotonic() + timeout
        with self._lifecycle(uuid, changed):
            while not wanted(self.domain(uuid)):
                remaining = deadline - time.monotonic()
                if remaining <= 0 or cancelled.is_set():
                    return False
                changed.wait(min(remaining, 1.0))  # an event ends the wait; a second bounds it for `cancelled`
                changed.clear()
        return True

    # -- inside -------------------------------------------------------------------------------------------------

    def _states(self) -> list[tuple[libvirt.virDomain, State, str]]:
        """Return every domain with its state and the reason for it."""
        with translated("list the domains"):
            found = self._connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, 0)
        states = [(domain, State.from_libvirt(facts.get("state.state", 0)), facts) for domain, facts in found]
        return [(domain, state, state.reason(facts.get("state.reason", 0))) for domain, state, facts in states]

    def _lookup(self, uuid: UUID) -> libvirt.virDomain:
        with translated(f"find domain {uuid}"):
            return self._connection.lookupByUUIDString(str(uuid))

    @staticmethod
    def _domain_facts(domain: libvirt.virDomain) -> DomainFacts:
        with translated("read a domain"):
            number, reason = domain.state()
            state = State.from_libvirt(number)
            return DomainFacts.from_xml(domain.XMLDesc(), state, state.reason(reason))

    @staticmethod
    def _start(thing: Any, doing: str, create: Callable[[], object] | None = None) -> None:
        with translated(doing):
            if thing.isActive():
                return
            try:
                (create or thing.create)()
            except libvirt.libvirtError:
                if not thing.isActive():  # otherwise somebody was faster
                    raise

    @contextlib.contextmanager
    def _lifecycle(self, uuid: UUID, changed: threading.Event) -> Iterator[None]:
        """Set `changed` at every lifecycle event of the domain; nothing comes for one that is gone."""
        try:
            domain = self._lookup(uuid)
        except NotFoundError:
            yield
            return
        with translated("listen to a domain"):
            callback = self._connection.domainEventRegisterAny(
                domain, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lambda *_: changed.set(), None
            )
        try:
            yield
        finally:
            with contextlib.suppress(libvirt.libvirtError):
                self._connection.domainEventDeregisterAny(callback)

    @contextlib.contextmanager
    def _stream(self) -> Iterator[libvirt.virStream]:
        stream = self._connection.newStream()
        try:
            yield stream
        except BaseException:
            with contextlib.suppress(libvirt.libvirtError):
                stream.abort()
            raise
        stream.finish()


def _opened(uri: str) -> libvirt.virConnect:
    """Open a connection, but wait no longer than a libvirtd needs that is started by the first who knocks.

    libvirt's own call waits for ever for one that hangs: keepalive begins when the connection stands.
    """
    answers: queue.SimpleQueue[libvirt.virConnect | libvirt.libvirtError] = queue.SimpleQueue()
    given_up = threading.Event()

    def connect() -> None:
        try:
            connection = libvirt.open(uri)
        except libvirt.libvirtError as exc:
            answers.put(exc)
            return
        answers.put(connection)
        if given_up.is_set():
            connection.close()

    threading.Thread(target=connect, name="libvirt-open", daemon=True).start()
    seconds = _CONNECT["ssh" in urlsplit(uri).scheme]
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        given_up.set()
        raise HypervisorError(
            f"libvirt at {uri} does not answer within {seconds:.0f} s",
            details="Something takes connections there and says nothing: libvirtd hangs, or is still starting.",
            remedy=f"Try again; if it stays so, restart libvirtd there. {_connecting(uri)}",
        ) from None
    if isinstance(answer, libvirt.libvirtError):
        raise answer
    return answer


def _mac(device: ET.Element) -> str:
    address = device.find("mac")
    return address.get("address", "") if address is not None else ""


def _name(document: str) -> str:
    """Return the name in an object's XML document."""
    return ET.fromstring(document).findtext("name") or "without a name"  # noqa: S314 - our own words


def _connecting(uri: str) -> str:
    """Say what to look at when nothing answers at a URI."""
    parts = urlsplit(uri)
    if "ssh" not in parts.scheme:
        return "See that libvirtd runs: labctl doctor, labctl host status."
    user = f"{parts.username}@" if parts.username else ""
    port = f" -p {parts.port}" if parts.port else ""
    return f"`ssh{port} {user}{parts.hostname}` must work without a question, and libvirtd run there; try it first."
