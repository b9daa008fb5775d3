"""Opens connections to teams' labs for a program that runs all day: labs come, change and go meanwhile."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from netaddr import AddrFormatError, IPAddress

from labctl.errors import DeadlineError, LabctlError, RefusedError, RemoteError
from labctl.lab import access, inside, reach, rounds, secrets
from labctl.lab.access import Access
from labctl.plan.model import LabPlan, NodePlan
from labctl.remote.inside import LabDialer
from labctl.site import site
from labctl.state import Home, LabRecord, records

_TRUSTED = 10.0  # seconds for which a way that leads nowhere is not suspected to be out of date
_IDLE = 30.0  # seconds after which one that nobody uses is closed

_SEAT = 1.0  # seconds for which it is known whose lab a team works on: all events of all rounds say it

Mark = tuple[str, int]
"""Which making of a node it is: the lab's ID and the node's generation. A node that was reset has another mark."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A place in a lab that may be dialled.

    Attributes:
        address: in one of the lab's inner networks, or a node's own in the management network.
        node: whose address it is; None for an address that no plan knows, an instance's for instance.
    """

    address: str
    node: NodePlan | None


@dataclass(frozen=True, kw_only=True)
class Line:
    """An open connection to a lab.

    Attributes:
        socket: it belongs to the caller.
        release: is called once when the socket is closed; the way into the lab may be closed then.
    """

    socket: socket.socket
    target: Target
    release: Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Console:
    """A node's serial console, which somebody has opened.

    Attributes:
        printed: the last that was printed before.
        write: types.
        close: lets go of it; safe more than once.
    """

    printed: bytes
    write: Callable[[bytes], None]
    close: Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class NodeKeys:
    """What a login to a node needs: the lab's private key, and the host key that the node must show."""

    private: str = field(repr=False)
    host: str


class Visits:
    """The labs of all teams, as their plans and records are at the moment of each call. Safe to use from many threads.

    Every call may take seconds.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._ways: dict[str, _Way] = {}
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._seats: dict[str, tuple[str, float]] = {}

    def access(self, team: str) -> Access | None:
        """Return how a team comes in; None where it does not, or there can be no such team.

        Raises:
            DamagedError: its file does not contain what labctl wrote.
        """
        return access.known_or_none(self._home, team)

    def plan(self, team: str) -> LabPlan:
        """Return the plan of the lab that a team works on.

        Raises:
            InputError: it has none.
        """
        return records.plan_of(records.record_of(self._home, self._lab(team)))

    def marks(self, team: str) -> Mapping[str, Mark]:
        """Return the mark of each node of the lab that a team works on; nothing where it has no lab."""
        record = self._home.lab(self._lab(team)).load()
        if record is None:
            return {}
        return {name: (str(record.lab), record.generations.get(name, 0)) for name in record.topology["nodes"]}

    def keys(self, team: str, node: str) -> NodeKeys:
        """Return what a login to a node of the lab that a team works on needs.

        Raises:
            DamagedError: the lab's keys cannot be read.
        """
        folder = self._home.lab(self._lab(team))
        return NodeKeys(private=secrets.login_key(folder), host=secrets.host_key(folder, node))

    def dial(self, team: str, host: str, port: int) -> Line:
        """Open a TCP connection to a port of the lab that a team works on; `target` says which names there are.

        Raises:
            RefusedError: the host is not the lab's.
            RemoteError: nobody listens there, or the lab cannot be reached.
            DeadlineError: nobody answered in time.
        """
        lab = self._lab(team)
        record = records.record_of(self._home, lab)
        found = target(records.plan_of(record), host, team=team)
        way = self._way(lab, record)
        try:
            return self._line(way, found, port)
        except (DeadlineError, RemoteError):
            if way.age < _TRUSTED:
                raise
        # Its networks may have been stopped and started since it was made.
        self._retire(lab, way)
        return self._line(self._way(lab, record), found, port)

    def console(self, team: str, node: str, received: Callable[[bytes], object]) -> Console:
        """Open the serial console of a node of the lab that a team works on.

        Args:
            received: told what is printed from now on, in another thread; nothing at the end.

        Raises:
            InputError: there is no such node, or it is not running.
        """
        lab = self._lab(team)
        record = records.record_of(self._home, lab)
        way = self._way(lab, record)
        with contextlib.ExitStack() as stack:
            stack.callback(way.release)
            opened = reach.open_console(way.site, records.plan_of(record), node, received)
            stack.callback(opened.close)
            printed = reach.printed(way.site, records.plan_of(record), node)
            return Console(printed=printed, write=opened.write, close=stack.pop_all().close)

    def picture(self, team: str, node: str) -> Line:
        """Connect with the screen (VNC) of a node of the lab that a team works on.

        Raises:
            InputError: there is no such node, or it is not running.
            RemoteError: it cannot be reached.
        """
        lab = self._lab(team)
        record = records.record_of(self._home, lab)
        way = self._way(lab, record)
        try:
            opened = reach.picture(way.site, records.plan_of(record), node)
        except BaseException:
            way.release()
            raise
        return Line(socket=opened, target=Target(address="127.0.0.1", node=None), release=way.release)

    def sweep(self) -> None:
        """Close what nobody has used for a while."""
        with self._lock:
            ways = list(self._ways.items())
        for team, way in ways:
            if way.idle > _IDLE:
                self._retire(team, way)

    def close(self) -> None:
        """Close the ways into all labs, as soon as nobody uses them."""
        with self._lock:
            ways = list(self._ways.items())
        for team, way in ways:
            self._retire(team, way)

    def _lab(self, team: str) -> str:
        """Return the team whose lab a team works on: its own, but in a round after a swap."""
        with self._lock:
            lab, since = self._seats.get(team, ("", -_SEAT))
        if time.monotonic() - since >= _SEAT:
            seat = rounds.seat_of(self._home, team)
            lab = seat.lab if seat is not None else team
            with self._lock:
                self._seats[team] = (lab, time.monotonic())
        return lab

    def _way(self, team: str, record: LabRecord) -> _Way:
        """Return a way into a team's lab, held once for the caller."""
        with self._lock:
            lock = self._locks.setdefault(team, threading.Lock())
        with lock:
            way = self._ways.get(team)
            if way is not None and way.record == record and way.hold():
                return way
            if way is not None:
                self._retire(team, way)
            way = _Way(self._home, record)
            way.hold()
            with self._lock:
                self._ways[team] = way
            return way

    def _line(self, way: _Way, found: Target, port: int) -> Line:
        """Dial on a way that is held; let go of it where that fails."""
        try:
            opened = way.dialer.open(found.address, port)
        except BaseException:
            way.release()
            raise
        return Line(socket=opened, target=found, release=way.release)

    def _retire(self, team: str, way: _Way) -> None:
        with self._lock:
            if self._ways.get(team) is way:
                del self._ways[team]
        way.retire()


def target(lab: LabPlan, host: str, *, team: str) -> Target:
    """Return what a name or an address stands for in a lab, if the team that works on it may dial it.

    Those are the lab's own names, a node's name with the team's (team01-db-node), every address of a network on which
    the host has none, and the nodes' own addresses in the management network: not the host's there.

    Raises:
        RefusedError: it is something else.
    """
    name = host.rstrip(".").lower()
    known = inside.names(lab)
    known |= {f"{team}-{node.name}": str(node.mgmt) for node in lab.nodes if node.mgmt is not None}
    address = known.get(name)
    if address is None:
        with contextlib.suppress(AddrFormatError, ValueError):
            address = str(IPAddress(host))
    if address is None:
        raise RefusedError(
            f"the lab of {lab.team} has no node {host}", details=f"Its names are {', '.join(sorted(known))}."
        )
    node = next((node for node in lab.nodes for nic in node.nics if str(nic.address) == address), None)
    isolated = (network.subnet for network in lab.networks if not network.nat and network.subnet is not None)
    if node is None and not any(address in subnet for subnet in isolated):
        raise RefusedError(f"{host} is no address of the lab of {lab.team}")
    return Target(address=address, node=node)


class _Way:
    """A way into one lab, which is closed when it is retired and nobody holds it.

    Args:
        record: the lab's, as it is when the way is made.
    """

    def __init__(self, home: Home, record: LabRecord) -> None:
        self.record = record
        self._made = self._left = time.monotonic()
        self._holders = 0
        self._retired = False
        self._lock = threading.Lock()
        with contextlib.ExitStack() as stack:
            place = stack.enter_context(site.opened(home, record.host, recorded=record.virt, start=False))
            self.site = place
            self.dialer: LabDialer = stack.enter_context(inside.opened(home, place, records.plan_of(record)))
            self._stack = stack.pop_all()

    @property
    def age(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._made

    @property
    def idle(self) -> float:
        """Seconds since the last holder let go; none while somebody holds it."""
        with self._lock:
            return 0.0 if self._holders else time.monotonic() - self._left

    def hold(self) -> bool:
        """Keep it open; return whether it is."""
        with self._lock:
            self._holders += not self._retired
            return not self._retired

    def release(self) -> None:
        """Let go of it."""
        with self._lock:
            self._holders -= 1
            self._left = time.monotonic()
            close = self._retired and not self._holders
        if close:
            self._close()

    def retire(self) -> None:
        """Close it as soon as nobody holds it."""
        with self._lock:
            close = not self._retired and not self._holders
            self._retired = True
        if close:
            self._close()

    def _close(self) -> None:
        with contextlib.suppress(LabctlError, OSError):  # the host may be gone
            self._stack.close()
