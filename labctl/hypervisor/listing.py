"""What a host lists: names at once, the facts of each when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from typing import Generic, TypeVar
from uuid import UUID

Facts = TypeVar("Facts")


class Listing(Mapping[str, Facts], Generic[Facts]):
    """Objects of a host by name, in the order of names; safe to use from many threads.

    libvirt lists any number of objects in one call, and describes them one by one: a host that is far away is asked
    about those alone that somebody looks at, once each. Iteration gives names and asks nothing; `in` and all else ask.
    An object that is gone when it is looked at is not there.

    Args:
        names: what is listed.
        read: returns an object's facts, by name; None when it is gone.
        uuids: the names of objects by UUID, where they have one.
    """

    def __init__(
        self,
        names: Mapping[str, object],
        read: Callable[[str], Facts | None],
        *,
        uuids: Mapping[UUID, str] | None = None,
    ) -> None:
        self.uuids = uuids or {}
        self._names = sorted(names)
        self._read = read
        self._known: dict[str, Facts | None] = {}
        self._listed = frozenset(names)

    def __getitem__(self, name: str) -> Facts:
        if name not in self._known:
            self._known[name] = self._read(name) if name in self._listed else None
        found = self._known[name]
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def items(self) -> ItemsView[str, Facts]:
        """Read all that is still there."""
        return self._all().items()

    def values(self) -> ValuesView[Facts]:
        """Read all that is still there."""
        return self._all().values()

    def of(self, uuid: UUID) -> Facts | None:
        """Return the facts of the object with that UUID; None when there is none."""
        name = self.uuids.get(uuid)
        return None if name is None else self.get(name)

    def _all(self) -> dict[str, Facts]:
        return {name: facts for name in self._names if (facts := self.get(name)) is not None}
