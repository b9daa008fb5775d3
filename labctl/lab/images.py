"""Brings base images to a host: build or import on this machine, then publish."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from labctl.errors import InputError
from labctl.images import build as builder
from labctl.images import importing, recipe
from labctl.images.store import Image, Manifest, check_name
from labctl.lab.site import Site
from labctl.state import Home


def build(home: Home, site: Site, name: str, *, mirror: str | None, say: Callable[[str], None]) -> Image:
    """Build the image of a recipe and publish it.

    Raises:
        InputError: there is no such recipe.
        ProcessError: a step failed; the whole output stays in the state folder's logs.
    """
    if name not in recipe.names():
        raise InputError(f"there is no recipe {name}", details=f"Recipes: {', '.join(recipe.names())}")
    chosen = recipe.load(name)
    log = home.root / "logs" / f"image-{name}.log"
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    with home.lock(f"image-{name}"), _scratch(home, name) as scratch:
        built = builder.build(
            chosen, target=scratch / "disk.qcow2", scratch=scratch, mirror=mirror, progress=say, log=log
        )
        say("uploading")
        manifest = Manifest(
            name=name,
            sha256=built.sha256,
            size=built.size,
            virtual_size=built.virtual_size,
            os_info=chosen.os_info,
            created=_now(),
            source=f"recipe {name}",
        )
        return site.images.publish(built.path, manifest)


def import_(home: Home, site: Site, name: str, source: str, *, sha256: str | None, say: Callable[[str], None]) -> Image:
    """Check a foreign image, make a clean copy of it, and publish that.

    Raises:
        InputError: the file is missing, hostile, not bootable, or not the one that `sha256` names.
    """
    check_name(name)
    with home.lock(f"image-{name}"), _scratch(home, name) as scratch:
        disk = importing.import_(source, sha256=sha256, scratch=scratch, progress=say)
        say("uploading")
        manifest = Manifest(
            name=name,
            sha256=disk.sha256,
            size=disk.size,
            virtual_size=disk.virtual_size,
            os_info="",
            created=_now(),
            source=source,
        )
        return site.images.publish(disk.path, manifest)


def remove(home: Home, site: Site, name: str) -> None:
    """Remove an image.

    Raises:
        InputError: there is no such image.
        RefusedError: a lab on record uses it.
    """
    used = {volume for record in home.records() if record.host == site.name for volume in record.images.values()}
    with home.lock(f"image-{name}"):
        site.images.remove(name, in_use=used)


@contextmanager
def _scratch(home: Home, name: str) -> Iterator[Path]:
    """Yield an empty folder on the state folder's file system; what a killed run left there is removed first."""
    folder = home.root / "scratch" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
