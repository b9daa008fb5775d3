"""Brings base images to a host: build or import on this machine, then publish."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from labctl.errors import InputError
from labctl.images import build as builder
from labctl.images import importing, instance, medium, recipe
from labctl.images.build import BuiltImage
from labctl.images.store import Image, Manifest, check_name, now
from labctl.modes import private
from labctl.roles import fit
from labctl.site.site import Site
from labctl.site.work import Work
from labctl.state import Home


def build(work: Work, name: str, *, mirror: str | None, extras: Iterable[str] = ()) -> list[Image]:
    """Build the image of a recipe, and its install medium where it has one, and publish them.

    Args:
        extras: layers to add to the recipe.

    Raises:
        InputError: there is no such recipe, or no such layer.
        ProcessError: a step failed; the whole output stays in the state folder's logs.
    """
    home, site, say = work.home, work.site, work.progress.say
    chosen = recipe.load(name, extras=extras)
    log = home.root / "logs" / f"image-{name}.log"
    private(log.parent)
    log.unlink(missing_ok=True)

    def published(disk: BuiltImage, called: str, title: str) -> Image:
        say(f"uploading {called}")
        manifest = Manifest(
            name=called,
            sha256=disk.sha256,
            size=disk.size,
            virtual_size=disk.virtual_size,
            os_info=chosen.os_info,
            created=now(),
            source=title + (f" with {', '.join(chosen.extras)}" if chosen.extras else ""),
            extras=chosen.extras,
        )
        return site.images.publish(disk.path, manifest, in_use=images_in_use(home, site))

    with home.lock("image", name), home.scratch(name) as folder:
        bench, archives = folder / "work", folder / "archives"
        for made in (bench, archives):
            made.mkdir()
        disks = {}
        for other in chosen.medium or ():
            say(f"building {other}")
            disks[f"{other}.qcow2"] = _builder(other)(
                recipe.load(other),
                target=folder / f"{other}.qcow2",
                scratch=_empty(bench),
                mirror=mirror,
                progress=say,
                log=log,
            ).path
        extra = {} if chosen.medium is None else {"archives": archives}
        built = _builder(name)(
            chosen, target=folder / "disk.qcow2", scratch=_empty(bench), mirror=mirror, progress=say, log=log, **extra
        )
        images = []
        if chosen.medium is not None:
            say("making the install medium")
            target = folder / "medium.qcow2"
            packed = medium.build(archives, disks, target=target, scratch=_empty(bench), log=log)
            images.append(published(packed, f"{name}-medium", f"install medium of recipe {name}"))
        return [published(built, name, f"recipe {name}"), *images]


def demand_layers(image: Image, roles: Iterable[str]) -> None:
    """Refuse an image that lacks packages of its nodes' roles.

    Raises:
        InputError: it does.
    """
    needed, name = fit.layers(roles), image.manifest.name.removesuffix("-medium")
    if lacking := set(needed) - set(image.manifest.extras):
        words = "".join(f" --with {each}" for each in sorted({*needed, *image.manifest.extras}))
        raise InputError(
            f"image {image.manifest.name} lacks the packages of: {', '.join(sorted(lacking))}",
            details="Only some labs need them, so an image is built without them unless they are asked for.",
            remedy=f"labctl image build {name}{words}",
        )


def _builder(name: str) -> Callable[..., BuiltImage]:
    """Return what builds a recipe: instances are put together in another way than nodes."""
    return instance.build if recipe.load(name).kind == "instance" else builder.build


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder)
    folder.mkdir()
    return folder


def import_(work: Work, name: str, source: str, *, sha256: str | None) -> Image:
    """Check a foreign image, make a clean copy of it, and publish that.

    Raises:
        InputError: the file is missing, hostile, not bootable, or not the one that `sha256` names.
    """
    home, site, say = work.home, work.site, work.progress.say
    check_name(name)
    with home.lock("image", name), home.scratch(name) as folder:
        disk = importing.import_(source, sha256=sha256, scratch=folder, progress=say)
        say("uploading")
        manifest = Manifest(
            name=name,
            sha256=disk.sha256,
            size=disk.size,
            virtual_size=disk.virtual_size,
            os_info="",
            created=now(),
            source=source,
        )
        return site.images.publish(disk.path, manifest, in_use=images_in_use(home, site))


def remove(home: Home, site: Site, name: str) -> None:
    """Remove an image.

    Raises:
        InputError: there is no such image.
        RefusedError: a lab on record uses it.
    """
    with home.lock("image", name):
        site.images.remove(name, in_use=images_in_use(home, site))


def images_in_use(home: Home, site: Site) -> set[str]:
    """Return the volumes of the images that labs on record stand on, whether or not their overlays exist just now."""
    return {volume for record in home.records() if record.host == site.name for volume in record.images.values()}
