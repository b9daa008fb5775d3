"""Things that a cloud's APIs know, endpoints, users, quotas, routers: asked and changed from outside the nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from labctl.changes.action import Context
from labctl.changes.change import Change, Kind, State
from labctl.changes.thing_kinds import THING_KINDS
from labctl.errors import InputError


class Things:
    """Things by a word for their kind and words for which one: `endpoint image public`, `router router1`."""

    name = "thing"

    def look(self, context: Context, target: str) -> State:
        """Return those of a thing's qualities that can be changed.

        Raises:
            InputError: there is no such thing.
        """
        kind, *words = target.split()
        return context.demand_cloud().translated(lambda: THING_KINDS[kind].look(context, *words))

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Set the qualities that differ."""
        kind, *words = target.split()
        values = {key: wanted[key] for key in wanted if now.get(key) != wanted[key]}
        context.demand_cloud().translated(lambda: THING_KINDS[kind].become(context, values, *words))

    def same(self, one: State, other: State) -> bool:
        """Whether all qualities are alike."""
        return one == other

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return the qualities that differ."""
        return "\n".join(
            f"{target}: {key}: {now.get(key)} -> {wanted[key]}" for key in wanted if now.get(key) != wanted[key]
        )


THINGS: Kind = Things()


@dataclass(frozen=True, kw_only=True)
class Thing(Change):
    """Changes qualities of a thing in the cloud.

    Attributes:
        name: its kind and which one, as `Things` names it.
        values: quality to value.
        respelled: quality to a regular expression and what takes the place of its first match.
    """

    kind: ClassVar[Kind] = THINGS
    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    respelled: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """The thing."""
        return self.name

    def judge(self, now: State) -> State:
        """Return the thing with its new qualities.

        Raises:
            InputError: it has no such quality, or one whose value is not as expected.
        """
        if missing := sorted({*self.values, *self.respelled} - set(now)):
            raise InputError(f"{self.name} has no {', '.join(missing)}")
        changed = {key: re.sub(find, put, now[key], count=1) for key, (find, put) in self.respelled.items()}
        wanted = {**now, **self.values, **changed}
        if wanted == now:
            raise InputError(f"{self.name} is so already")
        return wanted

    def describe(self) -> str:
        """Say which, and the qualities."""
        return f"set of {self.name}: " + ", ".join(
            f"{key} = {value}" for key, value in {**self.values, **self.respelled}.items()
        )
