"""Makes an install medium: a small file system with package files, their index, and disks for instances.

Nodes see it at /media/labctl, read-only and shared by all of them. It is a flat archive for apt, without the internet:
its index is trusted because the medium is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shutil import copyfile

from labctl.images.build import BuiltImage, finish
from labctl.modes import published
from labctl.process import run

LABEL = "labctl-medium"
"""The file system's label, by which a node finds it."""

_SECONDS = 600.0
_SLACK = 1.06  # what ext4 takes besides the files' own bytes, and then some
_RESERVE = 8 * 1024**2


def build(archives: Path, disks: Mapping[str, Path], *, target: Path, scratch: Path, log: Path) -> BuiltImage:
    """Make a medium.

    Args:
        archives: the folder of package files and their bytecode; index and disks are put into it.
        disks: names of files to put beside the packages, and where they are.
        target: the qcow2 file to make; it appears when it is whole.
        scratch: a folder with room for the medium, cleared by the caller.
        log: receives what the programs say.

    Raises:
        ProcessError: a program is missing or failed.
    """
    for name, disk in disks.items():
        copyfile(disk, archives / name)
    (archives / "Packages").write_bytes(run(["apt-ftparchive", "packages", "."], timeout=_SECONDS, cwd=archives))
    (archives / "Release").write_bytes(run(["apt-ftparchive", "release", "."], timeout=_SECONDS, cwd=archives))
    published(archives)  # apt reads them as a user of its own
    used = sum(file.stat().st_size for file in archives.rglob("*"))
    raw = scratch / "medium.raw"
    with raw.open("wb") as file:
        file.truncate((int(used * _SLACK) + _RESERVE) // 4096 * 4096)
    features = "^has_journal,^resize_inode,^metadata_csum"
    make = ["mke2fs", "-q", "-t", "ext4", "-b", "4096", "-O", features, "-m", "0", "-L", LABEL, "-i", "65536"]
    run([*make, "-E", "root_owner=0:0", "-d", archives, raw], timeout=_SECONDS, log=log)
    return finish(raw, target, log=log)
