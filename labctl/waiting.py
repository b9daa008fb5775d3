"""The one wait: looks again and again until something is so, or time is over; and what happens at an event."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

_LOOK = 1.0  # seconds after which a thread ends that waits for nothing any more


def until(
    look: Callable[[], T],
    *,
    seconds: float,
    pause: float = 0.1,
    slowest: float = 0.0,
    cancelled: threading.Event | None = None,
) -> T:
    """Look until there is something, and return what was seen last: None or False where it did not come about.

    Args:
        look: what it returns ends the wait, unless it is None or False. It looks once at least.
        seconds: how long to wait.
        pause: seconds between two looks.
        slowest: each pause is half as long again as the one before, up to this; 0 keeps them alike.
        cancelled: ends the wait early when set.
    """
    never = threading.Event()
    deadline = time.monotonic() + seconds
    while (seen := look()) is None or seen is False:
        left = deadline - time.monotonic()
        if left <= 0 or (cancelled or never).wait(min(pause, left)):
            break
        pause = min(pause * 1.5, slowest) if slowest else pause
    return seen


@contextlib.contextmanager
def when(event: threading.Event, do: Callable[[], object]) -> Iterator[None]:
    """Within, do something as soon as an event is set, in a thread of its own."""
    over = threading.Event()

    def wait() -> None:
        while not over.is_set():
            if event.wait(_LOOK):
                do()
                return

    threading.Thread(target=wait, daemon=True).start()
    try:
        yield
    finally:
        over.set()
