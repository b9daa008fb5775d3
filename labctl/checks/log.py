"""The steps of a check of a cloud, as they happen: what goes wrong in one becomes its evidence and ends the check."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from labctl import waiting
from labctl.checks.check import CHECKS, Check, Steps, Subject
from labctl.checks.cloud import Cloud
from labctl.checks.model import Step, Verdict

T = TypeVar("T")

_AGAIN = 2  # how often a read is tried again
_PAUSE = (1.0, 5.0)
_POLL = (1.0, 5.0)


class Wrong(Exception):  # noqa: N818 - what was found, no fault of ours
    """A step found something that is not as it should be."""


class _Ended(Exception):  # noqa: N818 - the check ends here; its steps say why
    """A step failed or cannot be taken."""


class Log:
    """Notes the steps of one check.

    Attributes:
        subject: the lab.
        cloud: its cloud.
    """

    def __init__(self, subject: Subject) -> None:
        assert subject.cloud is not None
        self.subject, self.cloud = subject, subject.cloud
        self.steps: list[Step] = []

    @contextlib.contextmanager
    def step(self, name: str, *, node: str = "", suspect: str = "", go_on: bool = False) -> Iterator[None]:
        """Time a step; what is raised within becomes its evidence.

        Args:
            node, suspect: who is to blame where it fails.
            go_on: a failure does not end the check.
        """
        from labctl.cloud import trouble

        began = time.monotonic()
        try:
            yield
        except _Ended:
            raise
        except Exception as exc:
            found = trouble.translate(exc)
            if not isinstance(exc, Wrong) and found is None:
                raise
            self.steps.append(
                Step(
                    name=name,
                    verdict=Verdict.FAIL,
                    node=node,
                    suspect=suspect,
                    seconds=_since(began),
                    evidence=str(exc) if found is None else found.says,
                    http=found.http if found else None,
                    request_id=found.request_id if found else None,
                    url=found.url if found else None,
                )
            )
            if not go_on:
                raise _Ended from exc
        else:
            self.steps.append(Step(name=name, node=node, seconds=_since(began)))

    def ask(self, name: str, do: Callable[[], T], *, node: str = "", suspect: str = "") -> T:
        """Ask for something that changes nothing; a lost connection, a late or broken answer is asked for once more."""
        with self.step(name, node=node, suspect=suspect):
            return self.again(do)
        raise AssertionError  # a failed step ends the check

    def again(self, do: Callable[[], T]) -> T:
        """Do something that changes nothing, and again where it failed as a busy cloud does."""
        from labctl.cloud import trouble

        for number in range(_AGAIN + 1):
            try:
                return do()
            except Exception as exc:
                found = trouble.translate(exc)
                passing = found is not None and (
                    found.kind in (trouble.Kind.LOST, trouble.Kind.LATE) or (found.http or 0) >= 500
                )
                # Waiting for the whole of a request's time once more helps nobody.
                last = _AGAIN if found and found.kind is trouble.Kind.LOST else 1
                if not passing or number >= last:
                    raise
            self.pause(*_PAUSE)
        raise AssertionError

    def until(self, do: Callable[[], T], what: str, seconds: tuple[float, float]) -> T:
        """Ask until something is true; errors of a busy cloud count as not yet.

        Args:
            what: what was waited for, for the evidence.
            seconds: on KVM, and emulated.

        Raises:
            Wrong: it did not come about.
        """
        from labctl.cloud import trouble

        limit, last = self.subject.scaled(*seconds), ""

        def ask() -> T | None:
            nonlocal last
            try:
                return do() or None
            except Exception as exc:
                seen = trouble.translate(exc)
                if seen is None:
                    raise
                last = f"; last: {seen.says}"
                return None

        pause, slowest = _POLL
        found = waiting.until(ask, seconds=limit, pause=pause, slowest=slowest, cancelled=self.subject.cancelled)
        if found is None:
            self.pause(0, 0)  # which ends the check where it was interrupted
            raise Wrong(f"{what} not within {limit:.0f} s{last}")
        return found

    def pause(self, seconds: float, emulated: float) -> None:
        """Wait, but not after an interrupt."""
        if self.subject.cancelled.wait(self.subject.scaled(seconds, emulated)):
            self.steps.append(Step(name="go on", verdict=Verdict.BLOCKED, evidence="interrupted"))
            raise _Ended

    def cleaned(self, left: list[str]) -> None:
        """Take the outcome of a removal.

        Raises:
            Wrong: something is left.
        """
        if left:
            raise Wrong("; ".join(left))

    def skip(self, reason: str) -> None:
        """End the check: the lab has nothing of the kind."""
        self.steps.append(Step(name="begin", verdict=Verdict.SKIPPED, evidence=reason))
        raise _Ended

    def block(self, reason: str) -> None:
        """End the check: it cannot say anything here."""
        self.steps.append(Step(name="begin", verdict=Verdict.BLOCKED, evidence=reason))
        raise _Ended


Body = Callable[[Log], Any]


def cloud_check(
    id: str,  # noqa: A002 - the field's word
    title: str,
    *,
    exercises: str,
    needs: tuple[str, ...] = (),
    quick: bool = False,
    limit: tuple[float, float],
    about: str = "",
) -> Callable[[Body], Body]:
    """Register a function that looks at a lab's cloud and notes its steps; its docstring is what `explain` prints.

    Args:
        about: instead of a docstring, for functions that are made in a loop.
    """

    def register(body: Body) -> Body:
        body.__doc__ = about or body.__doc__
        CHECKS.add(
            Check(
                id=id,
                title=title,
                exercises=exercises,
                steps=_steps(body),
                needs=needs,
                stages=("installed",),
                quick=quick,
                limit=limit,
            )
        )
        return body

    return register


def _steps(body: Body) -> Steps:
    @functools.wraps(body)
    def steps(subject: Subject) -> Iterator[Step]:
        if subject.cloud is None:
            yield Step(name="begin", verdict=Verdict.SKIPPED, evidence="the lab has no cloud")
            return
        log = Log(subject)
        try:
            body(log)
        except _Ended:
            pass
        except Exception as exc:
            # Clients look for a service's version when they are first used, which may be between two steps.
            with contextlib.suppress(_Ended), log.step("reach the service"):
                raise exc
        yield from log.steps

    return steps


def _since(began: float) -> float:
    return round(time.monotonic() - began, 2)


__all__ = ["Cloud", "Log", "Wrong", "cloud_check"]
