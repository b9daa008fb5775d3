"""Ports of Open vSwitch's bridges: which cards are in; its database keeps them over reboots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl import quoting
from labctl.changes.action import Context
from labctl.changes.change import Change, Kind, State
from labctl.errors import InputError


class SwitchPorts:
    """Ports by `BRIDGE CARD`."""

    name = "switch-port"

    def look(self, context: Context, target: str) -> State:
        """Return whether the card is a port of the bridge.

        Raises:
            InputError: there is no such bridge.
        """
        bridge, card = target.split()
        said = context.ask(f"ovs-vsctl --timeout=30 list-ports {quoting.shell(bridge)}")
        if not said.ok:
            raise InputError(f"{context.guest.name} has no bridge {bridge}")
        return {"there": card in said.stdout.split()}

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Put the card into the bridge, or take it out."""
        verb = "--may-exist add-port" if wanted["there"] else "--if-exists del-port"
        context.run(f"ovs-vsctl --timeout=30 {verb} {quoting.shell_line(target.split())}", timeout=60)

    def same(self, one: State, other: State) -> bool:
        """Whether it is in for both, or out."""
        return one == other

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return what differs."""
        bridge, card = target.split()
        return f"{bridge}: {'+' if wanted['there'] else '-'} port {card}"


PORTS: Kind = SwitchPorts()


@dataclass(frozen=True, kw_only=True)
class SwitchPort(Change):
    """Takes a card out of a bridge.

    Attributes:
        card: never the management card.
    """

    kind: ClassVar[Kind] = PORTS
    bridge: str
    card: str

    @property
    def target(self) -> str:
        """Bridge and card."""
        return f"{self.bridge} {self.card}"

    def judge(self, now: State) -> State:
        """Return it out.

        Raises:
            InputError: it is out already.
        """
        if not now["there"]:
            raise InputError(f"{self.card} is no port of {self.bridge}")
        return {"there": False}

    def describe(self) -> str:
        """Say which."""
        return f"take {self.card} out of {self.bridge}"
