"""The calls to libvirt about domains."""

from __future__ import annotations

import contextlib
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from uuid import UUID

import libvirt

from labctl.errors import NotFoundError
from labctl.guest import Result
from labctl.hypervisor import agent
from labctl.hypervisor.console import Console
from labctl.hypervisor.facts import DomainFacts, State
from labctl.hypervisor.link import Link
from labctl.hypervisor.listing import Listing
from labctl.hypervisor.networks import mac as mac_of
from labctl.hypervisor.translate import translated


class Domains(Link):
    """The domains of a host."""

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
        """Return the paths of the disks of every running domain and of their backing files, in one call.

        A domain is left out if libvirt does not report the path of each of its disks.
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
        """Define a domain from its XML document.

        libvirt could check it against its schema, which it reads anew for each domain: 50 ms. For our documents
        tests/unit/test_render_xml.py does that.

        Raises:
            AlreadyExistsError: a domain of that name and another UUID exists.
        """
        with translated("define a domain"):
            domain = self._connection.defineXML(document)
            self._known[UUID(bytes=domain.UUID())] = domain

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

        A domain is left out if libvirt does not report it.
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
        """Stop a running domain's processors; nothing happens when they are stopped."""
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
        """Restore the domain that a memory image describes, with its processors stopped."""
        with translated("restore a domain's memory"):
            self._connection.restoreFlags(path, None, libvirt.VIR_DOMAIN_SAVE_PAUSED)

    def run_inside(
        self, uuid: UUID, script: str, *, timeout: float, cancelled: threading.Event, stdin: bytes = b""
    ) -> Result:
        """Run a shell script in a domain's guest through its agent; see `agent.execute`."""
        return agent.execute(self._lookup(uuid), script, stdin=stdin, timeout=timeout, cancelled=cancelled)

    def open_console(self, uuid: UUID, received: Callable[[bytes], object]) -> Console:
        """Open a running domain's serial console; whoever had it open loses it.

        Args:
            received: told what the guest prints from now on, in a thread of libvirt's; nothing at the end.
        """
        domain = self._lookup(uuid)
        with translated(f"open the console of domain {domain.name()}"):
            stream = self._connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
            domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
            return Console(stream, received)

    def resume_domain(self, uuid: UUID) -> None:
        """Resume a paused domain."""
        domain = self._lookup(uuid)
        with translated(f"resume domain {domain.name()}"):
            domain.resume()

    def plug(self, uuid: UUID, mac: str, network: str) -> None:
        """Plug a card of a running domain into a network. The guest does not notice it.

        libvirt does nothing if its records say that the card is plugged in there already.
        """
        domain = self._lookup(uuid)
        with translated(f"plug a card of domain {domain.name()} into network {network}"):
            root = ET.fromstring(domain.XMLDesc())  # noqa: S314 - libvirt's own words
            card = next((card for card in root.findall("devices/interface") if mac_of(card) == mac), None)
            if card is None:
                raise NotFoundError(f"domain {domain.name()} has no card {mac}")
            for source in card.findall("source"):
                source.attrib = {"network": network}
            domain.updateDeviceFlags(ET.tostring(card, encoding="unicode"), libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def shutdown_domain(self, uuid: UUID) -> None:
        """Ask a running domain's guest to power off. The guest may take long, or ignore it."""
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

    def _states(self) -> list[tuple[libvirt.virDomain, State, str]]:
        """Return every domain with its state and the reason for it."""
        with translated("list the domains"):
            found = self._connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, 0)
        states = [(domain, State.from_libvirt(facts.get("state.state", 0)), facts) for domain, facts in found]
        return [(domain, state, state.reason(facts.get("state.reason", 0))) for domain, state, facts in states]

    def _lookup(self, uuid: UUID) -> libvirt.virDomain:
        """Return a domain, which is asked for once: each call finds it by its UUID, or says that it is gone."""
        found = self._known.get(uuid)
        if found is None:
            with translated(f"find domain {uuid}"):
                found = self._known[uuid] = self._connection.lookupByUUIDString(str(uuid))
        return found

    @staticmethod
    def _domain_facts(domain: libvirt.virDomain) -> DomainFacts:
        with translated("read a domain"):
            number, reason = domain.state()
            state = State.from_libvirt(number)
            return DomainFacts.from_xml(domain.XMLDesc(), state, state.reason(reason))

    @contextlib.contextmanager
    def _lifecycle(self, uuid: UUID, changed: threading.Event) -> Iterator[None]:
        """Set `changed` at every lifecycle event of the domain. A domain that is gone has none."""
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
