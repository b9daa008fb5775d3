"""Same-page merging: the kernel keeps equal pages of guests once (KSM, Documentation/admin-guide/mm/ksm.rst).

Labs of one golden set or image have most pages in common until they write to them. QEMU offers all of a guest's memory.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import LabctlError, RefusedError

_FOLDER = Path("/sys/kernel/mm/ksm")

_SETTINGS = {"pages_to_scan": "5000", "sleep_millisecs": "200", "run": "1"}
"""25,000 pages a second at most: a sixth of a processor, and 15 GiB in three minutes."""


@dataclass(frozen=True, kw_only=True)
class MergingFacts:
    """What same-page merging does on this machine.

    Attributes:
        on: whether the kernel looks for equal pages.
        saved: bytes of memory that are not taken because equal pages are kept once.
    """

    on: bool
    saved: int


def facts(folder: Path = _FOLDER) -> MergingFacts | None:
    """Look at it; None where the kernel has none."""
    try:
        values = {name: int((folder / name).read_text()) for name in ("run", "pages_sharing")}
    except (OSError, ValueError):
        return None
    return MergingFacts(on=values["run"] == 1, saved=values["pages_sharing"] * os.sysconf("SC_PAGE_SIZE"))


def switch(*, on: bool, folder: Path = _FOLDER) -> None:
    """Switch it on at a pace that suits labs, or off; pages that were merged stay so until they are written to.

    It lasts until the machine starts again.

    Raises:
        RefusedError: the kernel has none, or we are not root.
    """
    if facts(folder) is None:
        raise RefusedError("this kernel has no same-page merging", details=f"{folder} cannot be read.")
    try:
        for name, value in _SETTINGS.items() if on else [("run", "0")]:
            (folder / name).write_text(value)
    except PermissionError as exc:
        raise RefusedError("only root may change same-page merging", remedy="Run labctl with sudo.") from exc
    except OSError as exc:
        raise LabctlError("same-page merging could not be changed", details=str(exc)) from exc
