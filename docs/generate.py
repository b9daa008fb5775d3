"""Writes docs/reference and the README's picture from the code: `python docs/generate.py` (`--check` only compares)."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from pathlib import Path
from typing import Any

import click
import rooms

from labctl.checks.check import CHECKS
from labctl.cli.root import SECTIONS, root
from labctl.installing.tasks import order_of
from labctl.report import diagram
from labctl.report import matrix as faults
from labctl.report.sheet import NAME, SMALL, TITLE, Sheet, document, fold
from labctl.roles.role import ROLES, Role
from labctl.rounds.events import KINDS
from labctl.sabotage import matrix
from labctl.spec import topology

DOCS = Path(__file__).parent


def commands_page() -> str:
    """Return the page of all commands."""
    parts = ["# Every command", "", "Made from the commands by `docs/generate.py`; do not edit.", ""]
    context = click.Context(root, info_name="labctl", max_content_width=100, terminal_width=100)
    for section, commands in SECTIONS.items():
        parts += [f"## {section}", ""]
        for name in commands:
            command = root.get_command(context, name)
            assert command is not None
            parts += described(command, context, name)
    return "\n".join(parts)


def described(command: click.Command, parent: click.Context, name: str) -> list[str]:
    """Return a command's help, and that of its subcommands."""
    context = click.Context(command, info_name=name, parent=parent, max_content_width=100, terminal_width=100)
    lines = [f"### {context.command_path}", "", "```text", command.get_help(context), "```", ""]
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            subcommand = command.get_command(context, below)
            assert subcommand is not None
            lines += described(subcommand, context, below)
    return lines


def checks_page() -> str:
    """Return the page of all checks."""
    lines = [
        "# Every check",
        "",
        "Made from `labctl/checks/` by `docs/generate.py`; do not edit. `labctl explain ID` prints the same.",
        "",
        "| ID | what | uses | needs | stages |",
        "|---|---|---|---|---|",
    ]
    for check in CHECKS:
        needs = ", ".join(check.needs) or "-"
        lines.append(f"| {check.id} | {check.title} | {check.exercises} | {needs} | {', '.join(check.stages)} |")
    for check in CHECKS:
        lines += ["", f"## {check.id}: {check.title}", "", check.about]
    return "\n".join([*lines, ""])


def roles_page() -> str:
    """Return the page of all roles, in the order in which the installer takes them."""
    lines = [
        "# Every role",
        "",
        "Made from `labctl/roles/` by `docs/generate.py`; do not edit. The file of a role there shows what it does.",
        "`labctl install TEAM --dry-run` prints it with a lab's own values.",
        "",
        "- Needs: the cloud must have these roles, and their steps run first.",
        "- After: the steps of these roles run first, if the cloud has them.",
        "- Node: what the node must have besides an internal address. Alone: only one node may have the role.",
        "- Passwords: the passwords that a topology may pin.",
        "",
        "| role | what it is | needs | after | node | passwords | in gridka on | a reset of its node loses |",
        "|---|---|---|---|---|---|---|---|",
    ]
    nodes = topology.load("gridka").nodes
    for name in order_of(ROLES.names()):
        role = ROLES[name]
        where = (
            "every node"
            if role.everywhere
            else ", ".join(key for key, node in nodes.items() if name in node.roles) or "–"
        )
        duty = (inspect.getdoc(role.steps) or "").partition("\n")[0]
        needs, after, passwords = (
            ", ".join(each) or "–"
            for each in (role.needs, role.after, [f"`{password.name}`" for password in role.passwords])
        )
        cells = [f"`{name}`", f"{role.title}: {duty}", needs, after, node_of(role), passwords, where, role.loses or "–"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def node_of(role: Role) -> str:
    """Return what a role asks of its node."""
    asked = [f"{network} card" for network in role.networks if network != "internal"]
    asked += ["`/dev/vdb`"] if role.disks else []
    asked += [f"image with the layer `{role.layer}`"] if role.layer else []
    asked += [f"not beside {name}" for name in role.excludes]
    return ", ".join([*asked, *(["alone"] if role.single else [])]) or "–"


def events_page() -> str:
    """Return the page of all events of rounds."""
    lines = [
        "# Every event of a round",
        "",
        "Made from `labctl/rounds/events.py` by `docs/generate.py`; do not edit.",
        "",
        "The file `events.jsonl` in a lab's folder contains the events, one JSON line each, the oldest first. Only the",
        "organiser can read it (mode 0600). Lines are only added. A command continues when its line is on disk. A last",
        "line without an end does not count. Every event has a `kind`, one of the headings below, and `at`: seconds",
        "since 1970 by the organiser's clock. `at` never decreases. `labctl/rounds/points.py` computes the points from",
        "these lines and the rules.",
    ]
    for kind in KINDS.values():
        duty, _, rest = (inspect.getdoc(kind) or "").partition("\n\n")
        about = attributes(rest)
        lines += ["", f"## `{kind.kind}`", "", " ".join(duty.split())]
        fields = [field for field in dataclasses.fields(kind) if field.name != "at"]
        lines += ["", "| field | type | meaning |", "|---|---|---|"] if fields else []
        lines += [f"| `{field.name}` | {json_type(field)} | {about.get(field.name, '–')} |" for field in fields]
    return "\n".join([*lines, ""])


def attributes(text: str) -> dict[str, str]:
    """Return what a docstring says about attributes, by name."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        begin = re.match(r" {4}(\w[\w, ]*): (.*)", line)
        names = begin[1].split(", ") if begin else list(found)[-1:]
        found |= {name: begin[2] if begin else f"{found[name]} {line.strip()}" for name in names}
    return found


def json_type(field: dataclasses.Field[Any]) -> str:
    """Return what JSON calls a field's type."""
    known = {"str": "string", "bool": "true or false", "tuple[str, ...]": "list of strings"}
    kind = str(field.type)
    return known.get(kind, "object" if kind.startswith("dict") else "number")


def faults_page() -> str:
    """Return the page of all faults and what was seen of them."""
    return faults.page(matrix.shipped())


def eleven_page() -> str:
    """Return the page of the tutorial's eleven sabotages."""
    return faults.eleven(matrix.shipped())


def rooms_page() -> str:
    """Return the page of all rooms."""
    lines = [
        "# Every room",
        "",
        "Made from `docs/rooms.py` by `docs/generate.py`; do not edit. `tests/unit/test_rooms.py` fails when an import",
        "breaks this table. Every room above the ground may also import the ground.",
        "",
        "| room | duty | may import |",
        "|---|---|---|",
    ]
    for title, floor in reversed(rooms.FLOORS.items()):
        lines.append(f"| **{title}** | | |")
        for room, allowed in floor.items():
            others = "all below" if room == "lab" else ", ".join(sorted(allowed)) or "-"
            lines.append(f"| `{room}` | {rooms.duty(room)} | {others} |")
    return "\n".join([*lines, ""])


def architecture() -> str:
    """Return the picture of the rooms, floor by floor."""
    wide, head, gap, y = 1000, 150, 10, 62.0
    title = "Rooms of labctl: each imports only its own floor and those below"
    sheet = Sheet()
    sheet.text(20, 36, title, ink="text", size=TITLE, weight="bold")
    for number, (floor, names) in enumerate(reversed(rooms.FLOORS.items())):
        ink = f"n{number % 6}"
        each = (wide - head - 40 - gap * (len(names) - 1)) / len(names)
        small = floor in ("Ground", "Tools")
        about = {name: [] if small else fold(_short(name, len(names)), SMALL, each - 16) for name in names}
        high = 30 + 15 * max(map(len, about.values())) + (0 if small else 6)
        sheet.box(20, y, head - gap, high, ink=ink)
        sheet.text(20 + (head - gap) / 2, y + high / 2 + 5, floor, ink="head", anchor="middle", weight="bold")
        for place, name in enumerate(names):
            x = 20 + head + place * (each + gap)
            sheet.box(x, y, each, high, ink="box", edge=ink)
            sheet.text(x + each / 2, y + 20, name, ink="text", size=NAME, anchor="middle", weight="bold")
            for line, text in enumerate(about[name]):
                sheet.text(x + each / 2, y + 38 + 15 * line, text, ink="faint", size=SMALL, anchor="middle")
        y += high + 12
    return document(sheet, title, wide, y + 8, dark=True)


def _short(room: str, beside: int) -> str:
    """Return what fits a room's box; one that is alone on its floor has place for all."""
    about = rooms.duty(room).rstrip(".")
    return about if beside == 1 else re.split("[:.]", about)[0]


def picture() -> str:
    """Return the README's picture."""
    return diagram.svg(topology.load("gridka"))


PAGES = {
    "images/architecture.svg": architecture,
    "images/gridka.svg": picture,
    "reference/rooms.md": rooms_page,
    "reference/checks.md": checks_page,
    "reference/cli.md": commands_page,
    "reference/events.md": events_page,
    "reference/eleven.md": eleven_page,
    "reference/faults.md": faults_page,
    "reference/roles.md": roles_page,
}

if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(any((DOCS / name).read_text() != page() for name, page in PAGES.items()))
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
