"""The list of a team's nodes, from which a visitor who named none chooses one."""

from __future__ import annotations

from typing import Protocol

from labctl.plan.model import LabPlan
from labctl.report.table import table

_TRIES = 5
_LONGEST = 200  # bytes of an answer
_ENTER, _ERASE, _LEAVE = b"\r\n", b"\x7f\b", b"\x03\x04"


class Asked(Protocol):
    """Whoever is asked."""

    @property
    def terminal(self) -> bool:
        """Whether it is a terminal, which does not show what is typed by itself."""
        ...

    def say(self, text: str) -> None:
        """Show a text."""
        ...

    async def typed(self) -> bytes:
        """Return the next bytes that were typed; none at the end."""
        ...

    def untyped(self, data: bytes) -> None:
        """Put bytes back."""
        ...


def node_of(lab: LabPlan, name: str) -> str | None:
    """Return the node that a name stands for: its own, one of the lab's names, or that with the team's; else None."""
    wanted = name.lower()
    known = {str(entry.address): entry.names for entry in lab.hosts}
    for node in lab.nodes:
        names = [name for nic in node.nics if nic.address is not None for name in known.get(str(nic.address), ())]
        if wanted in (node.name, node.full_name, *names):
            return node.name
    return None


def text(lab: LabPlan, title: str) -> str:
    """Return the list of a lab's nodes with their inner addresses."""
    inner = [network.key for network in lab.networks if not network.nat and network.subnet is not None]
    rows = []
    for number, node in enumerate(lab.nodes, start=1):
        found = {nic.network: nic.address for nic in node.nics}
        rows.append([number, node.name, *(found.get(key) or "-" for key in inner), " ".join(node.roles)])
    return f"{title}\n\n{table(['', 'NODE', *(key.upper() for key in inner), ''], rows)}\n\n"


async def choose(lab: LabPlan, asked: Asked) -> str | None:
    """Show the nodes and ask for one; None when the visitor leaves, or gives no useful answer."""
    asked.say(text(lab, f"The lab of {lab.team}, topology {lab.topology}"))
    for _ in range(_TRIES):
        asked.say("Which node? ")
        answer = await _line(asked)
        if answer is None:
            asked.say("\n")
            return None
        if answer.isdecimal() and 0 < int(answer) <= len(lab.nodes):
            return lab.nodes[int(answer) - 1].name
        if found := node_of(lab, answer):
            return found
        if answer:
            asked.say(f"There is no such node. Type a name, or a number from 1 to {len(lab.nodes)}.\n")
    return None


async def _line(asked: Asked) -> str | None:
    """Read a line, showing what is typed where it is a terminal; None at the end, or at Ctrl-C or Ctrl-D."""
    line = b""
    while data := await asked.typed():
        for number, byte in enumerate(data):
            key = bytes([byte])
            if key in _ENTER:
                asked.untyped(data[number + 1 :])
                asked.say("\n" if asked.terminal else "")
                return line.decode(errors="replace").strip()
            if key in _LEAVE:
                return None
            if key in _ERASE:
                asked.say("\b \b" if line and asked.terminal else "")
                line = line[:-1]
            elif byte >= 0x20 and len(line) < _LONGEST:
                line += key
                asked.say(key.decode("ascii", "replace") if asked.terminal else "")
    return line.decode(errors="replace").strip() if line else None
