"""What the door needs of labs: `labctl.lab.visit.Visits` has it. It is called in threads, for every call may block."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from labctl.lab.access import Access
from labctl.lab.visit import Console, Line, Mark, NodeKeys
from labctl.plan.model import LabPlan

_DIALS = 64  # connections that may be on their way at a time: each of them holds a thread
_DIALS_OF_A_TEAM = 8
_READS = 8

T = TypeVar("T")


class Labs(Protocol):
    """The labs of all teams."""

    def access(self, team: str) -> Access | None:
        """Return how a team comes in; None where it does not."""
        ...

    def plan(self, team: str) -> LabPlan:
        """Return the plan of a team's lab."""
        ...

    def marks(self, team: str) -> Mapping[str, Mark]:
        """Return which making of each node there is; nothing where the team has no lab."""
        ...

    def keys(self, team: str, node: str) -> NodeKeys:
        """Return what a login to a node needs."""
        ...

    def dial(self, team: str, host: str, port: int) -> Line:
        """Open a TCP connection to a port of a team's lab, and to nothing else."""
        ...

    def console(self, team: str, node: str, received: Callable[[bytes], object]) -> Console:
        """Open a node's serial console; what is printed from then on comes in another thread, nothing at the end."""
        ...

    def picture(self, team: str, node: str) -> Line:
        """Connect with a node's screen (VNC)."""
        ...

    def sweep(self) -> None:
        """Close what nobody has used for a while."""
        ...

    def close(self) -> None:
        """Close everything as soon as nobody uses it."""
        ...


class Calls:
    """The same labs, for a program that must not block. No team can keep the others waiting."""

    def __init__(self, labs: Labs) -> None:
        self._labs = labs
        self._dialling = ThreadPoolExecutor(max_workers=_DIALS, thread_name_prefix="door-dial")
        self._reading = ThreadPoolExecutor(max_workers=_READS, thread_name_prefix="door-read")
        self._turns: dict[str, asyncio.Semaphore] = {}

    async def access(self, team: str) -> Access | None:
        """Return how a team comes in; None where it does not."""
        return await self._read(lambda: self._labs.access(team))

    async def plan(self, team: str) -> LabPlan:
        """Return the plan of a team's lab."""
        return await self._read(lambda: self._labs.plan(team))

    async def marks(self, team: str) -> Mapping[str, Mark]:
        """Return which making of each node there is."""
        return await self._read(lambda: self._labs.marks(team))

    async def keys(self, team: str, node: str) -> NodeKeys:
        """Return what a login to a node needs."""
        return await self._read(lambda: self._labs.keys(team, node))

    async def dial(self, team: str, host: str, port: int) -> Line:
        """Open a TCP connection to a port of a team's lab."""
        return await self._dialled(team, lambda: self._labs.dial(team, host, port))

    async def console(self, team: str, node: str, received: Callable[[bytes], object]) -> Console:
        """Open a node's serial console."""
        return await self._dialled(team, lambda: self._labs.console(team, node, received))

    async def picture(self, team: str, node: str) -> Line:
        """Connect with a node's screen."""
        return await self._dialled(team, lambda: self._labs.picture(team, node))

    async def sweep(self) -> None:
        """Close what nobody has used for a while."""
        await self._read(self._labs.sweep)

    def close(self) -> None:
        """Close everything; a call that is on its way is not waited for."""
        self._dialling.shutdown(wait=False, cancel_futures=True)
        self._reading.shutdown(wait=False, cancel_futures=True)
        self._labs.close()

    async def _dialled(self, team: str, call: Callable[[], T]) -> T:
        async with self._turns.setdefault(team, asyncio.Semaphore(_DIALS_OF_A_TEAM)):
            return await asyncio.get_running_loop().run_in_executor(self._dialling, call)

    async def _read(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reading, call)
