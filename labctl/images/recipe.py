"""Image recipes: data that says what goes into a base image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import yaml

from labctl import data
from labctl.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What one recipe adds to the one that it extends, or what is added to a recipe for some labs alone.

    Attributes:
        folder: where the recipe lies: `overlay/` is copied over the root file system, `customize.sh` runs in it.
        packages: names, in the recipe's order.
    """

    folder: Path
    packages: tuple[str, ...]

    @classmethod
    def from_file(cls, file: Path) -> Self:
        """Read the packages of `recipe.yaml`, which stand there in groups, whose names are for people."""
        groups: dict[str, list[str]] = yaml.safe_load(file.read_text()).get("packages", {})
        return cls(folder=file.parent, packages=tuple(name for group in groups.values() for name in group))

    @property
    def overlay(self) -> Path | None:
        """The files to copy over the root file system, where the recipe has any."""
        return found if (found := self.folder / "overlay").is_dir() else None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What goes into an image.

    Attributes:
        layers: the recipe and those that it extends, the base first.
        suite, components: of the Debian archive.
        os_info: libosinfo's ID of the system.
        size: of the virtual disk, GiB.
        kernel_cmdline: the kernel's arguments besides those about the root file system.
        medium: recipes of the disks that the image's install medium carries besides packages; None: no medium is
            made. The medium holds the packages that the layers above the base add.
        cost: what a build takes, in words.
        kind: whether it is for nodes, or for instances of a cloud (see instance.py).
        extras: names of the layers that were added to it.
    """

    name: str
    title: str
    layers: tuple[Layer, ...]
    suite: str
    components: tuple[str, ...]
    os_info: str
    size: int
    kernel_cmdline: str
    cost: str
    medium: tuple[str, ...] | None = None
    kind: Literal["node", "instance"] = "node"
    extras: tuple[str, ...] = ()

    @classmethod
    def from_file(cls, file: Path) -> Self:
        """Read `recipe.yaml`, and those of the recipes that it extends."""
        values: dict[str, Any] = yaml.safe_load(file.read_text())
        layers = [Layer.from_file(file)]
        values.pop("packages", None)
        if base := values.pop("extends", None):
            below = cls.from_file(file.parent.parent / base / file.name)
            inherited = ("suite", "components", "os_info", "size", "kernel_cmdline")
            values = {name: getattr(below, name) for name in inherited} | values
            layers = [*below.layers, *layers]
        for name in ("components", "medium"):
            values[name] = tuple(values[name]) if values.get(name) is not None else None
        return cls(**values, layers=tuple(layers))


def names() -> list[str]:
    """Return the recipes that ship with labctl."""
    return sorted(file.parent.name for file in data.folder("images").glob("*/recipe.yaml"))


def additions(name: str) -> dict[str, str]:
    """Return the layers that can be added to a recipe: name to title."""
    found = sorted(data.folder("images").glob(f"{name}/with/*/recipe.yaml"))
    return {file.parent.name: yaml.safe_load(file.read_text())["title"] for file in found}


def load(name: str, *, extras: Iterable[str] = ()) -> Recipe:
    """Return the recipe of that name.

    Args:
        extras: names of layers to add to it; see `additions`.

    Raises:
        InputError: there is none, or no such layer.
    """
    if name not in names():
        raise InputError(f"there is no recipe {name}", details=f"Recipes: {', '.join(names())}")
    folder = data.folder("images") / name
    recipe = Recipe.from_file(folder / "recipe.yaml")
    chosen = sorted(set(extras))
    known = additions(name)
    if unknown := [each for each in chosen if each not in known]:
        there = f"Layers: {', '.join(known)}" if known else f"Nothing can be added to {name}."
        raise InputError(f"nothing called {', '.join(unknown)} can be added to recipe {name}", details=there)
    layers = [Layer.from_file(folder / "with" / each / "recipe.yaml") for each in chosen]
    return replace(recipe, layers=(*recipe.layers, *layers), extras=tuple(chosen))
