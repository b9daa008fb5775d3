"""The measured matrix of faults: what was seen on a living lab. For organisers: it spoils."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from labctl.report.table import table
from labctl.sabotage.fault import FAULTS
from labctl.sabotage.left_out import LEFT_OUT
from labctl.sabotage.matrix import BENCH, Verified, proven
from labctl.sabotage.tutorial import ELEVEN

_HEADINGS = [
    "FAULT",
    "LEVEL",
    "NODES",
    "RED",
    "INJECT",
    "DETECT",
    "REPAIR",
    "HEAL",
    "ALTERNATIVE",
    "CHEAT",
    "POINTS",
    "RESULT",
]


def document(seen: Verified) -> dict[str, Any]:
    """Return what was seen of a fault as a document."""
    return asdict(seen) | {"ok": seen.ok}


def text(found: Sequence[Verified]) -> str:
    """Return the matrix as people read it."""
    good = sum(each.ok for each in found)
    return f"{table(_HEADINGS, [_row(each) for each in found])}\n\n{good} of {len(found)} faults do what they say."


def page(found: Sequence[Verified]) -> str:
    """Return the matrix as a page of the documents."""
    lines = [
        "# Faults, as they were seen",
        "",
        "For organisers: this page spoils. Made from `labctl/sabotage/verified.json` by `docs/generate.py`.",
        "`labctl sabotage verify --matrix labctl/sabotage/verified.json` tries faults on a living lab and writes that",
        "file. Only what was seen to work is drawn at random. A cheat that is refused did not make all green. Points:",
        "what the reference repair, the alternative and the cheat bring a team that has found the fault.",
        "",
    ]
    lines += [f"| {' | '.join(heading.capitalize() for heading in _HEADINGS)} |", "|" + "---|" * len(_HEADINGS)]
    lines += [f"| {' | '.join(str(cell) for cell in _row(each))} |" for each in found]
    good = [fault.id for fault in FAULTS if proven(fault)]
    lines += [
        "",
        f"{sum(each.ok for each in found)} of {len(found)} rows do what they say. {len(good)} of {len(FAULTS.names())}",
        "families were seen to work on nodes that had booted; the others are had by their ID alone. A row of a",
        "container was seen in that of a baked disk, at the machine's own speed: the fault is worth a trial.",
        "",
    ]
    for fault in FAULTS:
        rows = [each for each in found if each.fault == fault.id]
        symptoms = [
            f"{each.variant + ': ' if each.variant else ''}{check}: {line}"
            for each in rows
            for check, line in each.red.items()
        ]
        lines += [
            f"## {fault.id}: {fault.title}",
            "",
            f"{(fault.draw.__doc__ or '').strip()} Lasts: {fault.lasts}. Group: {fault.group}.",
            "",
            *([f"- seen: {line}" for line in symptoms] or ["- seen: nothing yet"]),
            *([] if proven(fault) else ["- not verified: it is had by its ID alone"]),
            *(f"- hint: {hint}" for hint in fault.hints),
            "",
        ]
    lines += [
        "## What is left out",
        "",
        f"The catalogue has {len(FAULTS.names()) + len(LEFT_OUT)} families. These {len(LEFT_OUT)} are no faults here:",
        "",
        "| family | why |",
        "|---|---|",
        *(f"| {name} | {why} |" for name, why in sorted(LEFT_OUT.items())),
        "",
    ]
    return "\n".join(lines)


def eleven(found: Sequence[Verified]) -> str:
    """Return the page of the tutorial's eleven: what a learner meets, without the answer."""
    lines = [
        "# The tutorial's eleven sabotages, as a learner meets them",
        "",
        "No answers here: those are in [faults.md](faults.md). Made from `labctl/sabotage/tutorial.py` and",
        "`labctl/sabotage/verified.json` by `docs/generate.py`. An output is here if it was really seen.",
        "`labctl sabotage verify TEAM ID --matrix labctl/sabotage/verified.json` tries a fault, types the line on a",
        "node while the fault is in the lab, and keeps what comes.",
        "",
    ]
    for number in sorted({each.number for each in ELEVEN}):
        lines += [f"## {number}", ""]
        for lesson in (each for each in ELEVEN if each.number == number):
            rows = [row for row in found if (row.fault, row.variant) == (lesson.fault, lesson.variant) and row.ok]
            met = next((came for row in rows if (came := lesson.met(row.meets)) is not None), None)
            lines += [f"**{lesson.fault}: {FAULTS[lesson.fault].title}** (as {lesson.user})", ""]
            lines += [
                "```console",
                f"$ {lesson.types}",
                *(met or "").splitlines(),
                "```",
                "",
            ]
            lines += ["What comes was not recorded yet.", ""] if met is None else []
            if rows and met is None:
                said = "; ".join(f"{check}: {text}" for check, text in rows[-1].red.items())
                lines += [f"What `labctl check` said on {rows[-1].topology} ({_VIRT[rows[-1].virt]}): {said}", ""]
    return "\n".join(lines)


def _row(seen: Verified) -> list[object]:
    seconds = [f"{seen.seconds[name]:.0f} s" if name in seen.seconds else "-" for name in _STEPS]
    words = {True: "good", False: "bad", None: "-"}
    refused = {True: "refused", False: "counts", None: "-"}
    red = ", ".join(seen.red) or "-"
    result = "ok" if seen.ok else seen.trouble
    return [
        f"{seen.fault} {seen.variant}".strip(),
        seen.level,
        f"{seen.topology}, {_VIRT[seen.virt]}",
        red,
        *seconds,
        words[seen.alternative],
        refused[seen.cheat],
        ", ".join(f"{seen.points[kind]} %" for kind in _SCORED if kind in seen.points) or "-",
        result,
    ]


_SCORED = ("repair", "alternative", "cheat")
_VIRT = {"kvm": "KVM", "qemu": "emulated", BENCH: "container"}
_STEPS = ("inject", "detect", "repair", "heal")
