"""A typed registry: one decorated object in one file is a new kind of thing."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from labctl.errors import InputError


class Named(Protocol):
    """Something with a name."""

    @property
    def name(self) -> str: ...  # noqa: D102


T = TypeVar("T", bound=Named)


class Registry(Generic[T]):
    """Things of one kind by name; the modules of a package are imported when they are first asked for.

    Args:
        package: the package whose modules register things, for instance labctl.roles.
        what: what to call one of them in messages.
    """

    def __init__(self, package: str, what: str) -> None:
        self._package = package
        self._what = what
        self._things: dict[str, T] = {}
        self._loaded = False

    def add(self, thing: T) -> T:
        """Register a thing; ValueError when its name is taken."""
        if thing.name in self._things:
            raise ValueError(f"there are two of {self._what} {thing.name}")
        self._things[thing.name] = thing
        return thing

    def __getitem__(self, name: str) -> T:
        """Return the thing of that name.

        Raises:
            InputError: there is none.
        """
        if name not in self.names():
            raise InputError(f"there is no {self._what} {name}", details=f"There are: {', '.join(self.names())}")
        return self._things[name]

    def __iter__(self) -> Iterator[T]:
        """Yield all of them by name."""
        return iter([self._things[name] for name in self.names()])

    def names(self) -> list[str]:
        """Return their names, sorted."""
        if not self._loaded:
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__, f"{self._package}."):
                importlib.import_module(module.name)
            self._loaded = True
        return sorted(self._things)
