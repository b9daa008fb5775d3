"""How long checks may take: what a lab's healthy times say, and how slow lab and host are told from dead ones."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from labctl.checks import limits
from labctl.checks import log as logs
from labctl.checks.limits import Limits
from labctl.checks.log import Log, Wrong
from labctl.checks.model import Report, Result, Step, Verdict
from labctl.errors import DeadlineError, RemoteError
from tests.unit import fake_cloud

PLANNED = (10.0, 100.0)


def test_a_lab_without_times_gets_the_planned_limits() -> None:
    assert Limits(virt="kvm").of("C10 ACTIVE", PLANNED) == 10
    assert Limits(virt="qemu").of("C10 ACTIVE", PLANNED) == 100


@pytest.mark.parametrize(
    ("usual", "limit"),
    [((1.0,), 10), ((5.0, 8.0, 6.0), 32), ((90.0,), 200)],
    ids=["never below that of KVM", "four times the slowest", "never above twice that of emulated nodes"],
)
def test_limits_scale_from_the_healthy_times(usual: tuple[float, ...], limit: float) -> None:
    assert Limits(virt="qemu", times={"C10 ACTIVE": usual}).of("C10 ACTIVE", PLANNED) == limit


def test_a_lab_that_is_slow_at_present_gets_longer() -> None:
    found = Limits(virt="qemu", times={"C10 ACTIVE": [5.0], "C01 token": [2.0], "C01 expiry": [0.01]})
    assert found.of("C10 ACTIVE", PLANNED) == 20
    found.note("C01 token", 6.0)
    found.note("C01 expiry", 5.0)  # too short to say anything
    found.note("C99 unknown", 5.0)
    assert found.pace == 3
    assert found.of("C10 ACTIVE", PLANNED) == 60
    found.note("C01 token", 0.5)
    found.note("C01 token", 0.5)
    assert found.pace == 1


def test_the_slowest_five_steps_in_a_row_are_remembered() -> None:
    found = Limits(virt="qemu", times={"C01 token": [1.0]})
    for seconds in (9.0, 9.0, 9.0, 1.0):
        found.note("C01 token", seconds)
    assert found.slowest == 1
    for seconds in (1.0, 8.0, 7.0, 1.0, 1.0, 1.0):
        found.note("C01 token", seconds)
    assert found.slowest == 9
    assert found.pace == 1


def report(**seconds: float) -> Report:
    steps = tuple(Step(name=name, seconds=took) for name, took in seconds.items())
    result = Result(id="C10", verdict=Verdict.PASS, steps=steps, seconds=sum(seconds.values()), limit=1)
    return Report(
        run="r", lab="team01", topology="mini", mode="full", started="", seconds=1, results=(result,), frontier=()
    )


def test_the_last_three_green_runs_are_learnt() -> None:
    times: limits.Times = {}
    for took in (9.0, 3.0, 2.0, 1.0):
        times = limits.learnt(times, report(ACTIVE=took))
    assert times == {"C10": [3.0, 2.0, 1.0], "C10 ACTIVE": [3.0, 2.0, 1.0]}


class Clock:
    """Time that goes on when somebody waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(logs.time, "monotonic", lambda: self.now)

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return False


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Tokens:
    """A cloud whose logins take some time."""

    seconds = 240.0

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds

    def internal(self) -> Tokens:
        return self

    def authorize(self) -> None:
        self._clock.now += self._seconds


def log_of(clock: Clock, *, login: float, times: limits.Times) -> Log:
    cancelled: Any = threading.Event()
    cancelled.wait = clock.wait
    with fake_cloud.running() as cloud:
        subject = cloud.subject(virt="qemu", limits=Limits(virt="qemu", times=times), cancelled=cancelled)
    log = Log(subject, "C10")
    log.cloud = Tokens(clock, login)  # type: ignore[assignment]
    return log


TIMES = {"C10 ACTIVE": [5.0], "C01 token at the internal address": [1.0]}


def test_a_host_that_became_busy_meanwhile_is_no_dead_service(clock: Clock) -> None:
    log = log_of(clock, login=3.0, times=TIMES)
    with log.step("ACTIVE"):
        assert log.until(lambda: clock.now > 50, "it was ACTIVE", PLANNED)
    assert clock.now == pytest.approx(55, abs=6)


def test_a_dead_service_is_told_after_the_learnt_limit(clock: Clock) -> None:
    log = log_of(clock, login=1.0, times=TIMES)

    def active() -> None:
        with log.step("ACTIVE"):
            log.until(lambda: False, "it was ACTIVE", PLANNED)

    with pytest.raises(logs._Ended):
        active()
    assert log.steps[0].evidence == "it was ACTIVE not within 20 s"
    assert clock.now < 35


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (RemoteError("it does not answer", details="[Errno 113] No route to host"), True),
        (RemoteError("it does not answer", details="connection reset by peer"), True),
        (RemoteError("it does not answer", details="[Errno 111] Connection refused"), False),
    ],
    ids=["no route", "reset", "refused"],
)
def test_a_node_that_stands_still_for_a_while_is_asked_again(clock: Clock, error: RemoteError, again: bool) -> None:
    log = log_of(clock, login=1.0, times={})
    asked: list[float] = []

    def ask() -> str:
        asked.append(clock.now)
        if clock.now < 60:
            raise error
        return "an answer"

    if again:
        assert log.again(ask) == "an answer"
    else:
        with pytest.raises(RemoteError):
            log.again(ask)
        assert len(asked) == 1


def test_a_node_that_is_gone_is_told_in_the_end(clock: Clock) -> None:
    log = log_of(clock, login=1.0, times={})

    def ask() -> None:
        raise RemoteError("it does not answer", details="[Errno 113] No route to host")

    with pytest.raises(RemoteError):
        log.again(ask)
    assert 120 <= clock.now < 140


def test_an_answer_that_is_late_is_waited_for_once_more_and_not_twice(clock: Clock) -> None:
    log = log_of(clock, login=1.0, times={})
    asked: list[int] = []

    def ask() -> None:
        asked.append(1)
        raise DeadlineError("no answer", details="timed out")

    with pytest.raises(DeadlineError):
        log.again(ask)
    assert len(asked) == 2


def test_a_state_that_something_does_not_leave_ends_the_wait(clock: Clock) -> None:
    log = log_of(clock, login=1.0, times={})
    failed = type("Server", (), {"status": "ERROR", "fault": {"message": "No valid host was found."}})
    with pytest.raises(Wrong, match=r"^ERROR: No valid host was found\.$"):
        log.status(lambda: failed, "ACTIVE", PLANNED)
    stuck = type("Server", (), {"status": "BUILD", "task_state": "scheduling"})
    with pytest.raises(Wrong, match=r"ACTIVE not within 100 s; it is build, scheduling$"):
        log.status(lambda: stuck, "ACTIVE", PLANNED)
