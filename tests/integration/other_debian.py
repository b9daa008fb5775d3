"""Root file systems of Debian, made for a test, in which programs run beside this machine's own."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from labctl.errors import LabctlError
from labctl.images import build, recipe

_MOUNTED = """set -eu
root=$1; shift
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"; mount --rbind /sys "$root/sys"; mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do mkdir -p "$root/$2"; mount --bind "$1" "$root/$2"; shift 2; done; shift
exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin LC_ALL=C.UTF-8 HOME=/root "$@"
"""


def make(suite: str, root: Path, packages: Sequence[str], *, hooks: Sequence[str] = ()) -> None:
    """Make a root file system with these packages, from the archive that this machine's apt uses.

    Args:
        hooks: shell commands that run at the end, outside of it; "$1" is its folder.
    """
    try:
        sources = build.archive_sources(dataclasses.replace(recipe.load("debian-13"), suite=suite), None)
    except LabctlError as exc:
        pytest.skip(f"no archive: {exc}")
    options = ["--variant=minbase", "--mode=root", '--aptopt=Acquire::Languages "none"', "--dpkgopt=force-unsafe-io"]
    options += [f"--include={','.join(packages)}", *(f"--customize-hook={hook}" for hook in hooks)]
    subprocess.run(["mmdebstrap", *options, suite, str(root), *sources], check=True)


def argv(root: Path, *command: str, binds: Mapping[str, str] | None = None) -> list[str]:
    """Return what runs a program in a root file system, which is a mount point of its own there.

    Args:
        binds: folders of this machine, to where they are seen.
    """
    seen = [word for pair in (binds or {}).items() for word in pair]
    unshare = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _MOUNTED, "sh"]
    return [*unshare, str(root), *seen, "--", *command]


def run(root: Path, *command: str, binds: Mapping[str, str] | None = None, check: bool = True) -> str:
    """Run a program in a root file system; return its output."""
    done = subprocess.run(argv(root, *command, binds=binds), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0 or not check, f"{done.stdout}\n{done.stderr}"
    return done.stdout
