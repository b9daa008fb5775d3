"""RabbitMQ: who may do what, with which password, and how much disk it wants; as its own tool, on its node."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from labctl.changes.action import Context
from labctl.changes.change import Change, Kind, State
from labctl.errors import RemoteError
from labctl.quoting import shell

_TOOL = "rabbitmqctl -q"


class Brokers:
    """What of the broker can be changed: `permissions USER`, `password USER`, `disk-limit`."""

    name = "broker"

    def look(self, context: Context, target: str) -> State:
        """Return how it is."""
        what, _, user = target.partition(" ")
        if what == "permissions":
            rows = [line.split("\t") for line in _ask(context, "list_permissions").splitlines()]
            return {"permissions": next((row[1:4] for row in rows if row[0] == user), None)}
        if what == "password":
            right = context.demand_cloud().password("rabbitmq")
            said = context.guest.run(
                f"{_TOOL} authenticate_user {shell(user)}",
                stdin=right.encode(),
                timeout=60 * context.slow,
                check=False,
            )
            return {"on record": said.ok}
        return {"limit": int(_ask(context, "eval 'rabbit_disk_monitor:get_disk_free_limit().'"))}

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Set it; those who are connected are put out when they lose something, and connect again."""
        what, _, user = target.partition(" ")
        word = shell(user)
        close = f"{_TOOL} close_all_user_connections {word} maintenance"
        if what == "permissions" and wanted["permissions"] is None:
            context.run(f"{_TOOL} clear_permissions -p / {word} && {close}", timeout=90)
        elif what == "permissions":
            rights = " ".join(shell(each) for each in wanted["permissions"])
            context.run(f"{_TOOL} set_permissions -p / {word} {rights}", timeout=90)
        elif what == "password":
            right = context.demand_cloud().password("rabbitmq") if wanted["on record"] else secrets.token_hex(10)
            context.run(f"{_TOOL} change_password {word} && {close}", stdin=right, timeout=90)
        else:
            context.run(f"{_TOOL} set_disk_free_limit {wanted['limit']}", timeout=90)

    def same(self, one: State, other: State) -> bool:
        """Whether both are alike."""
        return one == other

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return what differs."""
        return "\n".join(f"{target}: {key}: {now.get(key)} -> {wanted[key]}" for key in wanted)


BROKERS: Kind = Brokers()


@dataclass(frozen=True, kw_only=True)
class Broker(Change):
    """Changes something of the broker, as `Brokers` names it."""

    kind: ClassVar[Kind] = BROKERS
    name: str
    values: Mapping[str, Any]

    @property
    def target(self) -> str:
        """What."""
        return self.name

    def judge(self, now: State) -> State:
        """Return how it is to be."""
        return dict(self.values)

    def describe(self) -> str:
        """Say what."""
        return f"set {self.name} of the broker: " + ", ".join(f"{key} = {value}" for key, value in self.values.items())


def _ask(context: Context, question: str) -> str:
    said = context.ask(f"{_TOOL} {question}", timeout=60)
    if not said.ok:
        raise RemoteError(f"{context.guest.name}: the broker does not say", details=said.tail())
    return said.stdout
