"""The one wait: looks again and again until something is so, or time is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


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
