"""What stands on a fake host: pools, networks, domains and guests, and how libvirt refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

import libvirt

from labctl.hypervisor.facts import NetworkFacts, State
from labctl.hypervisor.fake_disk import File

if TYPE_CHECKING:
    from labctl.hypervisor.fake_host import FakeHost


class Refusal(Exception):  # noqa: N818 - it becomes one of our errors
    """libvirt refuses a call.

    Args:
        code: libvirt's number of the error.
        message: libvirt's words.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Unscripted(AssertionError):  # noqa: N818 - it is no error of what is tested
    """A guest was given a script that nobody has told it to answer."""


@dataclass
class FakePool:
    """A directory pool; `listed` are the files that it knows of, and its sizes are those of the last look."""

    name: str
    uuid: UUID
    path: str
    active: bool = False
    autostart: bool = False
    listed: set[str] = field(default_factory=set)
    capacity: int = 0
    available: int = 0


@dataclass
class FakeNetwork:
    """A network; `starts` tells the bridge of one start from that of another."""

    document: str
    facts: NetworkFacts
    starts: int = 0

    @property
    def active(self) -> bool:
        """Whether it runs."""
        return self.facts.active


@dataclass
class FakeDomain:
    """A domain: its document, that of its running machine, and the guest in it."""

    name: str
    uuid: UUID
    document: str | None
    live: str | None = None
    state: State = State.SHUTOFF
    guest: FakeGuest | None = None
    reason: str = ""


@dataclass
class FakeGuest:
    """What runs in a domain.

    Attributes:
        disks: the files that it writes to, by device. They stay open when somebody deletes their names.
        cds: the files that it only reads.
        cards: MAC, network and that network's start, for each card.
        memory: what it knows; empty before it has booted.
        agent: whether its agent answers.
        listens: whether it powers off when it is asked to.
    """

    domain: FakeDomain
    host: FakeHost
    disks: dict[str, File]
    cds: dict[str, File]
    cards: tuple[tuple[str, str, int], ...]
    memory: dict[str, Any] = field(default_factory=dict)
    agent: bool = True
    listens: bool = True

    def run(self) -> None:
        """Boot, or go on."""
        if not self.memory:
            self.host.boots += 1
            self.memory = {"boot": self.host.boots, "writes": {}}
            self.write()
            self.host.booted(self)
        self.write()

    def write(self, **marks: object) -> None:
        """Write to every disk, as a running system does all the time, and remember how often that was."""
        for device, file in self.disks.items():
            if file.disk is None:
                continue
            state = self.host.written(file) | marks
            state["writes"] = int(state.get("writes", 0)) + 1
            file.state = state
            self.memory["writes"][device] = state["writes"]

    @property
    def disk(self) -> dict[str, Any]:
        """What was written to its first disk, by it and by those whose images lie under it."""
        return self.host.written(next(iter(self.disks.values())))


class FakeConsole:
    """A serial console that shows what is typed."""

    def __init__(self, received: Callable[[bytes], object]) -> None:
        self._received = received
        self._open = True

    def write(self, data: bytes) -> None:
        """Type."""
        if self._open:
            self._received(data)

    def close(self) -> None:
        """Let go of it; safe more than once."""
        if self._open:
            self._open = False
            self._received(b"")


def invalid(message: str) -> Refusal:
    """Return the refusal of a call that does not fit the state of things."""
    return Refusal(libvirt.VIR_ERR_OPERATION_INVALID, f"Requested operation is not valid: {message}")
