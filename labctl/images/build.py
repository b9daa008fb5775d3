"""Builds a bootable disk from a recipe on this machine: no virtual machine, no loop device.

mmdebstrap makes the root file system, mke2fs copies it into a partition of a sparse raw disk, GRUB's boot sector and
core image go into the gap before that partition, and qemu-img writes the qcow2. GRUB's core image carries its whole
configuration: it loads /vmlinuz and /initrd.img, which Debian keeps pointing to the newest kernel.

A recipe that extends another is built in one go: first the base with its customization, then the packages of each
layer above, whose archives may be kept for an install medium (medium.py).
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import CapacityError, InputError, RefusedError
from labctl.images import compiled
from labctl.images.importing import digest
from labctl.images.recipe import Layer, Recipe
from labctl.modes import published
from labctl.process import run
from labctl.quoting import shell, shell_line
from labctl.sizes import GIB, size

ROOM = 4 * GIB
"""Bytes of disk that the build of a base needs while it runs; one with layers above it needs four times as many."""

_SECTOR = 512
_FIRST = 2048  # sectors; the partition begins at 1 MiB, as every partitioner does it today
_GRUB_MODULES = ("biosdisk", "part_msdos", "ext2", "linux")
_LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
_BUILD_SECONDS = 1800.0
_OFFLINE = "deb [trusted=yes] file:/media/labctl ./"  # the install medium, where a node has one
_SOURCE = "/etc/apt/sources.list.d/labctl.list"
# The base has its customization by then: its resolv.conf points to a file that only a running node has.
_LAYER = """set -eu
inside() {{ LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive chroot "$@"; }}
units() {{ find "$1/etc/systemd/system" -type l ! -lname /dev/null | sort; }}
cp /etc/resolv.conf "$1/run/labctl-resolv.conf"
printf '#!/bin/sh\nexit 101\n' > "$1/usr/sbin/policy-rc.d"
chmod 755 "$1/usr/sbin/policy-rc.d"
units "$1" > "$1/run/units"
inside "$1" apt-get --yes --no-install-recommends --download-only install {packages}
{keep}
inside "$1" apt-get --yes --no-install-recommends install {packages}
inside "$1" apt-get clean
units "$1" | comm -13 "$1/run/units" - | xargs -r rm
rm -f "$1/usr/sbin/policy-rc.d" "$1/run/labctl-resolv.conf" "$1/run/units"
"""


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """A finished disk; sizes in bytes."""

    path: Path
    sha256: str
    size: int
    virtual_size: int


def build(
    recipe: Recipe,
    *,
    target: Path,
    scratch: Path,
    mirror: str | None,
    progress: Callable[[str], None],
    log: Path,
    archives: Path | None = None,
) -> BuiltImage:
    """Build an image.

    Args:
        target: the qcow2 file to make; it appears when it is whole.
        scratch: a folder with room for it, cleared by the caller.
        archives: a folder that receives the package files of the layers above the base, and in its folder
            `compiled` their bytecode (compiled.py).
        mirror: where packages come from; None takes the one that this machine's apt uses.
        progress: receives each step's name.
        log: receives what the programs say.

    Raises:
        RefusedError: we are not root.
        InputError: no mirror is known.
        CapacityError: the disk is too full.
        ProcessError: a program is missing or failed.
    """
    if os.geteuid() != 0:
        raise RefusedError("an image is built as root", remedy="Run the command with sudo.")
    room = ROOM * (1 if len(recipe.layers) == 1 else 4)
    if shutil.disk_usage(scratch).free < room:
        raise CapacityError(f"a build needs {size(room)} in {scratch}", remedy="Free some disk space.")
    root, raw = scratch / "root", scratch / "disk.raw"
    sources = archive_sources(recipe, mirror)
    progress("installing packages")
    _bootstrap(recipe, root, sources, archives, scratch / "overlays", log)
    if archives:
        compiled.pack(root, archives, archives / "compiled")
    progress("writing the disk")
    write_disk(recipe, root, raw, log)
    progress("converting to qcow2")
    shutil.rmtree(root)
    return finish(raw, target, log=log)


def finish(raw: Path, target: Path, *, log: Path) -> BuiltImage:
    """Turn a raw disk into a qcow2 file that appears when it is whole; the raw one is removed."""
    beside, virtual_size = target.with_suffix(".new"), raw.stat().st_size
    run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, beside], timeout=_BUILD_SECONDS, log=log)
    raw.unlink()
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    beside.replace(target)
    return BuiltImage(path=target, sha256=digest(target), size=target.stat().st_size, virtual_size=virtual_size)


def mirrors(index_targets: str) -> dict[str, str]:
    """Read `apt-get indextargets`, lines of SITE|ORIGIN|LABEL, into label to site for Debian's own archives.

    Before the first apt-get update, apt knows neither origin nor label; then a site's last word must do.
    """
    found: dict[str, str] = {}
    for line in index_targets.splitlines():
        site, origin, label = line.split("|")[:3]
        guess = {"debian": "Debian", "debian-security": "Debian-Security"}.get(site.rstrip("/").rpartition("/")[2])
        if label := (label if origin == "Debian" else "" if origin else guess or ""):
            found.setdefault(label, site.rstrip("/"))
    return found


def archive_sources(recipe: Recipe, mirror: str | None) -> list[str]:
    """Return the lines of a sources.list for the recipe's suite."""
    form = "$(SITE)|$(ORIGIN)|$(LABEL)"
    known = {} if mirror else mirrors(run(["apt-get", "indextargets", "--format", form], timeout=60).decode())
    archive = mirror or known.get("Debian")
    if archive is None:
        raise InputError(
            "this machine's apt knows no Debian archive",
            remedy="Run apt-get update, or name one with --mirror URL.",
        )
    components = " ".join(recipe.components)
    lines = [f"deb {archive} {suite} {components}" for suite in (recipe.suite, f"{recipe.suite}-updates")]
    if security := known.get("Debian-Security"):
        lines.append(f"deb {security} {recipe.suite}-security {components}")
    if not all(re.fullmatch(r"[\x21-\x7e ]+", line) for line in lines):
        raise InputError(f"{archive!r} is no mirror", remedy="Give a URL.")
    return lines


def copy_overlay(overlay: Path, target: Path) -> Path:
    """Copy an overlay to a folder to be made, with the modes that an image needs, whatever a clone gave them."""
    shutil.copytree(overlay, target, symlinks=True)
    published(target)
    return target


def _bootstrap(
    recipe: Recipe, root: Path, sources: list[str], archives: Path | None, overlays: Path, log: Path
) -> None:
    """Make the root file system. Its mounts and processes die with their namespaces, however the build ends."""
    base, *above = recipe.layers
    options = [
        "--mode=root",
        "--format=directory",
        "--variant=minbase",
        "--architectures=amd64",
        '--aptopt=Acquire::Languages "none"',
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        f"--include={','.join(base.packages)}",
        *_hooks(base, overlays),
        *(hook for layer in above for hook in (_install(layer, archives), *_hooks(layer, overlays))),
        f'--customize-hook=LC_ALL=C.UTF-8 chroot "$1" {grub_command(recipe)}',
        f'--customize-hook=rm "$1/etc/apt/sources.list"; echo {shell(_OFFLINE)} > "$1{_SOURCE}"',
    ]
    command: list[str | Path] = [
        *("unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc"),
        "mmdebstrap",
        *options,
        recipe.suite,
        root,
        *sources,
    ]
    run(command, timeout=_BUILD_SECONDS, log=log)


def _hooks(layer: Layer, overlays: Path) -> list[str]:
    """Return mmdebstrap's options that lay the overlay over the root file system and run the script in it."""
    lines = []
    if layer.overlay:
        overlay = copy_overlay(layer.overlay, overlays / layer.folder.name)
        lines.append(f'cp -rT {shell(str(overlay))} "$1"')
    if (script := layer.folder / "customize.sh").exists():
        lines.append(f'LC_ALL=C.UTF-8 chroot "$1" sh -s < {shell(str(script))}')
    return [f"--customize-hook={line}" for line in lines]


def _install(layer: Layer, archives: Path | None) -> str:
    """Return mmdebstrap's option that installs a layer's packages; no service starts, and none will at boot."""
    keep = f'cp "$1"/var/cache/apt/archives/*.deb {shell(str(archives))}' if archives else ":"
    return f"--customize-hook={_LAYER.format(packages=shell_line(layer.packages), keep=keep)}"


def grub_command(recipe: Recipe) -> str:
    """Return the shell line that makes /core.img in the root file system."""
    configuration = (
        "set root=(hd0,msdos1)\n"
        f"linux /vmlinuz root=/dev/vda1 rw rootfstype=ext4 {recipe.kernel_cmdline}\n"
        "initrd /initrd.img\nboot\n"
    )
    script = (
        f"printf %s {shell(configuration)} > /grub.cfg && grub-mkimage -O i386-pc -o /core.img -c /grub.cfg "
        f"-p /boot/grub {' '.join(_GRUB_MODULES)} && rm /grub.cfg"
    )
    return f"sh -c {shell(script)}"


def write_disk(recipe: Recipe, root: Path, raw: Path, log: Path) -> None:
    """Write partition table, boot code and file system into a sparse file."""
    core = root / "core.img"
    code = core.read_bytes()
    boot = (root / "usr/lib/grub/i386-pc/boot.img").read_bytes()[:440]
    core.unlink()
    sectors = recipe.size * 1024**3 // _SECTOR
    with raw.open("wb") as disk:
        disk.truncate(sectors * _SECTOR)
        disk.write(boot)
        disk.seek(446)
        disk.write(struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", _FIRST, sectors - _FIRST))
        disk.seek(510)
        disk.write(b"\x55\xaa" + code)
    extended = f"offset={_FIRST * _SECTOR},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"
    make = ["mke2fs", "-q", "-t", "ext4", "-U", str(uuid.uuid4()), "-m", "1", "-i", "32768", "-E", extended]
    kib = (sectors - _FIRST) * _SECTOR // 1024
    run([*make, "-d", root, raw, f"{kib}k"], timeout=_BUILD_SECONDS, log=log)
