"""What travels through every use case that changes a host."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from labctl.site.progress import Progress
from labctl.site.site import Site
from labctl.site.together import together
from labctl.state import Home


@dataclass(frozen=True, kw_only=True)
class Work:
    """One command's work on one host.

    Attributes:
        home: the state folder.
        jobs: how many calls of libvirt run at a time.
        progress: who is told what happens.
        cancelled: ends all waiting when set.
    """

    home: Home
    site: Site
    jobs: int
    progress: Progress
    cancelled: threading.Event

    def again(self) -> Work:
        """Return the same work on the site with nothing listed yet."""
        return replace(self, site=self.site.again())

    def together(
        self, pieces: Iterable[Callable[[], object]], *, jobs: int | None = None, brief: str, remedy: str
    ) -> None:
        """Run pieces side by side, as many at a time as `jobs` says; see `together`."""
        together(pieces, jobs=jobs or self.jobs, cancelled=self.cancelled, brief=brief, remedy=remedy)
