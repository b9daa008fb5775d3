"""Runs many pieces of work side by side, and stops them together."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

from labctl.errors import LabctlError

_LOOK = 0.5  # seconds after which the main thread notices an interrupt at the latest


class Cancelled(LabctlError):  # noqa: N818 - it is no error of anybody's
    """Work was given up because something else failed or the user interrupted it."""


class GroupError(LabctlError):
    """Several pieces of work failed; the details list each."""

    def __init__(self, brief: str, errors: list[LabctlError], *, remedy: str) -> None:
        super().__init__(brief, details="\n".join(str(error) for error in errors), remedy=remedy)
        self.errors = errors
        self.exit_code = max(error.exit_code for error in errors)


def together(
    pieces: Iterable[Callable[[], object]], *, jobs: int, cancelled: threading.Event, brief: str, remedy: str
) -> None:
    """Run every piece, `jobs` at a time, in order of appearance.

    A piece that fails does not stop the others: they belong to other nodes. An interrupt (KeyboardInterrupt) sets
    `cancelled`, for which pieces that wait must look, drops what has not begun, and is raised again when the pieces
    that run have ended.

    Args:
        brief, remedy: of the error that is raised when more than one piece failed.

    Raises:
        LabctlError: the one that failed.
        GroupError: several failed.
    """
    with ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="labctl") as executor:
        futures: list[Future[object]] = [executor.submit(piece) for piece in pieces]
        try:
            # The system may give a signal to any thread. That does not end a wait of the main one, which handles it.
            while wait(futures, timeout=_LOOK).not_done:
                pass
        except BaseException:
            cancelled.set()
            executor.shutdown(wait=False, cancel_futures=True)
            raise
    errors = [error for future in futures if (error := future.exception()) is not None]
    unexpected = [error for error in errors if not isinstance(error, LabctlError)]
    if unexpected:
        raise unexpected[0]
    raise_all([error for error in errors if isinstance(error, LabctlError)], brief=brief, remedy=remedy)


class Attempts:
    """Pieces of work, done one after the other even if earlier ones failed."""

    def __init__(self) -> None:
        self._errors: list[LabctlError] = []

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Do a piece of work, and keep its error."""
        try:
            yield
        except LabctlError as exc:
            self._errors.append(exc)

    def check(self, *, brief: str) -> None:
        """Raise what went wrong; see `raise_all`."""
        raise_all(self._errors, brief=brief)


def raise_all(errors: Iterable[LabctlError], *, brief: str, remedy: str = "") -> None:
    """Raise the only error, or several errors as one. Cancelled work counts as no error.

    Raises:
        LabctlError: the one.
        GroupError: several.
    """
    known = [error for error in errors if not isinstance(error, Cancelled)]
    if len(known) == 1:
        raise known[0]
    if known:
        raise GroupError(brief, known, remedy=remedy)


class Phases:
    """Runs groups of pieces, one after the other. Failures are reported at the end and stop nothing else.

    Args:
        brief, remedy: of the error when more than one piece failed.
    """

    def __init__(self, *, cancelled: threading.Event, brief: str, remedy: str) -> None:
        self._cancelled, self._brief, self._remedy = cancelled, brief, remedy
        self._errors: list[LabctlError] = []

    def run(self, pieces: Iterable[Callable[[], object]], *, jobs: int) -> None:
        """Run every piece, `jobs` at a time; see `together`."""
        try:
            together(pieces, jobs=jobs, cancelled=self._cancelled, brief=self._brief, remedy=self._remedy)
        except GroupError as exc:
            self._errors += exc.errors
        except LabctlError as exc:
            self._errors.append(exc)

    def check(self) -> None:
        """Raise what failed, if anything did.

        Raises:
            LabctlError: the piece that failed.
            GroupError: several failed.
        """
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            raise GroupError(self._brief, self._errors, remedy=self._remedy)
