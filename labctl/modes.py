"""Gives folders and files the permissions that they need, whatever the umask of whoever runs labctl."""

from __future__ import annotations

import contextlib
from pathlib import Path

UMASK = 0o022
"""With which programs make files that others may read: QEMU a host's folders, a node its image's files."""


def private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for their owner alone; one that is there stays as it is."""
    if folder.is_dir():
        return
    private(folder.parent)
    with contextlib.suppress(FileExistsError):  # somebody was faster
        folder.mkdir(mode=0o700)
        folder.chmod(0o700)


def shared(folder: Path, mode: int = 0o755) -> None:
    """Make a folder that others may enter; one that is there gets the mode too."""
    folder.mkdir(exist_ok=True)
    folder.chmod(mode)


def published(tree: Path) -> None:
    """Let everybody read all files below a folder, and run those that their owner may run, as Git keeps them."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
