"""Injects and heals: record first, then the act; proven red, or undone at once; an undo leaves others' work alone."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from netaddr import IPAddress

from labctl import waiting
from labctl.changes import Admin, Context, Record
from labctl.changes import undo as changes
from labctl.checks.check import CHECKS, chosen
from labctl.checks.model import Report, Result, Verdict
from labctl.errors import DeadlineError, LabctlError, RefusedError, RemoteError
from labctl.guest import Guest
from labctl.pace import pace
from labctl.plan.model import LabPlan
from labctl.sabotage.fault import Drawn
from labctl.sabotage.ledger import Entry, State, renewed

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What an injection needs of a lab.

    Attributes:
        team: whose lab it is.
        guest: returns a node by SSH.
        anew: returns a node by another SSH connection, which an interrupt does not end.
        agent: returns a node by its guest agent, which works where a fault has cut the network.
        check: runs the checks that are named and returns their report.
        save: writes an entry to the ledger and returns when it is on disk.
        generations: how often each node was made anew.
        virt: kvm or qemu.
        cloud: the administrator of the lab's cloud; None where it has none.
        cancelled: ends every wait when set; what was changed is undone all the same.
    """

    team: str
    guest: Callable[[str], Guest]
    anew: Callable[[str], Guest]
    agent: Callable[[str], Guest]
    check: Callable[[Sequence[str]], Report]
    save: Callable[[Entry], None]
    generations: Mapping[str, int]
    virt: str
    cloud: Admin | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)

    def green_before(self, entry: Entry, *, beside: bool = False) -> Entry:
        """See that all checks of a fault are green.

        Args:
            beside: whether another fault stands in the lab. What that one turned red proves nothing and is left out.

        Returns:
            The entry, with the checks that are green.

        Raises:
            RefusedError: one is not, or none is left that the fault could turn red; nothing was touched.
        """
        report = self.check([*entry.red, *entry.green])
        red = [result for result in report.results if result.verdict not in (Verdict.PASS, Verdict.SKIPPED)]
        if beside and red:
            entry = replace(entry, red=_but(entry.red, report, red), green=_but(entry.green, report, red))
        if red and not (beside and entry.red):
            raise RefusedError(
                f"the lab of {report.lab} is not green, so a fault could not be proven",
                details="\n".join(f"{result.name}: {result.first.evidence if result.first else ''}" for result in red),
                remedy=f"labctl check {report.lab}; labctl sabotage heal {report.lab}. Nothing was touched.",
            )
        return entry

    def inject(self, entry: Entry, drawn: Drawn) -> Entry:
        """Break the lab and prove it; where the checks do not say so, everything is undone at once.

        Returns:
            The entry, injected or reverted.

        Raises:
            InputError: the change cannot be made in this lab; nothing was touched.
            LabctlError: a node was lost, and what was changed is undone.
        """
        return self._prove(self.act(entry, drawn))

    def act(self, entry: Entry, drawn: Drawn) -> Entry:
        """Break the lab without proof: the record first, then the changes; see `inject`."""
        began = time.monotonic()
        records = tuple(
            (
                each.node,
                changes.record(
                    each.change, self.context(self.guest(each.node)), restart=each.restart, waits=each.waits
                ),
            )
            for each in drawn.breaks
        )
        generations = {node: self.generations.get(node, 0) for node, _ in records}
        entry = replace(entry, state=State.MAYBE, records=records, generations=generations)
        self.save(entry)  # from here on a heal knows, whatever happens
        try:
            done = [(node, changes.act(record, self.context(self.guest(node)))) for node, record in records]
        except LabctlError:
            self.save(self.undo(entry, State.REVERTED))
            raise
        entry = replace(entry, records=tuple(done), seconds={"inject": round(time.monotonic() - began, 1)})
        self.save(entry)
        return entry

    def again(self, entry: Entry) -> Entry:
        """Break the lab as an injection did, from however it is now, without proof; what was before is known.

        Raises:
            LabctlError: a node was lost.
        """
        entry = replace(entry, state=State.MAYBE)
        self.save(entry)
        for node, record in entry.records:
            changes.again(record, self.context(self.guest(node)))
        return entry

    def undo(self, entry: Entry, state: State) -> Entry:
        """Undo an injection, the last change first; what somebody else changed since is left and noted.

        Raises:
            LabctlError: a node cannot be reached by any way; the entry stays as it is.
        """
        notes = []
        for node, record in reversed(entry.records):
            if renewed(entry, node, self.generations):
                notes.append(f"{node}: {record.target}: the node was reset")
                continue
            outcome = self._anyhow(node, record, changes.undo)
            notes.append(f"{node}: {record.target}: {outcome}")
        return replace(entry, state=state, notes=(*entry.notes, *notes))

    def restore(self, entry: Entry, why: str) -> None:
        """Bring everything back as it was, whoever changed it since, and write down that nothing is left.

        Raises:
            LabctlError: a node cannot be reached by any way; the entry stays as it is.
        """
        for node, record in reversed(entry.records):
            self._anyhow(node, record, changes.restore)
        self.save(replace(entry, state=State.REVERTED, notes=(*entry.notes, why)))

    def checked(self, healed: Sequence[Entry], checks: Sequence[str] = ()) -> Report:
        """Check a lab after a heal; where anything is red, restart what was touched and check once more.

        An API that could not load never loads by itself, also when a team has set its files right again.

        Args:
            checks: their IDs; all when empty.

        Raises:
            LabctlError: a node cannot be reached.
        """
        report = self._settled(healed, checks)
        if report.green or not any(record.restart for entry in healed for _, record in entry.records):
            return report
        for entry in healed:
            self.restart(entry)
        return self._settled(healed, checks)

    def wrong(self, stage: str) -> str:
        """Return what is red in a lab of all that can be checked without changing it; empty once nothing is."""
        ids, said = [each.id for each in chosen(stage, quick=True)], ""

        def green() -> bool:
            nonlocal said
            said = self.check(ids).trouble
            return not said

        self.becomes(green, REPORTS)
        return said

    def _settled(self, healed: Sequence[Entry], checks: Sequence[str]) -> Report:
        """Check a lab once what faults had turned red had time to answer again: a service takes a while to start.

        A ledger may name a check that an older labctl had; nobody waits for that one.
        """
        ids = {name for entry in healed for name in entry.red}
        red = sorted(each.id for each in CHECKS if each.quick and {each.id, each.id.partition(":")[0]} & ids)
        if red:
            self.becomes(lambda: self.check(red).green, red)
        return self.check(checks)

    def restart(self, entry: Entry) -> None:
        """Restart the units that an injection had restarted: a repair that is one outlives that.

        Raises:
            LabctlError: a node cannot be reached.
        """
        for node, record in entry.records:
            changes.restart(record.restart, self.context(self.guest(node)))

    def becomes(self, look: Callable[[], bool], red: Collection[str]) -> bool:
        """Look until something is so, as long as named checks may take to turn; return whether it is.

        `networkctl up` returns before a card has its routes, a restart before all is up.
        """
        settles = pace(self.virt).settles
        return waiting.until(
            look,
            seconds=self._patience(red),
            pause=settles / 120,
            slowest=settles / 40,
            cancelled=self.cancelled,
        )

    def _patience(self, red: Collection[str]) -> float:
        """Return how long a named check may take to turn red, or green again after a repair, in seconds."""
        own = pace(self.virt)
        return own.silent if REPORTS & set(red) else own.settles

    def _prove(self, entry: Entry) -> Entry:
        """See that a named check is red, the named green ones are green, and every node lets us in."""
        began = time.monotonic()
        report = self._shown(entry)
        symptoms = _symptoms(entry, report)
        harmed = [check for check in {*entry.green, "B01"} if report.verdict(check) in (Verdict.FAIL, Verdict.ERROR)]
        if symptoms and not harmed:
            seconds = {**entry.seconds, "detect": round(time.monotonic() - began, 1)}
            entry = replace(entry, state=State.INJECTED, symptoms=symptoms, seconds=seconds)
            self.save(entry)
            return entry
        why = f"{', '.join(sorted(harmed))} turned red, too" if harmed else "no check turned red"
        why = "interrupted" if self.cancelled.is_set() else why
        entry = self.undo(replace(entry, notes=(*entry.notes, why)), State.REVERTED)
        self.save(entry)
        return entry

    def _shown(self, entry: Entry) -> Report:
        """Check until a named check is red, or it is too late for that; return the last report.

        A service that was restarted answers nobody for a moment. So what was restarted must be red twice.
        """
        restarted = any(record.restart for _, record in entry.records)
        everything = [*entry.red, *entry.green, "B01"]
        reports: list[Report] = []

        def symptoms(names: Sequence[str]) -> bool:
            reports.append(self.check(names))
            return bool(_symptoms(entry, reports[-1]))

        def shows() -> bool:
            if not restarted:
                return symptoms(everything)
            return symptoms(entry.red) and not self.cancelled.wait(pause) and symptoms(everything)

        # An API is long in coming up; what nodes themselves tell of a unit is so when its restart has ended.
        pause = pace(self.virt).settles / (12 if any(name.startswith("C") for name in entry.red) else 120)
        patient = restarted or bool(REPORTS & set(entry.red))
        seconds = self._patience(entry.red) if patient else 0.0
        waiting.until(shows, seconds=seconds, pause=pause, cancelled=self.cancelled)
        return reports[-1]

    def _anyhow(self, node: str, record: Record, do: Callable[[Record, Context], T]) -> T:
        """Do something about a change by SSH, else by the guest agent; an interrupt ends SSH, so anew after one."""
        try:
            return do(record, self.context(self.guest(node)))
        except (RemoteError, DeadlineError):
            pass
        if self.cancelled.is_set():
            with contextlib.suppress(RemoteError, DeadlineError):
                return do(record, self.context(self.anew(node)))
        try:
            return do(record, self.context(self.agent(node)))
        except LabctlError as exc:
            raise RemoteError(
                f"{node}: {record.target} cannot be healed: it is out of reach",
                details=str(exc),
                remedy=f"labctl start {self.team}, then labctl sabotage heal {self.team}; "
                f"or labctl reset -t {self.team} {node} gives the node back as it was.",
            ) from exc

    def context(self, guest: Guest) -> Context:
        """Return where and how changes are applied."""
        return Context(guest=guest, say=_nobody, slow=pace(self.virt).sabotage, cloud=self.cloud)


REPORTS = {"C04:services", "C05", "C06"}
"""Checks of services' reports: they learn late that one says nothing any more."""


def _symptoms(entry: Entry, report: Report) -> dict[str, str]:
    """Return the named checks that are red, and what they say."""
    return {
        result.name: result.first.evidence
        for result in report.results
        if {result.id, result.name} & set(entry.red) and result.verdict is Verdict.FAIL and result.first
    }


def _but(names: Iterable[str], report: Report, red: Sequence[Result]) -> tuple[str, ...]:
    """Return checks without those that are red; of one that is red in some parts, the other parts."""
    left: list[str] = []
    for name in names:
        parts = [result for result in report.results if name in (result.id, result.name)]
        left += [part.name for part in parts if part not in red] if any(part in red for part in parts) else [name]
    return tuple(left)


def untouchable(lab: LabPlan, drawn: Drawn) -> list[str]:
    """Say what of the ways in a fault would touch, which nothing may, whatever its file says."""
    found = []
    ways = [network.subnet for network in lab.networks if network.gateway is not None and network.subnet is not None]
    for each in drawn.breaks:
        mgmt = {nic.name for nic in lab.node(each.node).nics if nic.dhcp}
        kind, target = each.change.kind.name, each.change.target
        found.append(_untouchable(kind, target, each.restart, mgmt))
        if kind == "refusal" and any(IPAddress(target.split()[0]) in subnet for subnet in ways):
            found.append("the management network")
    return [why for why in found if why]


def _untouchable(kind: str, target: str, restart: Sequence[str], mgmt: set[str]) -> str:
    words = target.split()
    if kind in ("card", "switch-port") and words[-1] in mgmt:
        return f"{words[-1]}, the management card"
    units = words if kind == "unit" else [target.split("/")[-2].removesuffix(".d")] if kind == "drop-in" else []
    if found := _UNITS & {name.removesuffix(".service") for name in (*units, *restart)}:
        return ", ".join(sorted(found))
    if kind in ("file", "filler", "mount") and (target.startswith(_PATHS) or _MODULES.match(target)):
        return target
    if kind == "file" and target.startswith("/etc/systemd/network/") and any(card in target for card in mgmt):
        return target
    if kind == "refusal" and words[1] == "22":
        return "port 22"
    if kind == "member" and (found := {*words} & _PEOPLE):
        return ", ".join(sorted(found))
    return ""


def _nobody(line: str) -> None:
    """Keep what commands say for ourselves: it is the organiser's secret."""


_UNITS = {"dbus", "qemu-guest-agent", "ssh", "ssh.socket", "sshd", "systemd-networkd", "systemd-udevd"}
_PATHS = (
    *("/boot/", "/dev/", "/etc/fstab", "/etc/group", "/etc/gshadow", "/etc/nologin", "/etc/passwd", "/etc/shadow"),
    *("/etc/pam.d/common-auth", "/etc/pam.d/common-account", "/etc/pam.d/sshd", "/etc/shells", "/etc/ssh", "/root"),
    *("/run", "/usr/bin/python3", "/usr/lib/python3", "/usr/sbin/sshd"),
)
_MODULES = re.compile(
    r"/usr/local/lib/python3[^/]*/dist-packages/(cryptography|keystoneauth1|openstack|requests|urllib3|yaml)\b"
)
"""Modules of Python's that labctl's own programs import in a node."""
_PEOPLE = {"_ssh", "adm", "root", "ssh", "sudo", "users"}
