"""Knows the rounds that are on record: who plays on whose lab, what was reported, what hints cost, what it scores."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from labctl.checks import patterns
from labctl.checks.check import CHECKS
from labctl.errors import InputError, RefusedError
from labctl.lab import events
from labctl.lab.sabotage import Ledger
from labctl.plan.lab import INSTALLED
from labctl.plan.model import LabPlan
from labctl.rounds import events as kinds
from labctl.rounds import points
from labctl.rounds.events import Event, Frozen, HintTaken, Injected, Note, Opened, Paused, Reported, Resumed, Revealed
from labctl.rounds.points import Clock, Score
from labctl.sabotage import draw
from labctl.sabotage.fault import FAULTS, Scene
from labctl.spec import scoring
from labctl.spec.scoring import Rules
from labctl.state import Home, records

DRILL_HINTS = (
    "Say what works before you say what does not.",
    "Go through what the checks look at, node by node. What exactly is red?",
    "It may be that nothing is broken. Can you name one thing that is?",
)
"""Hints of a round in which nothing is broken; who asks for them must not see the difference."""

SUSPECTS = (
    *("cards", "clock", "data disk", "disks", "file system", "install medium", "packages"),
    *("sshd or its network", "unplanned address"),
)
"""What checks blame and no fault is called by; a team may name it, too."""


@dataclass(frozen=True, kw_only=True)
class Seat:
    """A team's place in a round.

    Attributes:
        player: the team that works.
        lab: the team whose lab it works on.
        events: of the round in that lab, from its opening.
    """

    player: str
    lab: str
    events: tuple[Event, ...]

    @property
    def opened(self) -> Opened:
        """The event that began it."""
        first = self.events[0]
        assert isinstance(first, Opened)
        return first

    @property
    def rules(self) -> Rules:
        """The rules that were announced."""
        return scoring.restored(self.opened.rules)

    @property
    def state(self) -> str:
        """How far it is: preparing, running, paused or closed."""
        if kinds.closed(self.events):
            return "closed"
        if not any(isinstance(event, kinds.Started) for event in self.events):
            return "preparing"
        last = next(event for event in reversed(self.events) if isinstance(event, (kinds.Started, Paused, Resumed)))
        return "paused" if isinstance(last, Paused) else "running"

    def left(self, now: float) -> float:
        """Return the seconds of play that are left."""
        return max(0.0, self.opened.minutes * 60 - Clock(self.events)(now))

    @property
    def faults(self) -> dict[int, Injected]:
        """The faults by their number in the round."""
        return {event.slot: event for event in self.events if isinstance(event, Injected)}

    def score(self, *, rules: Rules | None = None, now: float | None = None) -> Score | None:
        """Score it by the rules that were announced, or by others; None where it was not begun at that moment."""
        return points.score(self.events, rules or self.rules, now=now)


@dataclass(frozen=True, kw_only=True)
class Offer:
    """The next hint that a team may have.

    Attributes:
        slot, number: of which fault, and which hint, both counted from 1.
        price: in points.
        text: what it says; sealed until it is taken.
        entry: of which entry of the ledger; empty in a drill.
    """

    slot: int
    number: int
    price: int
    text: str
    entry: str


def seats(home: Home, *, of: str | None = None) -> list[Seat]:
    """Return the places of one round by player: of the one with that ID, else of the one that was opened last.

    Raises:
        InputError: there is no such round.
    """
    found = [
        Seat(player=begun[0].player, lab=team, events=begun)
        for team in _labs(home)
        for begun in kinds.rounds(events.every(home, team))
        if isinstance(begun[0], Opened)
    ]
    known = {seat.opened.round: seat.opened.at for seat in found}
    if not known:
        raise InputError("no round was ever opened", remedy="labctl round open team01..team10 --random")
    wanted = of or max(known, key=lambda name: known[name])
    if wanted not in known:
        in_order = ", ".join(sorted(known, key=lambda name: known[name]))
        raise InputError(f"there is no round {wanted}", details=f"Rounds on record: {in_order}")
    return sorted((seat for seat in found if seat.opened.round == wanted), key=lambda seat: seat.player)


def chosen(every: Iterable[Seat], players: Sequence[str]) -> list[Seat]:
    """Return the places of those who play, or all.

    Raises:
        InputError: one of them does not play.
    """
    by_player = {seat.player: seat for seat in every}
    if unknown := [player for player in players if player not in by_player]:
        raise InputError(
            f"{', '.join(unknown)} does not play in this round", details=f"Who plays: {', '.join(by_player)}"
        )
    return [by_player[player] for player in players or by_player]


def named(home: Home, lab: str) -> set[str]:
    """Return the checks that the faults of a lab's round name."""
    faults = [event for event in events.played(home, lab) if isinstance(event, Injected)]
    return {name for fault in faults for name in (*fault.red, *fault.green, *fault.also)}


def going_on(home: Home, players: Sequence[str] = ()) -> list[Seat]:
    """Return the places of rounds that were opened and not closed: those of some teams, or all there are.

    Raises:
        InputError: none goes on, or one of the teams does not play.
    """
    found = [
        Seat(player=begun[0].player, lab=team, events=begun)
        for team in _labs(home)
        if (begun := events.played(home, team)) and isinstance(begun[0], Opened)
    ]
    if not found:
        raise InputError("no round goes on", remedy="labctl round open team01..team10 --random")
    return chosen(sorted(found, key=lambda seat: seat.player), players)


def seat_of(home: Home, player: str) -> Seat | None:
    """Return where a team plays in a round that goes on; None where it does not."""
    try:
        return going_on(home, [player])[0]
    except InputError:
        return None


def refuse_played(home: Home, labs: Iterable[str]) -> None:
    """Refuse what would spoil a round that goes on in one of these labs.

    Raises:
        RefusedError: one does.
    """
    busy = [team for team in labs if events.played(home, team)]
    if busy:
        raise RefusedError(
            f"a round goes on in the lab of {', '.join(busy)}",
            remedy="labctl round status; labctl round close ends it.",
        )


def write(home: Home, some: Iterable[Seat], make: Callable[[float], Event]) -> None:
    """Write the same event down at all these places, at the same moment."""
    now = time.time()
    for seat in some:
        events.append(home, seat.lab, make(now))


def note(home: Home, players: Sequence[str], text: str) -> list[Seat]:
    """Write a note down."""
    some = going_on(home, players)
    write(home, some, lambda now: Note(at=now, text=text))
    return some


def pause(home: Home, players: Sequence[str], reason: str) -> list[Seat]:
    """Stop the clock where it runs; return where that was."""
    some = [seat for seat in going_on(home, players) if seat.state == "running"]
    write(home, some, lambda now: Paused(at=now, reason=reason))
    return some


def resume(home: Home, players: Sequence[str]) -> list[Seat]:
    """Let the clock go on where it stands; return where that was."""
    some = [seat for seat in going_on(home, players) if seat.state == "paused"]
    write(home, some, lambda now: Resumed(at=now))
    return some


def freeze(home: Home, some: Iterable[Seat], since: float) -> None:
    """Let teams and the public see nothing that comes after a moment."""
    write(home, some, lambda now: Frozen(at=now, since=since))


def reveal(home: Home, some: Iterable[Seat]) -> None:
    """Let teams and the public see everything again."""
    write(home, some, lambda now: Revealed(at=now))


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What a team says is broken.

    Attributes:
        service, node: the suspect.
        symptom: ID of a check that shows it.
        nothing: nothing is broken.
    """

    service: str = ""
    node: str = ""
    symptom: str = ""
    nothing: bool = False


def report(home: Home, player: str, said: Diagnosis) -> float:
    """Write down what a team says is broken. Nobody is told whether it is right.

    Returns:
        The seconds of play that are left; what is reported when none are does not count.

    Raises:
        InputError: the team does not play, or there is no such service, node or check.
        RefusedError: its clock has not started.
    """
    seat = going_on(home, [player])[0]
    if seat.state == "preparing":
        raise RefusedError(f"the clock of {player} has not started", remedy="labctl round status")
    if said.nothing == bool(said.service or said.node or said.symptom):
        raise InputError(
            "what is broken?", remedy="Say --suspect SERVICE, --node NODE and --symptom CHECK, or --nothing."
        )
    plan = records.lab_of(home, seat.lab).plan
    known = services(plan)
    service, symptom = plain(said.service), _check(said.symptom)
    _must_be(service, known, "service", f"a lab of topology {plan.topology}")
    _must_be(said.node, [each.name for each in plan.nodes], "node", f"a lab of topology {plan.topology}")
    checks = [check.id for check in CHECKS if plan.stage in check.stages]
    wholes = [check.partition(":")[0] for check in checks]
    _must_be(symptom, sorted({*checks, *wholes}), "check", f"{plan.stage} labs")
    now = time.time()
    events.append(
        home, seat.lab, Reported(at=now, service=service, node=said.node, symptom=symptom, nothing=said.nothing)
    )
    return seat.left(now)


def services(plan: LabPlan) -> list[str]:
    """Return what can be to blame in a lab: all that a fault or a check may name. It tells nothing of a round."""
    scene = Scene(lab=plan)
    drawn = {plain(service) for fault in FAULTS for service in draw.services(fault, scene)}
    networks = {f"network {network.key}" for network in plan.networks}
    roles = {role for node in plan.nodes for role in node.roles}
    accused = {plain(service) for service in patterns.services()} if plan.stage == INSTALLED else set()
    return sorted(drawn | networks | roles | accused | set(SUSPECTS))


def plain(service: str) -> str:
    """Return a service's name as it is compared: chrony and Chrony.service are one.

    Suspects in clouds have a remark that is left out: "keystone: demo's role", "rabbitmq, as seen from heat".
    """
    name = _REMARK.sub("", " ".join(service.casefold().split()))
    return _ARTICLE.sub("", name).removesuffix(".service")


_REMARK = re.compile(r"(:|,| and its | of its | on the ).*")
_ARTICLE = re.compile(r"^(an?|the) ")


def offer(home: Home, seat: Seat, slot: int | None) -> Offer | None:
    """Return the next hint that a team may take: of one fault, or of the first that has one left; None where none is.

    A drill has hints, too.
    """
    taken = [event for event in seat.events if isinstance(event, HintTaken)]
    ledger = {entry.uid: entry for entry in Ledger(home.lab(seat.lab)).entries()}
    texts: dict[int, tuple[int | None, tuple[str, ...], str]] = {
        fault.slot: (fault.level, ledger[fault.entry].hints, fault.entry)
        for fault in seat.faults.values()
        if fault.entry in ledger
    } or {1: (None, DRILL_HINTS, "")}
    for each, (level, hints, entry) in sorted(texts.items()):
        number = 1 + max((event.number for event in taken if event.slot == each), default=0)
        if slot in (None, each) and number <= len(hints):
            price = points.price(number, level, seat.rules)
            return Offer(slot=each, number=number, price=price, text=hints[number - 1], entry=entry)
    return None


def take(home: Home, seat: Seat, hint: Offer) -> None:
    """Write down that a team took a hint; from here on it has paid for it."""
    events.append(home, seat.lab, HintTaken(at=time.time(), slot=hint.slot, number=hint.number))
    if hint.entry:
        with records.locked(home, [seat.lab]):
            book = Ledger(home.lab(seat.lab))
            entry = next(entry for entry in book.entries() if entry.uid == hint.entry)
            book.save(replace(entry, taken=max(entry.taken, hint.number)))


def _labs(home: Home) -> list[str]:
    return sorted(path.parent.name for path in home.root.glob(f"labs/*/{events.FILE}"))


def _check(text: str) -> str:
    """Return the ID of a check as the registry writes it: c03:glance is C03:glance."""
    head, colon, part = text.partition(":")
    return f"{head.upper()}{colon}{part.lower()}"


def _must_be(word: str, known: Sequence[str], what: str, where: str) -> None:
    if word and word not in known:
        raise InputError(f"{where} has no {what} {word!r}", details=f"There are: {', '.join(known)}.")
