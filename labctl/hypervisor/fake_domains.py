"""The fake of `domains`."""

from __future__ import annotations

import contextlib
import functools
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from uuid import UUID

import libvirt

from labctl.errors import DeadlineError, HypervisorError, NotFoundError, RemoteError
from labctl.guest import Result
from labctl.hypervisor import fake_xml
from labctl.hypervisor.facts import DomainFacts, State
from labctl.hypervisor.fake_disk import File
from labctl.hypervisor.fake_link import FakeLink
from labctl.hypervisor.fake_objects import FakeConsole, FakeDomain, Refusal, invalid
from labctl.hypervisor.listing import Listing
from labctl.hypervisor.memory import MOST, Head

_ROOM = 64 * 1024  # to a multiple of this, libvirt fills the head of a memory image up
_HEADER = 92


class FakeDomains(FakeLink):
    """The domains of a fake host; see `Domains`."""

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

    def open_console(self, uuid: UUID, received: Callable[[bytes], object]) -> FakeConsole:
        """Open a running domain's serial console, which shows what is typed; see `Domains.open_console`."""
        with self._does("open a console"):
            self._check_active(self._domain(uuid))
            return FakeConsole(received)

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
