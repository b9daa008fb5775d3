"""A classroom in a test: the real door on loopback, labs of two teams, and a node behind them that is an SSH server.

All nodes are one server, as all teams' nodes have the same names; what was dialled tells them apart. Nothing but
loopback is dialled.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncssh
from netaddr import IPNetwork

from labctl.door import hall, server
from labctl.door.server import Listening
from labctl.errors import InputError, LabctlError, RemoteError
from labctl.lab.access import Access
from labctl.lab.sessions import SessionEvent
from labctl.lab.visit import Console, Line, Mark, NodeKeys, target
from labctl.plan.lab import plan
from labctl.plan.model import Identity, LabPlan
from labctl.remote import keys
from labctl.spec import topology

HOST, LAB, DOOR = (keys.generate(name) for name in ("node", "lab", "door"))
PASSWORDS = {"red": "red-red-red", "blue": "blue-blue-blue"}
LATE = "the end of it"


def team_plan(team: str, number: int) -> LabPlan:
    identity = Identity(
        team=team, lab=UUID(int=number), owner=UUID(int=99), mgmt=IPNetwork(f"192.168.{128 + number}.0/24")
    )
    return plan(topology.load("mini"), identity)


@dataclass
class FakeLabs:
    """The labs of red and blue.

    Attributes:
        ssh, echo: ports of loopback behind port 22, and behind every other one that is not in `ports`.
        dialled: team, host as asked for, address and port, of each connection that was made.
        lines: how many connections are open.
    """

    ssh: int = 0
    echo: int = 0
    plans: dict[str, LabPlan] = field(
        default_factory=lambda: {team: team_plan(team, number) for number, team in enumerate(PASSWORDS)}
    )
    access_: dict[str, Access] = field(
        default_factory=lambda: {team: Access(team=team, password=word) for team, word in PASSWORDS.items()}
    )
    generations: dict[tuple[str, str], int] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    dialled: list[tuple[str, str, str, int]] = field(default_factory=list)
    ports: dict[int, int] = field(default_factory=dict)
    consoles: list[tuple[str, str]] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)
    lines: int = 0
    host_key: str = HOST.public

    def access(self, team: str) -> Access | None:
        return self.access_.get(team)

    def plan(self, team: str) -> LabPlan:
        if team not in self.plans:
            raise InputError(f"{team} has no lab")
        return self.plans[team]

    def marks(self, team: str) -> Mapping[str, Mark]:
        if team not in self.plans:
            return {}
        lab = self.plans[team]
        return {node.name: (str(lab.identity.lab), self.generations.get((team, node.name), 0)) for node in lab.nodes}

    def keys(self, team: str, node: str) -> NodeKeys:
        return NodeKeys(private=LAB.private, host=self.host_key)

    def dial(self, team: str, host: str, port: int) -> Line:
        found = target(self.plan(team), host, team=team)
        if found.node is not None and found.node.name in self.dead:
            raise RemoteError(f"{found.address} does not answer on port {port}")
        behind = self.ssh if port == 22 else self.ports.get(port, self.echo)
        opened = socket.create_connection(("127.0.0.1", behind), timeout=10)
        self.dialled.append((team, host, found.address, port))
        self.lines += 1
        return Line(socket=opened, target=found, release=self._released)

    def console(self, team: str, node: str, received: Callable[[bytes], object]) -> Console:
        """Open a console that shows what is typed; the words "stop", "flood" and "stall" do what they say."""
        if node not in {each.name for each in self.plan(team).nodes} or node in self.dead:
            raise InputError(f"{node} of {team} is shut off", remedy=f"labctl start {team}")
        self.consoles.append((team, node))
        self.lines += 1

        def write(data: bytes) -> None:
            if data == b"stall":
                self.stalled.wait(20)
            words = {b"stop": b"", b"flood": b"x" * 3_000_000}
            threading.Thread(target=received, args=(words.get(data, data),)).start()

        return Console(printed=b"it booted ", write=write, close=self._released)

    def picture(self, team: str, node: str) -> Line:
        """Connect with a screen, which shows what is typed."""
        if node in self.dead:
            raise RemoteError(f"{node} of {team} has no screen")
        return self.dial(team, f"{team}-{node}", 5900)

    def _released(self) -> None:
        self.lines -= 1

    def sweep(self) -> None: ...

    def close(self) -> None: ...


@dataclass
class Classroom:
    """The door, and what is behind it.

    Attributes:
        events: what the door recorded.
        failures: what went wrong meanwhile.
        asked: what the node was asked for besides a session: agent, X11, environment.
    """

    port: int
    labs: FakeLabs
    events: list[SessionEvent]
    failures: list[LabctlError]
    asked: list[str]

    @contextlib.asynccontextmanager
    async def visit(
        self, user: str, password: str | None = None, **options: Any
    ) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """Come in; by the team's own password if neither a password nor keys are given."""
        if password is None and "client_keys" not in options:
            password = PASSWORDS.get(user.partition("+")[0], "none")
        given = {"password": password, "client_keys": None}
        async with asyncssh.connect(
            "127.0.0.1",
            self.port,
            **{"username": user, "known_hosts": None, "config": None, "agent_path": None, **given, **options},
        ) as connection:
            yield connection

    def said(self, *kinds: str) -> list[tuple[str, str, str, str]]:
        """Return what was recorded: event, team, what and where."""
        return [
            (event.event, event.team, event.what, event.where)
            for event in self.events
            if not kinds or event.event in kinds
        ]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.01)

    def reset(self, team: str, node: str) -> None:
        """Give a node another generation, as labctl reset does first."""
        self.labs.generations[team, node] = self.labs.generations.get((team, node), 0) + 1

    def destroy(self, team: str) -> None:
        """Remove a team's lab."""
        del self.labs.plans[team]

    def give_key(self, team: str, line: str) -> None:
        """Let a team in by a key."""
        self.labs.access_[team] = replace(self.labs.access_[team], keys=(line,))


def play(
    folder: Path, scene: Callable[[Classroom], Coroutine[Any, Any, None]], *, recordings: Path | None = None
) -> None:
    """Open a classroom, and play a scene in it, for a minute at most."""

    async def main() -> None:
        async with asyncio.timeout(60), classroom(folder, recordings) as room:
            await scene(room)

    asyncio.run(main())


@contextlib.asynccontextmanager
async def classroom(folder: Path, recordings: Path | None) -> AsyncIterator[Classroom]:
    """Open a classroom whose node has its files in a folder; terminals are recorded where there is a folder for it."""
    events, failures, asked = list[SessionEvent](), list[LabctlError](), list[str]()
    listening = Listening(address="127.0.0.1", port=0, host_key=DOOR.private)
    async with (
        nodes(folder, asked) as labs,
        hall.opened(labs, record=events.extend, failed=failures.append, recordings=recordings) as behind,
        server.opened(behind, listening) as port,
    ):
        yield Classroom(port=port, labs=labs, events=events, failures=failures, asked=asked)


@contextlib.asynccontextmanager
async def nodes(folder: Path, asked: list[str]) -> AsyncIterator[FakeLabs]:
    """Start the node that has its files in a folder; give the labs that have it."""
    labs = FakeLabs()
    node = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: _Node(asked),
        server_host_keys=[asyncssh.import_private_key(HOST.private)],
        process_factory=_program,
        sftp_factory=lambda chan: asyncssh.SFTPServer(chan, chroot=str(folder).encode()),
        config=None,
        encoding=None,
        line_editor=False,
        x11_forwarding=False,
    )
    echo = await asyncio.start_server(_echo, "127.0.0.1", 0)
    labs.ssh, labs.echo = node.get_port(), echo.sockets[0].getsockname()[1]
    try:
        yield labs
    finally:
        node.close()
        echo.close()


class _Node(asyncssh.SSHServer):
    """Lets root in with the lab's key."""

    def __init__(self, asked: list[str]) -> None:
        self._asked = asked

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        async def noted(what: str) -> None:
            self._asked.append(what)

        conn.create_agent_listener = lambda: noted("agent")  # type: ignore[method-assign, assignment, return-value]
        conn.attach_x11_listener = lambda *_: noted("x11")  # type: ignore[method-assign, assignment, return-value]

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == "root" and key.export_public_key().split()[:2] == LAB.public.encode().split()[:2]


async def _program(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """What the node's shell does."""
    name, *words = (process.command or "shell").split()
    await _PROGRAMS[name](process, *words)


async def _shell(process: asyncssh.SSHServerProcess[bytes]) -> None:
    process.stdout.write(f"{process.term_type} {process.term_size[0]} $ ".encode())
    try:
        while line := await process.stdin.readline():
            process.stdout.write(b"you said " + line)
    except asyncssh.TerminalSizeChanged as exc:
        process.stdout.write(f"size {exc.width}".encode())
    except asyncssh.SignalReceived as exc:
        process.stdout.write(f"signal {exc.signal}".encode())
    process.exit(0)


async def _cat(process: asyncssh.SSHServerProcess[bytes]) -> None:
    while content := await process.stdin.read(65536):
        process.stdout.write(content)
        await process.stdout.drain()
    process.exit(0)


async def _env(process: asyncssh.SSHServerProcess[bytes]) -> None:
    process.stdout.write(repr(sorted(process.env)).encode())
    process.exit(0)


async def _flood(process: asyncssh.SSHServerProcess[bytes], count: str) -> None:
    for _ in range(int(count)):
        process.stdout.write(b"x" * 65536)
        await process.stdout.drain()
    process.stdout.write(LATE.encode())
    process.exit(0)


async def _fail(process: asyncssh.SSHServerProcess[bytes], status: str) -> None:
    process.stderr.write(b"no")
    process.exit(int(status))


async def _die(process: asyncssh.SSHServerProcess[bytes]) -> None:
    process.exit_with_signal("KILL")


async def _sleep(process: asyncssh.SSHServerProcess[bytes]) -> None:
    process.stdout.write(b"asleep")
    await process.stdin.read()
    await asyncio.sleep(30)


_PROGRAMS = {"shell": _shell, "cat": _cat, "env": _env, "flood": _flood, "fail": _fail, "die": _die, "sleep": _sleep}


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while content := await reader.read(65536):
        writer.write(content)
        await writer.drain()
    writer.write(b"!")
    writer.close()
