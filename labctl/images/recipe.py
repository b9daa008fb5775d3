"""Image recipes: data that says what goes into a base image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import yaml

from labctl import data
from labctl.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What goes into an image.

    Attributes:
        folder: where the recipe lies: `overlay/` is copied over the root file system, `customize.sh` runs in it.
        suite, components: of the Debian archive.
        os_info: libosinfo's ID of the system.
        size: of the virtual disk, GiB.
        packages: names, in the recipe's order.
        kernel_cmdline: the kernel's arguments besides those about the root file system.
    """

    name: str
    title: str
    folder: Path
    suite: str
    components: tuple[str, ...]
    os_info: str
    size: int
    packages: tuple[str, ...]
    kernel_cmdline: str

    @classmethod
    def from_file(cls, file: Path) -> Self:
        """Read `recipe.yaml`; packages stand there in groups, whose names are for people."""
        values = yaml.safe_load(file.read_text())
        packages = tuple(name for group in values.pop("packages").values() for name in group)
        return cls(**(values | {"packages": packages, "components": tuple(values["components"])}), folder=file.parent)


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
