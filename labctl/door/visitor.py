"""One connection to the door: who it is, what it may open, and what is refused, which is all the rest."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import asyncssh

from labctl.door import menu
from labctl.door.labs import Calls
from labctl.door.logins import Logins
from labctl.door.recording import Recordings
from labctl.door.session import Place, Session
from labctl.door.tunnel import Tunnel
from labctl.errors import InputError, LabctlError, RefusedError
from labctl.lab import access
from labctl.lab.access import Access
from labctl.lab.limit import Limit
from labctl.lab.sessions import SessionEvent
from labctl.lab.visit import Mark
from labctl.remote import keys

_PASSWORDS = 6  # tries on one connection
_OPEN = 256  # sessions and ports on one connection; a browser opens dozens

Kind = Literal["login", "failed", "open", "end", "refused"]


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Something that a visitor has open.

    Attributes:
        where: the node, or name and port, as it is recorded.
        node: whose it is; None for an address that no node has.
        marks: the marks of the lab's nodes when it was opened.
        since: time.monotonic() then.
    """

    what: str
    where: str
    node: str | None
    marks: Mapping[str, Mark]
    since: float

    def stale(self, now: Mapping[str, Mark]) -> bool:
        """Whether the node, or the whole lab, has been made anew or removed since."""
        if self.node is not None:
            return now.get(self.node) != self.marks.get(self.node)
        return {lab for lab, _ in now.values()} != {lab for lab, _ in self.marks.values()}


@dataclass(frozen=True, kw_only=True)
class Building:
    """What all visitors share.

    Attributes:
        by_team, by_address: count wrong passwords.
        record: is told what happens.
        failed: is told what went wrong.
        recordings: of what terminals show; None where nothing is kept.
    """

    labs: Calls
    logins: Logins
    by_team: Limit
    by_address: Limit
    record: Callable[[SessionEvent], None]
    failed: Callable[[LabctlError], None]
    recordings: Recordings | None

    async def access(self, team: str) -> Access | None:
        """Return how a team comes in; None where it does not, or its file is damaged."""
        try:
            return await self.labs.access(team)
        except LabctlError as exc:
            self.failed(exc)
            return None


class Visitor(asyncssh.SSHServer):
    """One connection.

    Args:
        room: says whether there is room for it, when it comes and when it has logged in.
        left: is told when it is over.
    """

    def __init__(self, building: Building, *, room: Callable[[Visitor], bool], left: Callable[[Visitor], None]) -> None:
        self._building = building
        self._room, self._left = room, left
        self._id = secrets.token_hex(4)
        self._connection: asyncssh.SSHServerConnection | None = None
        self._address = ""
        self._user = ""
        self._how = ""
        self._passwords = 0
        self._count = 0
        self.admitted = False
        self.open: dict[Session | Tunnel, Opened] = {}

    @property
    def team(self) -> str:
        """The team that the login named."""
        return self._user.partition("+")[0]

    def disconnect(self, why: str) -> None:
        """End the connection, with a message."""
        if self._connection is not None:
            self._connection.disconnect(asyncssh.DISC_BY_APPLICATION, why)

    def end_stale(self, now: Mapping[str, Mark]) -> None:
        """End what leads to nodes that have been made anew or removed."""
        for each, opened in list(self.open.items()):
            if opened.stale(now):
                if isinstance(each, Session):
                    each.end(f"\n{opened.where} was reset or removed. Log in again when it is ready.")
                else:
                    each.end()

    # -- who it is --------------------------------------------------------------------------------------------------

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Note where it comes from; refuse agent and X11 forwarding for its whole life."""
        self._connection = conn
        self._address = str((conn.get_extra_info("peername") or ("",))[0])
        conn.create_agent_listener = self._no_agent  # type: ignore[method-assign]
        conn.attach_x11_listener = self._no_x11  # type: ignore[method-assign, assignment]
        self._turn_away_if_full()

    def begin_auth(self, username: str) -> bool:
        """Let nobody in without a password or key; the name is a team's, or team01+db-node."""
        self._user = username
        return True

    def password_auth_supported(self) -> bool:
        """Allow passwords."""
        return True

    def public_key_auth_supported(self) -> bool:
        """Allow keys."""
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        """Whether it is the team's; whoever was wrong too often has to wait."""
        team = username.partition("+")[0]
        counters = ((self._building.by_team, (self._address, team)), (self._building.by_address, self._address))
        self._passwords += 1
        if self._passwords > _PASSWORDS or any(limit.closed(who) for limit, who in counters):
            self._note("refused", "too many wrong passwords")
            self.disconnect("Too many wrong passwords. Wait a minute.")
            return False
        if access.knows_password(await self._building.access(team), password):
            self._how = "password"
            return True
        for limit, who in counters:
            limit.failed(who)
        return False

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Whether it is one of the team's."""
        line = key.export_public_key("openssh").decode()
        if access.knows_key(await self._building.access(username.partition("+")[0]), line):
            self._how = keys.fingerprint(line)
            return True
        return False

    def auth_completed(self) -> None:
        """Record the login, by the name that was let in: a client may have tried several."""
        if self._connection is not None:
            self._user = str(self._connection.get_extra_info("username"))
        self.admitted = True
        self._note("login", self._how)
        self._turn_away_if_full()

    def connection_lost(self, exc: Exception | None) -> None:
        """End everything that was open."""
        if not self.admitted and self._user:
            self._note("failed", "password" if self._passwords else "key")
        self._connection = None
        for each in list(self.open):
            if isinstance(each, Tunnel):
                each.end()
        self._left(self)

    # -- what it may open -------------------------------------------------------------------------------------------

    def session_requested(self) -> Session | bool:
        """Allow a session, which goes to a node."""
        if self._full():
            return False
        self._count += 1
        return Session(
            self._building.logins, self._choose, began=self._session_began, refused=self._refuse, ended=self._ended
        )

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:
        """Allow a connection to a port of the team's own lab."""
        if self._full():
            return False
        self._count += 1
        return self._tunnel(dest_host, dest_port)

    # -- what is refused --------------------------------------------------------------------------------------------

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        """Refuse ports on this machine (ssh -R)."""
        return self._refuse("remote forwarding", f"{listen_host}:{listen_port}")

    def unix_connection_requested(self, dest_path: str) -> bool:
        """Refuse sockets of this machine."""
        return self._refuse("socket forwarding", dest_path)

    def unix_server_requested(self, listen_path: str) -> bool:
        """Refuse sockets on this machine."""
        return self._refuse("remote socket forwarding", listen_path)

    def tun_requested(self, unit: int | None) -> bool:
        """Refuse network tunnels."""
        return self._refuse("network tunnel")

    def tap_requested(self, unit: int | None) -> bool:
        """Refuse network tunnels."""
        return self._refuse("network tunnel")

    async def _no_agent(self) -> bool:
        return self._refuse("agent forwarding")

    async def _no_x11(self, *_: object) -> None:
        self._refuse("X11 forwarding")

    def _refuse(self, what: str, where: str = "") -> bool:
        self._note("refused", what, where)
        return False

    def _full(self) -> bool:
        return self._count >= _OPEN and not self._refuse("too much at once")

    def _turn_away_if_full(self) -> None:
        if not self._room(self):
            self.disconnect("The door has too many visitors. Try again later.")

    # -- in between -------------------------------------------------------------------------------------------------

    async def _choose(self, session: Session) -> Place | None:
        """Return the node that the user name names, or that the visitor chooses from the list."""
        lab, wanted = await self._building.labs.plan(self.team), self._user.partition("+")[2]
        if not wanted and session.kind != "shell":
            raise InputError("which node?", remedy=f"Log in as {self.team}+NODE, {self.team}+{lab.nodes[0].name} say.")
        node = menu.node_of(lab, wanted) if wanted else await menu.choose(lab, session)
        if wanted and node is None:
            self._refuse(session.kind, wanted)
            names = ", ".join(node.name for node in lab.nodes)
            raise InputError(f"{self.team} has no node {wanted}", details=f"Its nodes are {names}.")
        if node and self._building.recordings is not None and session.kind == "shell" and session.terminal:
            session.record(self._building.recordings.begin(self.team, node, session.size))
        return Place(team=self.team, node=node) if node else None

    def _session_began(self, session: Session, what: str, place: Place, mark: Mark) -> None:
        self._keep(session, what, place.node, place.node, {place.node: mark})

    async def _tunnel(self, host: str, port: int) -> Tunnel:
        """Open a connection to the lab.

        Raises:
            ChannelOpenError: it is not allowed, or nobody answers.
        """
        where = f"{host[:255]}:{port}"
        try:
            marks = await self._building.labs.marks(self.team)
            line = await self._building.labs.dial(self.team, host, port)
        except RefusedError as exc:
            self._count -= 1
            self._refuse("port", where)
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, exc.brief) from exc
        except LabctlError as exc:
            self._count -= 1
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, exc.brief) from exc

        def ended() -> None:
            line.release()
            self._ended(tunnel)

        tunnel = Tunnel(ended)
        await tunnel.connect(line)
        self._keep(tunnel, "port", where, line.target.node.name if line.target.node else None, marks)
        if self._connection is None:
            tunnel.end()
        return tunnel

    def _keep(self, each: Session | Tunnel, what: str, where: str, node: str | None, marks: Mapping[str, Mark]) -> None:
        self.open[each] = Opened(what=what, where=where, node=node, marks=marks, since=time.monotonic())
        self._note("open", what, where)

    def _ended(self, each: Session | Tunnel) -> None:
        self._count -= 1
        if (opened := self.open.pop(each, None)) is not None:
            self._note("end", opened.what, opened.where, seconds=round(time.monotonic() - opened.since, 1))

    def _note(self, event: Kind, what: str = "", where: str = "", *, seconds: float | None = None) -> None:
        self._building.record(
            SessionEvent(
                at=round(time.time(), 3),
                event=event,
                connection=self._id,
                team=self.team[:64],
                address=self._address,
                what=what,
                where=where,
                seconds=seconds,
            )
        )
