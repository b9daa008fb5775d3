"""The steps of a check of a cloud, as they happen: what goes wrong in one becomes its evidence and ends the check."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn, TypeVar

from labctl import waiting
from labctl.checks.check import CHECKS, Check, Steps, Subject
from labctl.checks.cloud import Cloud
from labctl.checks.model import Step, Verdict

T = TypeVar("T")

_AGAIN = 2  # how often a broken answer is asked for again
_ANSWER = 30.0  # seconds that every answer may take
_STILL = (20.0, 120.0)  # seconds for which a node may stand still, as one whose memory is read back does
_LOGIN = "C01 token at the internal address"  # a step whose time tells how fast the lab is
_PAUSE = (1.0, 5.0)
_POLL = (1.0, 5.0)


class Wrong(Exception):  # noqa: N818 - what was found, no fault of ours
    """A step found something that is not as it should be."""


class _Late(Wrong):
    """It did not come about in time."""


class _Ended(Exception):  # noqa: N818 - the check ends here; its steps say why
    """A step failed or cannot be taken."""


class Log:
    """Notes the steps of one check.

    Attributes:
        subject: the lab.
        cloud: its cloud.
        check: the ID of the check.
    """

    def __init__(self, subject: Subject, check: str) -> None:
        assert subject.cloud is not None
        self.subject, self.cloud, self.check = subject, subject.cloud, check
        self.steps: list[Step] = []
        self._step = ""

    @contextlib.contextmanager
    def step(self, name: str, *, node: str = "", suspect: str = "", go_on: bool = False) -> Iterator[None]:
        """Time a step; what is raised within becomes its evidence.

        Args:
            node, suspect: who is to blame where it fails.
            go_on: a failure does not end the check.
        """
        from labctl.cloud import trouble

        began, self._step = time.monotonic(), name
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
            self.subject.limits.note(f"{self.check} {name}", _since(began))

    def status(
        self, get: Callable[[], Any], wanted: str, seconds: tuple[float, float], *, failures: Sequence[str] = ("error",)
    ) -> Any:
        """Wait until something in the cloud has a status, and return it.

        Args:
            failures: statuses that it does not leave by itself.

        Raises:
            Wrong: it has one of these, or does not get there.
        """
        seen = ["unknown"]

        def there() -> Any:
            found = get()
            seen[0] = str(found.status).lower()
            if seen[0] in (each.lower() for each in failures):
                fault = (getattr(found, "fault", None) or {}).get("message", "")
                raise Wrong(f"{found.status}: {fault}" if fault else f"its status is {found.status}")
            if task := getattr(found, "task_state", None):
                seen[0] += f", {task}"
            return found if str(found.status).lower() == wanted.lower() else None

        try:
            return self.until(there, f"its status was {wanted}", seconds)
        except _Late as exc:
            raise Wrong(f"{exc}; it is {seen[0]}") from exc

    def gone(self, get: Callable[[], Any], seconds: tuple[float, float]) -> None:
        """Wait until something is not in the cloud any more.

        Raises:
            Wrong: it stays.
        """
        from openstack.exceptions import NotFoundException

        def missing() -> bool:
            try:
                get()
            except NotFoundException:
                return True
            return False

        self.until(missing, "it was gone", seconds)

    def limit(self, seconds: tuple[float, float]) -> float:
        """Return how long the present step may take: as planned for KVM and emulated nodes, or as the healthy lab's
        own time says."""
        return self.subject.limits.of(f"{self.check} {self._step}", seconds)

    def ask(self, name: str, do: Callable[[], T], *, node: str = "", suspect: str = "") -> T:
        """Ask for something that changes nothing, and again as `again` does."""
        with self.step(name, node=node, suspect=suspect):
            return self.again(do)
        raise AssertionError  # a failed step ends the check

    def again(self, do: Callable[[], T], *, answers: bool = True) -> T:
        """Do something that changes nothing, and again where it failed as with a busy cloud or a node that rests.

        A service that hangs is told from a slow one by the healthy lab's times, not by the longest that any may take.

        Args:
            answers: whether an answer that says that the service broke is asked for again too.
        """
        from labctl.cloud.http import patience
        from labctl.cloud.trouble import Kind, translate

        still, broken, late = time.monotonic() + self.limit(_STILL), 0, False
        while True:
            usual, longest = self.limit((_ANSWER, self.cloud.seconds)), self.cloud.seconds
            try:
                # The second time also a service has enough whose memory must be read back from the disk first.
                with patience(max(usual, longest / 2) if late else usual, self.subject.cancelled):
                    return do()
            except Exception as exc:
                found = translate(exc)
                if found is None:
                    raise
                if found.kind in (Kind.LOST, Kind.UNREACHABLE):
                    passing = time.monotonic() < still
                elif found.kind is Kind.LATE:
                    # A slow lab gets longer the second time; waiting a third time helps nobody.
                    passing, late = not late, True
                    self._measure()
                else:
                    broken += 1
                    passing = answers and (found.http or 0) >= 500 and broken <= _AGAIN
                if not passing:
                    raise
            self.pause(*_PAUSE)

    def until(self, do: Callable[[], T], what: str, seconds: tuple[float, float]) -> T:
        """Ask until something is true; errors of a busy cloud count as not yet.

        Args:
            what: what was waited for, for the evidence.
            seconds: on KVM, and emulated.

        Raises:
            Wrong: it did not come about.
        """
        from labctl.cloud import trouble

        last = ""

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

        began, measured = time.monotonic(), False
        while True:
            limit, (pause, slowest) = self.limit(seconds), _POLL
            rest = max(0.0, limit - (time.monotonic() - began))
            found = waiting.until(ask, seconds=rest, pause=pause, slowest=slowest, cancelled=self.subject.cancelled)
            if found is not None:
                return found
            self.pause(0, 0)  # which ends the check where it was interrupted
            if measured:
                raise _Late(f"{what} not within {limit:.0f} s{last}")
            # The host may have become busy meanwhile: slow is not dead.
            self._measure()
            measured = True

    def _measure(self) -> None:
        """Take the lab's present pace by a login; where nobody can log in, it says nothing."""
        from labctl.cloud import trouble

        began = time.monotonic()
        try:
            self.cloud.internal().authorize()
        except Exception as exc:
            if trouble.translate(exc) is None:
                raise
        else:
            self.subject.limits.measured(_LOGIN, _since(began))

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

    def skip(self, reason: str) -> NoReturn:
        """End the check: the lab has nothing of the kind."""
        self.steps.append(Step(name="begin", verdict=Verdict.SKIPPED, evidence=reason))
        raise _Ended


Body = Callable[[Log], Any]


def cloud_check(
    id: str,  # noqa: A002 - the field's word
    title: str,
    *,
    exercises: str,
    needs: tuple[str, ...] = (),
    quick: bool = False,
    named: bool = False,
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
                steps=_steps(id, body),
                needs=needs,
                stages=("installed",),
                quick=quick,
                named=named,
                limit=limit,
            )
        )
        return body

    return register


def _steps(check: str, body: Body) -> Steps:
    @functools.wraps(body)
    def steps(subject: Subject) -> Iterator[Step]:
        if subject.cloud is None:
            yield Step(name="begin", verdict=Verdict.SKIPPED, evidence="the lab has no cloud")
            return
        log = Log(subject, check)
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
