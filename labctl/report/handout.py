"""Writes the paper of a workshop as HTML: a team's sheet, and the organiser's answer key. Also prints HTML to PDF."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2
from markupsafe import Markup, escape

from labctl import __version__
from labctl.changes.undo import difference
from labctl.checks.check import CHECKS
from labctl.errors import LabctlError
from labctl.lab.paper import Answer, Sheet
from labctl.plan.lab import INSTALLED
from labctl.plan.model import LabPlan
from labctl.report import diagram
from labctl.report.logins import Door
from labctl.spec.scoring import Rules

_SHARES = {
    "detect": "You name what shows it: a red check, or what does not work.",
    "localise": "You name the service and the machine; one of the two is worth half.",
    "repair": "It works again and keeps working.",
    "lasting": "It still works after a restart of the services.",
}


def sheet(known: Sheet, door: Door | None = None) -> str:
    """Return a team's sheet.

    Args:
        door: of the classroom; None where the organiser opens the way.
    """
    plan = known.plan
    named = [(key, network.names) for key, network in known.spec.networks.items() if network.names != "none"]
    first, *others = plan.nodes
    return page(
        "sheet.html.j2",
        sheet=known,
        swapped=known.seat is not None and plan.team != known.team,
        picture=Markup(diagram.svg(known.spec, dark=False)),  # noqa: S704 - our own drawing; its texts are quoted
        named=named,
        nodes=[
            {
                "name": node.name,
                "known": _known(plan, node.name, named),
                "about": known.spec.nodes[node.name].description,
            }
            for node in plan.nodes
        ],
        described=any(node.description for node in known.spec.nodes.values()),
        first=first,
        others=[node.name for node in others],
        doors=list(_doors(door, known)) if door else [],
        installed=plan.stage == INSTALLED,
        medium=plan.openstack is not None and plan.openstack.medium is not None,
        shares=[(what, getattr(known.rules.shares, name)) for name, what in _SHARES.items()],
        rules=list(_lines(known.rules)),
    )


def key(answers: Sequence[Answer]) -> str:
    """Return the answer key of some labs."""
    return page("key.html.j2", answers=[_answer(each) for each in answers])


def page(name: str, **values: Any) -> str:
    """Return a page with the house's style.

    Args:
        name: of its template.
        values: that the template prints.
    """
    pages = _pages()
    style = Markup((Path(__file__).parent / "pages/style.css").read_text())  # noqa: S704 - our own file
    return pages.get_template(name).render(style=style, version=__version__, **values)


def pdf(html: str) -> bytes:
    """Print a page to PDF.

    Raises:
        LabctlError: WeasyPrint is not installed, or a library that it needs is not.
    """
    try:
        import weasyprint
    except (ImportError, OSError) as exc:
        raise LabctlError(
            "PDF needs WeasyPrint",
            details=str(exc),
            remedy="apt-get install libpangoft2-1.0-0; pip install 'labctl-openstack[paper]'. Or print the HTML pages.",
        ) from exc
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    printed: bytes = weasyprint.HTML(string=html, url_fetcher=_fetch_nothing).write_pdf()
    return printed


@functools.cache
def _pages() -> jinja2.Environment:
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    pages.filters["code"] = _code
    return pages


def _code(text: str) -> Markup:
    """Return a text with what stands between backticks as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - it is escaped


def _known(plan: LabPlan, node: str, named: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Return by what name, if it is another than its own, and address a node is known on each network with names."""
    names = {entry.address: entry.names for entry in plan.hosts}
    return [
        [
            word
            for nic in plan.node(node).nics
            if nic.network == key and nic.address is not None
            for word in (*names.get(nic.address, ()), str(nic.address))
            if word != node
        ]
        for key, _ in named
    ]


def _doors(door: Door, known: Sheet) -> Iterator[tuple[str, str]]:
    """Yield the lines that lead through a classroom's door, and what each is for."""
    team, node = known.team, known.plan.nodes[0].name
    yield f"ssh -p {door.port} {team}@{door.host}", "choose a machine"
    yield f"ssh -p {door.port} {team}+{node}@{door.host}", f"{node} at once"
    yield f"scp -P {door.port} FILE {team}+{node}@{door.host}:", f"copy a file to {node}"
    if known.dashboard:
        machine = urlsplit(known.dashboard).hostname
        about = "the dashboard at http://localhost:8080/horizon/ as long as this runs"
        yield f"ssh -p {door.port} -N -L 8080:{machine}:80 {team}@{door.host}", about


def _lines(rules: Rules) -> Iterator[str]:
    """Yield the rest of the rules as sentences."""
    worth = ", ".join(f"{points} for level {level}" for level, points in sorted(rules.levels.items(), key=_number))
    yield f"Points of a fault: {worth}. If nothing is broken, saying so brings {rules.drill}."
    yield f"A repair counts when it has worked for {rules.sustained} seconds. How you did it does not matter."
    yield "You may correct yourself: for each fault the best report counts."
    yield f"A report that fits no fault costs {round(rules.base(1) * rules.wrong / 100)} points."
    prices = ", ".join(f"{price} %" for price in rules.hints)
    if prices:
        yield f"Hints cost {prices} of the fault's points. You hear the price first."
    free = {0: "No reset is free.", 1: "One reset is free."}.get(
        rules.resets.free, f"{rules.resets.free} resets are free."
    )
    yield (
        f"{free} Each further one costs {rules.resets.node} % of the faults on that machine, "
        f"{rules.resets.lab} % for the whole lab. A fault that a reset removes counts "
        f"{'as repaired' if rules.resets_repair else 'as not repaired'}."
    )
    yield f"What worked before must work at the end: each check that turned red costs {rules.collateral} points."
    yield (
        f"Do not switch off what nobody broke: {rules.downtime.misses} red results in a row cost "
        f"{rules.downtime.percent} % of your points, {rules.downtime.cap} % at most in all."
    )
    yield "At the end: hands off. Everything is checked twice, and services are restarted."


def _number(level: tuple[str, int]) -> int:
    return int(level[0])


def _answer(answer: Answer) -> dict[str, Any]:
    seat = answer.seat
    drill = f": a drill, worth {seat.rules.drill} points" if seat and not seat.opened.faults else ""
    return {
        "player": seat.player if seat else answer.lab,
        "lab": answer.lab,
        "swapped": seat is not None and seat.player != answer.lab,
        "drill": drill,
        "faults": [
            {
                "entry": entry,
                "injected": injected,
                "changed": "\n".join(f"on {node}: {difference(record)}" for node, record in entry.records),
                "symptoms": [(check, CHECKS[check].title, line) for check, line in entry.symptoms.items()],
            }
            for entry, injected in answer.faults
        ],
    }


def _fetch_nothing(url: str, *_: object, **__: object) -> dict[str, Any]:
    """Refuse to load anything: a page carries all that it needs."""
    raise ValueError(f"{url} is not to be loaded")
