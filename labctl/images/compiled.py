"""Packs the Python bytecode of a root file system's packages, so that nodes unpack it instead of compiling it.

Debian compiles each Python package where it is installed. In an emulated node that takes minutes; here it was
done natively, while the image was made, from the same files. A node's py3compile (images/debian-13/overlay)
looks for these archives on its install medium.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_CACHE = "__pycache__"


def pack(root: Path, packages: Path, target: Path) -> None:
    """Write one archive PACKAGE.tar for each package that has bytecode.

    Args:
        root: a root file system in which the packages are installed.
        packages: a folder of their package files.
        target: the folder to make.
    """
    target.mkdir()
    for package in packages.glob("*.deb"):
        name = package.name.partition("_")[0]
        if caches := list(_caches(root, name)):
            with tarfile.open(target / f"{name}.tar", "w", format=tarfile.GNU_FORMAT) as archive:
                for cache in caches:
                    archive.add(cache, cache.relative_to(root), recursive=False)


def _caches(root: Path, package: str) -> Iterator[Path]:
    """Yield the bytecode files of a package's modules, each folder of them before its first file."""
    seen = set()
    for listing in (root / "var/lib/dpkg/info").glob(f"{package}[.:]*list"):
        for line in listing.read_text().splitlines():
            module = PurePosixPath(line)
            if module.suffix != ".py":
                continue
            folder = root / module.parent.relative_to("/") / _CACHE
            for cache in sorted(folder.glob(f"{module.stem}.cpython-*.pyc")):
                if folder not in seen:
                    seen.add(folder)
                    yield folder
                yield cache
