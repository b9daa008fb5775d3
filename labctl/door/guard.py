"""Decides who is let in at the door, and how often somebody may try. Pure: the clock is passed in."""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from labctl.errors import InputError
from labctl.lab.access import Access
from labctl.remote import keys


@dataclass(frozen=True, kw_only=True)
class Name:
    """What a user name at the door means.

    Attributes:
        team: whose lab.
        node: where to at once; empty for the list of nodes.
    """

    team: str
    node: str


def named(user: str) -> Name:
    """Read a user name: team01, or team01+db-node."""
    team, _, node = user.partition("+")
    return Name(team=team, node=node)


def knows_password(access: Access | None, password: str) -> bool:
    """Whether a password is the team's; it takes as long where there is no such team."""
    known = access.password if access is not None else ""
    return hmac.compare_digest(known.encode(), password.encode()) and bool(known)


def knows_key(access: Access | None, line: str) -> bool:
    """Whether a public key is one of the team's; options and comments do not count."""
    try:
        offered = keys.parse_public(line)
    except InputError:
        return False
    return access is not None and any(keys.parse_public(known) == offered for known in access.keys)


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
