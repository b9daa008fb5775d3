"""The base image of a test run: built as users build it, once a day; later runs of the same code import it."""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

import labctl
from labctl.data import folder
from tests.integration.lab_host import LabHost

NAME = "debian-13"
_KEPT = 2 * 24 * 3600  # seconds; the name of a file says of which day it is, so an older one serves nobody
_CODE = Path(labctl.__file__).parent


def provide(host: LabHost) -> None:
    """Give a host the base image.

    It is built where nobody has built it today from the same recipe by the same code: packages are as old as a day.
    Two runs at once build it once. `LABCTL_TEST_CACHE` names the folder where it is kept.
    """
    cache = Path(os.environ.get("LABCTL_TEST_CACHE") or platformdirs.user_cache_path("labctl-tests"))
    cache.mkdir(parents=True, exist_ok=True)
    cached = cache / f"{NAME}-{_key()}.qcow2"
    with _locked(cache / "lock"):
        if not cached.exists():
            host.labctl("image", "build", NAME)
            _keep(host, cached)
            return
    host.labctl("image", "import", NAME, str(cached))


def _keep(host: LabHost, cached: Path) -> None:
    """Copy the image out of the host's pool; the copy appears when it is whole. Copies of other days go."""
    for old in cached.parent.glob(f"{NAME}-*"):
        if time.time() - old.stat().st_mtime > _KEPT or old.suffix == ".part":
            old.unlink()
    names = (line.split()[0] for line in host.virsh("vol-list", "labctl").splitlines()[2:] if line)
    (volume,) = (name for name in names if name.startswith(f"image-{NAME}-") and name.endswith(".qcow2"))
    part = cached.with_suffix(".part")
    host.virsh("vol-download", "--pool", "labctl", volume, str(part), timeout=600)
    part.rename(cached)


def _key() -> str:
    """Hash all that the image comes of: its recipe, the code that builds it, and the day."""
    hashed = hashlib.sha256(datetime.datetime.now(datetime.UTC).date().isoformat().encode())
    recipe = sorted(folder("images").joinpath(NAME).rglob("*"))
    for path in (*recipe, *sorted((_CODE / "images").rglob("*.py"))):
        content = bytes(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        hashed.update(f"\n{path.name} {path.lstat().st_mode:o} {len(content)}\n".encode() + content)
    return hashed.hexdigest()[:24]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
