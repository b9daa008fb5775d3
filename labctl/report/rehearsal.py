"""Shows how a rehearsal went, and makes the class's runbook of its times: what to type when, minute by minute."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from labctl.lab.rehearse import Rehearsal, Step
from labctl.report import handout
from labctl.report.table import table
from labctl.spec.scoring import Rules

WELCOME, TALK, PAUSE, LUNCH, BUFFER = 15, 10, 10, 60, 15
"""Minutes of what no computer does: the welcome with the sheets, the talk after a round, pauses, and time to spare."""

_ROUNDS_TO_LUNCH = 2


@dataclass(frozen=True, kw_only=True)
class Line:
    """Something to do.

    Attributes:
        at: minutes since the class began; before it negative.
        minutes: that it takes.
        what: in words.
        commands: to type.
        hands_off: whether the teams must let go of their labs meanwhile.
    """

    at: int
    minutes: int
    what: str
    commands: tuple[str, ...] = ()
    hands_off: bool = False


def document(seen: Rehearsal) -> dict[str, Any]:
    """Return a rehearsal as a document; docs/reference/json.md."""
    return {
        "verdict": _verdict(seen),
        "topology": seen.topology,
        "stage": seen.day.choice.stage,
        "host": seen.host,
        "virt": seen.virt,
        "forked": seen.forked,
        "labs": seen.day.labs,
        "teams": seen.day.teams,
        "faults": seen.day.faults,
        "quick": seen.day.quick,
        "seed": seen.day.seed,
        "reasons": list(seen.reasons),
        "steps": [
            {"name": step.name, "what": step.what or None, "seconds": step.seconds, "trouble": step.trouble or None}
            for step in seen.steps
        ],
    }


def text(seen: Rehearsal) -> str:
    """Return a rehearsal as people read it: its steps, then the verdict with its reasons."""
    rows = [[step.name, f"{step.seconds:.0f} s", step.what or "-", _ended(step)] for step in seen.steps]
    whole = sum(step.seconds for step in seen.steps)
    lines = [
        f"Rehearsal of {seen.topology} ({seen.day.choice.stage}) on {seen.host}, {_virt(seen)}: {_labs(seen)}",
        "",
        table(["STEP", "TOOK", "WHAT", "RESULT"], rows),
        "",
        f"{_verdict(seen)} for {_teams(seen)}, after {_minutes(whole)} min.",
        *(f"  {reason}" for reason in seen.reasons),
    ]
    return "\n".join(lines)


def runbook(seen: Rehearsal) -> list[Line]:
    """Return the day of the class, its longest part being play.

    What labctl does in all labs is reckoned to take as many times longer as there are more teams than labs were
    rehearsed: the host has no more processors then.
    """
    teams = _range(seen.day.teams)
    wide = " ".join(["labctl create", teams, f"--topology {seen.topology}", f"--stage {seen.day.choice.stage}"])
    before = [
        Line(at=0, minutes=1, what="Look whether the machine is as it was.", commands=("labctl doctor",)),
        Line(at=0, minutes=_lasts(seen, "create"), what="Make the labs.", commands=(wide,)),
        Line(
            at=0,
            minutes=_lasts(seen, "check"),
            what="Check them: all must be green.",
            commands=(f"labctl check {teams}{_quick(seen)}",),
        ),
        Line(at=0, minutes=BUFFER, what="Print the sheets.", commands=(f"labctl handout {teams}",)),
        Line(at=0, minutes=BUFFER, what="To spare."),
    ]
    lines = _one_after_the_other(-sum(line.minutes for line in before), before)
    return lines + _one_after_the_other(0, list(_class(seen, teams)))


def _class(seen: Rehearsal, teams: str) -> Iterator[Line]:
    """Yield what is done from the welcome to the end."""
    yield Line(at=0, minutes=WELCOME, what="Welcome. Hand out the sheets; every team logs in once.")
    count = seen.day.faults
    rules = "" if seen.day.rules == Rules() else " --rules rules.yaml"
    for number in range(1, count + 1):
        yield Line(
            at=0,
            minutes=_lasts(seen, "open"),
            what=f"Round {number} is opened: labs are checked, broken, and checked again.",
            commands=(
                f"labctl round open {teams} --random --minutes {seen.day.minutes}{rules}",
                f"labctl handout {teams} --key",
            ),
            hands_off=True,
        )
        yield Line(
            at=0,
            minutes=seen.day.minutes,
            what=f"Round {number} is played. Type what teams report; give hints.",
            commands=(
                "labctl round status",
                "labctl report TEAM --suspect SERVICE --node NODE --symptom CHECK",
                "labctl hint TEAM",
            ),
        )
        yield Line(
            at=0,
            minutes=_lasts(seen, "close", "heal"),
            what=f"Round {number} is closed: checked twice, restarted, checked, healed.",
            commands=("labctl round close --heal", "labctl score --no-check"),
            hands_off=True,
        )
        yield Line(at=0, minutes=TALK, what="Talk about it, with the answer key.")
        if number == count:
            yield Line(at=0, minutes=1, what="The winners.", commands=("labctl score --no-check --view public",))
        elif number == _ROUNDS_TO_LUNCH and count > _ROUNDS_TO_LUNCH:
            yield Line(at=0, minutes=LUNCH, what="Lunch.")
        else:
            yield Line(at=0, minutes=PAUSE, what="Pause.")
    yield Line(
        at=0,
        minutes=_lasts(seen, "destroy"),
        what="Keep the scores, then remove the labs.",
        commands=("labctl score --no-check -o json > scores.json", f"labctl destroy {teams}"),
    )


def rescue(seen: Rehearsal) -> list[tuple[str, str, float]]:
    """Return what helps when something goes wrong, by what, and how many seconds it took for one lab."""
    known = [
        ("A machine is ruined.", "labctl reset -t TEAM NODE", "reset"),
        ("A fault must go.", "labctl sabotage heal --quick TEAM", "heal"),
        ("Keep a lab as it is.", "labctl snapshot save lunch -t TEAM", "save"),
        ("Go back to that.", "labctl snapshot restore lunch -t TEAM", "restore"),
        ("What is broken that nobody broke?", f"labctl check TEAM{_quick(seen)}", "check"),
        ("The power goes out: stop the clock.", "labctl round pause", ""),
        ("It is back.", "labctl round resume", ""),
    ]
    return [(what, command, seen.seconds(step)) for what, command, step in known]


def markdown(seen: Rehearsal, start: datetime) -> str:
    """Return the runbook as Markdown.

    Args:
        start: when the class begins.
    """
    lines = [
        f"# {_title(seen)}",
        "",
        _origin(seen),
        "",
        "| time | min | what | type |",
        "|---|---|---|---|",
    ]
    for line in runbook(seen):
        commands = "<br>".join(f"`{command}`" for command in line.commands)
        lines.append(f"| {_clock(start, line.at)} | {line.minutes} | {_said(line)} | {commands} |")
    lines += ["", "## When something goes wrong", "", "| what | type | took |", "|---|---|---|"]
    lines += [f"| {what} | `{command}` | {_took(seconds)} |" for what, command, seconds in rescue(seen)]
    return "\n".join([*lines, ""])


def page(seen: Rehearsal, start: datetime) -> str:
    """Return the runbook as a page to print; see `markdown`."""
    return handout.page(
        "runbook.html.j2",
        title=_title(seen),
        origin=_origin(seen),
        lines=[
            {"at": _clock(start, line.at), "minutes": line.minutes, "what": _said(line), "commands": line.commands}
            for line in runbook(seen)
        ],
        rescue=[(what, command, _took(seconds)) for what, command, seconds in rescue(seen)],
    )


def _title(seen: Rehearsal) -> str:
    return f"Runbook: {seen.topology}, {_teams(seen)}"


def _origin(seen: Rehearsal) -> str:
    """Say where the times come from."""
    how = "forked from a golden set" if seen.forked else "booted"
    more = ""
    if seen.day.teams > seen.day.labs:
        more = f" For {_teams(seen)}, what labctl does in all labs is reckoned to take longer in proportion."
    return f"Times are those of a rehearsal with {_labs(seen)} on {seen.host}, {_virt(seen)}, {how}.{more}"


def _one_after_the_other(at: int, lines: list[Line]) -> list[Line]:
    placed = []
    for line in lines:
        placed.append(replace(line, at=at))
        at += line.minutes
    return placed


def _lasts(seen: Rehearsal, *steps: str) -> int:
    """Return for how many minutes to plan what was done in all labs side by side."""
    seconds = sum(seen.seconds(step) for step in steps)
    return _minutes(seconds * max(1.0, seen.day.teams / seen.day.labs))


def _minutes(seconds: float) -> int:
    return max(1, math.ceil(seconds / 60))


def _range(teams: int) -> str:
    return "team01" if teams == 1 else f"team01..team{teams:02d}"


def _clock(start: datetime, at: int) -> str:
    return (start + timedelta(minutes=at)).strftime("%H:%M")


def _said(line: Line) -> str:
    return f"Hands off. {line.what}" if line.hands_off else line.what


def _took(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds else "-"


def _ended(step: Step) -> str:
    return step.trouble or "ok"


def _verdict(seen: Rehearsal) -> str:
    return "GO" if seen.go else "NO-GO"


def _labs(seen: Rehearsal) -> str:
    return f"{seen.day.labs} lab{'s' if seen.day.labs > 1 else ''}"


def _teams(seen: Rehearsal) -> str:
    return f"{seen.day.teams} team{'s' if seen.day.teams > 1 else ''}"


def _quick(seen: Rehearsal) -> str:
    return " --quick" if seen.day.quick else ""


def _virt(seen: Rehearsal) -> str:
    return "KVM" if seen.virt == "kvm" else "emulated"
