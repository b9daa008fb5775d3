"""Moves golden sets between hosts in one file, and verifies that they are unchanged.

A bundle is a tar archive compressed with zstd. Its first member, bundle.json, holds the set's manifest, its base
image's manifest, and size and SHA-256 of every further member: the base image, the disks, the memory.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from labctl.errors import CapacityError, InputError, LabctlError
from labctl.images.importing import digest
from labctl.images.store import Image, Manifest, now
from labctl.images.whole import LIMITS, check_qcow2
from labctl.process import run
from labctl.sets import store
from labctl.sets.manifest import GOLDEN, GoldenManifest
from labctl.site.site import Site
from labctl.site.work import Work
from labctl.sizes import size

VERSION = 1
"""Of the format; a reader refuses others."""

_INDEX = "bundle.json"
_INDEX_LIMIT = 32 * 1024**2
_IMAGE = "image.qcow2"
_SECONDS = 3600.0
_CHUNK = 1024**2
_LEVEL = 3  # zstd's own default: memory images shrink to a third, at the speed of a disk


def verify(work: Work, golden: GoldenManifest) -> None:
    """Compare a set's volumes with the hashes taken when it was made.

    Raises:
        LabctlError: some are damaged; the details name them.
    """
    site, damaged = work.site, list[str]()

    def check(volume: str, wanted: str, offset: int) -> None:
        found = hashlib.sha256()
        site.hypervisor.fetch(site.pool.name, volume, found.update, offset=offset)
        if found.hexdigest() != wanted:
            damaged.append(volume)

    pieces = [partial(check, disk.volume, disk.sha256, 0) for disk in golden.disks.values()]
    pieces += [partial(check, memory.volume, memory.sha256, memory.head.length) for memory in golden.memory.values()]
    work.together(pieces, brief="not everything could be read", remedy="")
    if damaged:
        raise LabctlError(
            f"golden set {golden.name} is damaged",
            details="\n".join(sorted(damaged)),
            remedy="Make it again (labctl golden capture, bake or import); no lab should be made from this one.",
        )


def export(work: Work, golden: GoldenManifest, target: Path) -> None:
    """Write a set and its base image into a file, readable by its owner alone, for it holds the cloud's passwords.

    Raises:
        InputError: the set's base image is gone.
        CapacityError: there is too little room; nothing is left of the file.
    """
    home, site, say, cancelled = work.home, work.site, work.progress.say, work.cancelled
    image = next((each for each in site.images.every(site.volumes) if each.volume == golden.image), None)
    if image is None:
        raise InputError(f"the base image of golden set {golden.name} is gone", details=golden.image)
    with home.scratch(f"export-{golden.name}") as folder, _beside(target) as beside:
        _check_room(folder, 3 * golden.size + image.manifest.size, "the state folder")
        members = _collect(work, golden, image, folder)
        index = {
            "version": VERSION,
            "golden": json.loads(golden.to_json()),
            "image": asdict(image.manifest),
            "members": {path.name: {"bytes": path.stat().st_size, "sha256": digest(path)} for path in members},
        }
        say(f"writing {target}")
        with _compressed(beside) as archive:
            content = json.dumps(index).encode()
            header = tarfile.TarInfo(_INDEX)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
            for path in members:
                if cancelled.is_set():
                    raise LabctlError("the export was cancelled")
                archive.add(path, arcname=path.name)
        beside.replace(target)


def import_(work: Work, source: Path) -> GoldenManifest:
    """Bring a set to this host from a file; nothing appears before everything was checked.

    Raises:
        InputError: the file is no bundle, is damaged, or its set is on this host already.
        CapacityError: there is too little room.
    """
    home, site, say, cancelled = work.home, work.site, work.progress.say, work.cancelled
    with home.scratch("golden-import") as folder:
        say(f"reading {source}")
        golden, image = _unpack(source, folder, cancelled)
        if golden.id in {each.id for each in store.golden(site).every(site.volumes)}:
            raise InputError(f"golden set {golden.name} ({golden.id}) is on this host already")
        disks = {name: folder / disk.volume for name, disk in golden.disks.items()}
        _check_disks(golden, image, disks, folder / _IMAGE)
        with home.lock("golden", golden.name):
            say(f"uploading image {image.name}")
            base = _base(site, image, folder / _IMAGE)
            renamed: dict[str, str] = {}
            for name, path in disks.items():
                if cancelled.is_set():
                    raise LabctlError("the import was cancelled")
                run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", base.path, "-F", "qcow2", path], timeout=_SECONDS)
                say(f"uploading the disk of {name}")
                site.hypervisor.remove_volume(site.pool.name, golden.disks[name].volume)
                store.golden(site).upload(golden.disks[name].volume, path)
                renamed[name] = digest(path)
            for name, memory in golden.memory.items():
                if cancelled.is_set():
                    raise LabctlError("the import was cancelled")
                say(f"uploading the memory of {name}")
                site.hypervisor.remove_volume(site.pool.name, memory.volume)
                store.golden(site).upload(memory.volume, folder / memory.volume)
            disks_now = {name: replace(disk, sha256=renamed[name]) for name, disk in golden.disks.items()}
            made = replace(golden, disks=disks_now, image=base.volume)
            store.golden(site).seal(made, replaces=False)
    return made


def _collect(work: Work, golden: GoldenManifest, image: Image, folder: Path) -> list[Path]:
    """Fetch all members of a bundle. Disks that are overlays of an earlier set become overlays of the base image."""

    site = work.site

    def fetch(volume: str, called: str) -> Path:
        if work.cancelled.is_set():
            raise LabctlError("the export was cancelled")
        work.progress.say(f"fetching {volume}")
        path = folder / called
        with path.open("wb") as file:
            site.hypervisor.fetch(site.pool.name, volume, file.write)
        return path

    by_path = {volume.path: volume for volume in site.volumes.values()}
    base = fetch(image.volume, _IMAGE)
    members = [base]
    for disk in golden.disks.values():
        chain = [site.volumes[disk.volume]]
        while (backing := chain[-1].backing) is not None and backing != image.path and backing in by_path:
            chain.append(by_path[backing])
        lower = base if chain[-1].backing == image.path else None
        for place, volume in reversed(list(enumerate(chain))):
            path = fetch(volume.name, disk.volume if place == 0 else f"chain-{place}.qcow2")
            backed = ["-b", str(lower), "-F", "qcow2"] if lower else ["-b", ""]
            run(["qemu-img", "rebase", "-u", "-f", "qcow2", *backed, path], timeout=_SECONDS)
            lower = path
        if len(chain) > 1:
            run(
                ["qemu-img", "rebase", "-f", "qcow2", "-b", base, "-F", "qcow2", folder / disk.volume], timeout=_SECONDS
            )
            for path in folder.glob("chain-*.qcow2"):
                path.unlink()
        members.append(folder / disk.volume)
    return members + [fetch(memory.volume, memory.volume) for memory in golden.memory.values()]


def _unpack(source: Path, folder: Path, cancelled: threading.Event) -> tuple[GoldenManifest, Manifest]:
    """Write the members of a bundle into a folder, each checked against the index."""
    import zstandard

    try:
        with (
            source.open("rb") as file,
            zstandard.ZstdDecompressor().stream_reader(file) as stream,
            tarfile.open(fileobj=stream, mode="r|") as archive,
        ):
            return _read(archive, source, folder, cancelled)
    except (tarfile.TarError, zstandard.ZstdError, EOFError) as exc:
        raise _no_bundle(source, str(exc)) from exc


def _read(
    archive: tarfile.TarFile, source: Path, folder: Path, cancelled: threading.Event
) -> tuple[GoldenManifest, Manifest]:
    first = archive.next()
    if first is None or first.name != _INDEX or not 0 < first.size <= _INDEX_LIMIT:
        raise _no_bundle(source, f"its first member is not {_INDEX}")
    golden, image, members = _index(_content(archive, first).read(), source)
    _check_room(folder, sum(size for size, _ in members.values()), "the state folder")
    seen = set()
    while (member := archive.next()) is not None:  # iterating would begin with the first again
        size, wanted = members.get(member.name, (-1, ""))
        if not member.isreg() or member.size != size:
            raise _no_bundle(source, f"member {member.name} is not as its index says")
        if cancelled.is_set():
            raise LabctlError("the import was cancelled")
        if _written(_content(archive, member), folder / member.name) != wanted:
            raise _no_bundle(source, f"member {member.name} is damaged: its SHA-256 differs")
        seen.add(member.name)
    if missing := members.keys() - seen:
        raise _no_bundle(source, f"it ends early; {', '.join(sorted(missing))} is missing")
    return golden, image


def _index(content: bytes, source: Path) -> tuple[GoldenManifest, Manifest, dict[str, tuple[int, str]]]:
    """Read a bundle's index: its set, its image, and size and SHA-256 of each member."""
    try:
        index = json.loads(content)
        if index["version"] != VERSION:
            raise _no_bundle(source, f"its format is {index['version']}, this labctl reads {VERSION}")
        golden = GoldenManifest.from_json(json.dumps(index["golden"]))
        image = Manifest.from_json(json.dumps(index["image"]))
        members = {str(name): (int(each["bytes"]), str(each["sha256"])) for name, each in index["members"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise _no_bundle(source, f"its index cannot be read: {exc}") from exc
    if golden.kind != GOLDEN:
        raise _no_bundle(source, f"it contains a {golden.kind}")
    if members.keys() != {_IMAGE, *golden.volumes} or members[_IMAGE][1] != image.sha256:
        raise _no_bundle(source, "its index does not match its set")
    # What is newest is what new labs stand on: nothing is newer than its arrival.
    latest = now()
    golden = replace(golden, created=min(golden.created, latest))
    return golden, replace(image, created=min(image.created, latest)), members


def _check_disks(golden: GoldenManifest, image: Manifest, disks: dict[str, Path], base: Path) -> None:
    """Refuse disks that would make QEMU read other files, or that are not what the manifests say."""
    sizes = {base: image.virtual_size} | {disks[name]: disk.virtual_size for name, disk in golden.disks.items()}
    for path, wanted in sizes.items():
        # -b '' takes away whatever an attacker may have named before qemu-img looks at more than the header.
        run([*LIMITS, "qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "", path], timeout=_SECONDS)
        check_qcow2(path)
        told = run([*LIMITS, "qemu-img", "info", "--output=json", "-f", "qcow2", path], timeout=_SECONDS)
        facts = json.loads(told)
        if facts["virtual-size"] != wanted or "data-file" in facts.get("format-specific", {}).get("data", {}):
            raise InputError(f"{path.name} is not the disk that the bundle describes")


def _base(site: Site, manifest: Manifest, file: Path) -> Image:
    """Return the base image on this host, uploaded where the host has not this very one."""
    for image in site.images.every(site.volumes):
        if image.manifest.sha256 == manifest.sha256:
            return image
    return site.images.publish(file, manifest, replaces=False)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> BinaryIO:
    content = archive.extractfile(member)
    if content is None:
        raise tarfile.TarError(f"{member.name} has no content")
    return content  # type: ignore[return-value]


def _written(content: BinaryIO, path: Path) -> str:
    hashed = hashlib.sha256()
    with path.open("wb") as file:
        while chunk := content.read(_CHUNK):
            hashed.update(chunk)
            file.write(chunk)
    return hashed.hexdigest()


@contextmanager
def _compressed(path: Path) -> Iterator[tarfile.TarFile]:
    import zstandard

    compressor = zstandard.ZstdCompressor(level=_LEVEL, threads=-1)
    with (
        path.open("wb") as file,
        compressor.stream_writer(file) as stream,
        tarfile.open(fileobj=stream, mode="w|") as archive,
    ):
        yield archive


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Yield a file beside the target, which only its owner may read; what is left of it is removed at the end."""
    beside = target.with_name(f".{target.name}.part")
    beside.unlink(missing_ok=True)
    os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield beside
    finally:
        beside.unlink(missing_ok=True)


def _check_room(folder: Path, need: int, where: str) -> None:
    free = shutil.disk_usage(folder).free
    if need > free:
        raise CapacityError(
            f"{size(need)} are needed in {where}, {size(free)} are free",
            remedy=f"Free some disk space (df {folder}).",
        )


def _no_bundle(source: Path, why: str) -> InputError:
    return InputError(
        f"{source} cannot be imported",
        details=why,
        remedy="Nothing was changed. Copy the file again, or export it again where it comes from.",
    )
