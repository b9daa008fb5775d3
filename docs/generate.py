"""Writes docs/reference and the README's picture from the code: `python docs/generate.py` (`--check` only compares)."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from pathlib import Path
from typing import Any

import click

from labctl.checks.check import CHECKS
from labctl.cli.root import SECTIONS, root
from labctl.installing.tasks import order_of
from labctl.report import diagram
from labctl.report import matrix as faults
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
        where = "every node" if role.everywhere else ", ".join(key for key, node in nodes.items() if name in node.roles)
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


def picture() -> str:
    """Return the README's picture."""
    return diagram.svg(topology.load("gridka"))


PAGES = {
    "images/gridka.svg": picture,
    "reference/checks.md": checks_page,
    "reference/cli.md": commands_page,
    "reference/events.md": events_page,
    "reference/faults.md": faults_page,
    "reference/roles.md": roles_page,
}

if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(any((DOCS / name).read_text() != page() for name, page in PAGES.items()))
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
