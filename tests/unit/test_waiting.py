"""The one wait and the one lock."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from labctl import locking, waiting
from labctl.sizes import GIB, KIB, MIB, TIB, size


def test_a_wait_ends_with_what_it_sees() -> None:
    seen = iter([None, False, 0, "later"])
    assert waiting.until(lambda: next(seen), seconds=5, pause=0) == 0


def test_a_wait_that_is_over_returns_what_it_saw_last() -> None:
    assert waiting.until(lambda: None, seconds=0) is None
    assert waiting.until(lambda: False, seconds=0.05, pause=0.01) is False


def test_a_wait_looks_once_more_at_its_end() -> None:
    end = time.monotonic() + 0.05
    assert waiting.until(lambda: time.monotonic() >= end, seconds=0.1, pause=10)


def test_a_cancelled_wait_ends_at_once() -> None:
    cancelled = threading.Event()
    cancelled.set()
    began = time.monotonic()
    assert waiting.until(lambda: None, seconds=60, pause=60, cancelled=cancelled) is None
    assert time.monotonic() - began < 5


def test_pauses_grow_to_the_slowest(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(threading.Event, "wait", lambda _, seconds: len(pauses) > 4 or pauses.append(seconds))
    waiting.until(lambda: None, seconds=1000, pause=1, slowest=2)
    assert pauses == [1, 1.5, 2, 2, 2]


def test_a_lock_is_one_holders_or_shared(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first, second = locking.take(path, shared=True), locking.take(path, shared=True)
    assert first is not None
    assert second is not None
    assert locking.take(path) is None
    assert not locking.alone(first)
    os.close(second)
    assert locking.alone(first)
    assert locking.take(path, shared=True) is None
    os.close(first)


def test_a_lock_file_that_was_deleted_is_nobodys(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = locking.take(path)
    assert held is not None
    path.unlink()
    assert not locking.still(path, held)
    other = locking.take(path)
    assert other is not None
    for each in (held, other):
        os.close(each)
    assert locking.take(tmp_path / "gone" / "lock") is None


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1536, "1.5 KiB"),
        (512 * MIB, "512 MiB"),
        (1023.99 * MIB, "1 GiB"),
        (GIB, "1 GiB"),
        (14.06 * GIB, "14.1 GiB"),
        (99.97 * KIB, "100 KiB"),
        (3 * TIB, "3 TiB"),
    ],
)
def test_sizes_have_one_decimal_where_it_says_something(count: float, text: str) -> None:
    assert size(count) == text


def test_something_is_done_at_an_event_and_not_after_the_block_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_LOOK", 0.01)
    event, done = threading.Event(), threading.Event()
    with waiting.when(event, done.set):
        assert not done.wait(0.05)
        event.set()
        assert done.wait(10)
    late, never = threading.Event(), threading.Event()
    with waiting.when(late, never.set):
        pass
    time.sleep(0.3)
    late.set()
    assert not never.wait(0.05)
