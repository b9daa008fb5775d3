"""Rules of the packet filter: what a node refuses to others, by iptables; a reboot ends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from labctl import quoting
from labctl.changes.action import Context
from labctl.changes.change import Change, Kind, State
from labctl.errors import InputError

_TOOL = "iptables -w 10"  # seconds to wait for others who change rules
_ANSWERS = {"reject": "REJECT --reject-with tcp-reset", "drop": "DROP"}


class Refusals:
    """Rules of the chain INPUT, by what they are about: `SOURCE PORT ANSWER`."""

    name = "refusal"

    def look(self, context: Context, target: str) -> State:
        """Return whether the rule is there.

        Raises:
            InputError: the node has no iptables.
        """
        if not context.holds("command -v iptables >/dev/null"):
            raise InputError(f"{context.guest.name} has no iptables")
        return {"there": context.holds(f"{_TOOL} -C INPUT {_rule(target)} 2>/dev/null")}

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Put it before all others, or take exactly it away."""
        verb = "-I" if wanted["there"] else "-D"
        context.run(f"{_TOOL} {verb} INPUT {_rule(target)}", timeout=60)

    def same(self, one: State, other: State) -> bool:
        """Whether it is there in both, or in none."""
        return one == other

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return what differs."""
        return f"{'+' if wanted['there'] else '-'} -A INPUT {_rule(target)}"


REFUSALS: Kind = Refusals()


@dataclass(frozen=True, kw_only=True)
class Refusal(Change):
    """Refuses one port to one address.

    Attributes:
        source: the address that is refused; never one of the management network.
        port: of TCP; never that of SSH.
        answer: whether it is told so.
    """

    kind: ClassVar[Kind] = REFUSALS
    source: str
    port: int
    answer: Literal["reject", "drop"] = "reject"

    @property
    def target(self) -> str:
        """The rule."""
        return f"{self.source} {self.port} {self.answer}"

    @property
    def removal(self) -> str:
        """The line with which people take the rule away."""
        return f"iptables -D INPUT {_rule(self.target)}"

    def judge(self, now: State) -> State:
        """Return that it is there.

        Raises:
            InputError: it is there already.
        """
        if now["there"]:
            raise InputError(f"port {self.port} is refused to {self.source} already")
        return {"there": True}

    def describe(self) -> str:
        """Say which."""
        return f"{self.answer} {self.source} at port {self.port}"


def _rule(target: str) -> str:
    source, port, answer = target.split()
    return f"-s {quoting.shell(source)} -p tcp --dport {int(port)} -j {_ANSWERS[answer]}"
