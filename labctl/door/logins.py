"""Keeps logins to nodes open and shares them: a login costs an emulated node five seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import asyncssh

from labctl.door.labs import Calls
from labctl.errors import RemoteError
from labctl.lab.visit import Line, Mark

_SESSIONS = 8  # on one connection; OpenSSH's server allows ten (MaxSessions)
_LOGIN = 120.0  # seconds that a busy emulated node may take
_KEEPALIVE, _MISSED = 10, 3  # seconds between questions whether the node is still there, and how many it may miss
_IDLE = 120.0  # seconds for which a login that nobody uses is kept
_SSH = 22


@dataclass(eq=False)
class Kept:
    """One connection to a node, logged in.

    Attributes:
        users: how many sessions are open on it, or about to be.
        left: loop time at which the last of them ended.
    """

    connection: asyncssh.SSHClientConnection
    mark: Mark
    users: int = 0
    left: float = 0.0

    @property
    def alive(self) -> bool:
        """Whether the connection stands, as far as anybody noticed."""
        return not self.connection.is_closed()


@dataclass
class _Node:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    kept: list[Kept] = field(default_factory=list)


class Logins:
    """The logins to the nodes of all labs, as root with the lab's key; nothing of the visitor's goes along."""

    def __init__(self, labs: Calls) -> None:
        self._labs = labs
        self._nodes: dict[tuple[str, str], _Node] = {}

    async def take(self, team: str, node: str) -> Kept:
        """Return a login to a node with room for a session, which `give` gives back.

        Raises:
            LabctlError: the node cannot be reached, is another machine, or refuses the lab's key.
        """
        here = self._nodes.setdefault((team, node), _Node())
        async with here.lock:  # one after the other: a server drops some of many logins at once (MaxStartups)
            mark = (await self._labs.marks(team)).get(node)
            if mark is None:
                raise RemoteError(f"{team} has no node {node} any more")
            here.kept = [kept for kept in here.kept if kept.alive]
            found = next((kept for kept in here.kept if kept.mark == mark and kept.users < _SESSIONS), None)
            if found is None:
                found = Kept(connection=await self._log_in(team, node), mark=mark)
                here.kept.append(found)
            found.users += 1
            return found

    def give(self, kept: Kept) -> None:
        """Give a login back."""
        kept.users -= 1
        kept.left = asyncio.get_running_loop().time()

    def sweep(self) -> None:
        """Close logins that nobody has used for a while."""
        now = asyncio.get_running_loop().time()
        for here in self._nodes.values():
            for kept in here.kept:
                if not kept.users and now - kept.left > _IDLE:
                    kept.connection.close()
            here.kept = [kept for kept in here.kept if kept.alive]

    def drop_stale(self, team: str, now: Mapping[str, Mark]) -> None:
        """End at once the logins to nodes of a team that have been made anew or removed."""
        for (whose, node), here in self._nodes.items():
            for kept in here.kept:
                if whose == team and kept.mark != now.get(node):
                    kept.connection.abort()

    def close(self) -> None:
        """End all logins at once."""
        for here in self._nodes.values():
            for kept in here.kept:
                kept.connection.abort()

    async def _log_in(self, team: str, node: str) -> asyncssh.SSHClientConnection:
        keys = await self._labs.keys(team, node)
        # By the management network: faults never break it.
        line = await self._labs.dial(team, f"{team}-{node}", _SSH)
        client = _Client(line)
        try:
            return await asyncssh.connect(
                sock=line.socket,
                client_factory=lambda: client,
                config=None,
                username="root",
                client_keys=[asyncssh.import_private_key(keys.private)],
                known_hosts=([asyncssh.import_public_key(keys.host)], [], []),
                preferred_auth="publickey",
                agent_path=None,
                login_timeout=_LOGIN,
                keepalive_interval=_KEEPALIVE,
                keepalive_count_max=_MISSED,
            )
        except BaseException as exc:
            line.socket.close()
            client.connection_lost(None)
            if isinstance(exc, (asyncssh.Error, OSError, TimeoutError)):
                raise _translated(node, exc) from exc
            raise


class _Client(asyncssh.SSHClient):
    """Lets go of the way into the lab when the connection has ended."""

    def __init__(self, line: Line) -> None:
        self._line: Line | None = line

    def connection_lost(self, exc: Exception | None) -> None:
        if self._line is not None:
            self._line.release()
            self._line = None


def _translated(node: str, exc: Exception) -> RemoteError:
    """Say what went wrong in words for whoever wanted to log in."""
    if isinstance(exc, asyncssh.HostKeyNotVerifiable):
        return RemoteError(f"{node}: another machine answers: its host key is not this node's")
    if isinstance(exc, asyncssh.PermissionDenied):
        return RemoteError(f"{node} refuses the lab's key", remedy="Somebody has changed root's authorized_keys.")
    return RemoteError(f"{node} does not let us in", details=str(exc))
