"""Counts wrong passwords by whoever tried them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable


class Limit:
    """Counts wrong passwords by whoever tried, and says when there were too many.

    Args:
        most: how many are allowed in `seconds`.
        clock: returns seconds that only grow.
    """

    _LARGEST = 10_000  # of those who tried that are remembered; the oldest are forgotten first

    def __init__(self, most: int, seconds: float, clock: Callable[[], float]) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._failures: dict[Hashable, deque[float]] = {}

    def closed(self, who: Hashable) -> bool:
        """Whether somebody has to wait."""
        failures = self._failures.get(who)
        while failures and failures[0] <= self._clock() - self._seconds:
            failures.popleft()
        if failures is not None and not failures:
            del self._failures[who]
        return bool(failures) and len(failures or ()) >= self._most

    def failed(self, who: Hashable) -> None:
        """Count a wrong password."""
        failures = self._failures.pop(who, None) or deque(maxlen=self._most)
        failures.append(self._clock())
        self._failures[who] = failures  # now the youngest
        while len(self._failures) > self._LARGEST:
            del self._failures[next(iter(self._failures))]
