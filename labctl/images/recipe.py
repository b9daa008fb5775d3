"""Image recipes: data that says what goes into a base image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import yaml

from labctl import data
from labctl.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What one recipe adds to the one that it extends.

    Attributes:
        folder: where the recipe lies: `overlay/` is copied over the root file system, `customize.sh` runs in it.
        packages: names, in the recipe's order.
    """

    folder: Path
    packages: tuple[str, ...]

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

    @classmethod
    def from_file(cls, file: Path) -> Self:
        """Read `recipe.yaml`; packages stand there in groups, whose names are for people."""
        values: dict[str, Any] = yaml.safe_load(file.read_text())
        packages = tuple(name for group in values.pop("packages", {}).values() for name in group)
        layers = [Layer(folder=file.parent, packages=packages)]
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


def load(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        InputError: there is none.
    """
    if name not in names():
        raise InputError(f"there is no recipe {name}", details=f"Recipes: {', '.join(names())}")
    return Recipe.from_file(data.folder("images") / name / "recipe.yaml")
