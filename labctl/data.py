"""Finds the data files that ship with labctl: image recipes, network definitions, topologies, seed templates."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Return the data folder `name` (images, networks or cloud-init).

    An installed wheel carries the folders in `labctl/_data`; a checkout has them beside the package.
    """
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
