"""What every action is, and what it is given to act."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol, TypeVar

from labctl.errors import InputError
from labctl.guest import Guest, Result
from labctl.secret import Text, reveal

T = TypeVar("T")


class Admin(Protocol):
    """The administrator of a cloud, who works from outside its nodes."""

    @property
    def admin(self) -> Any:
        """The administrator's connection, as openstacksdk makes it; it finds Keystone without the catalogue."""
        ...

    def translated(self, do: Callable[[], T]) -> T:
        """Do something with the connection.

        Raises:
            RemoteError: the cloud refused it, or did not answer.
        """
        ...

    def lets_in(self, user: str) -> bool:
        """Tell whether a user gets in with the password that is on record."""
        ...

    def password(self, user: str) -> str:
        """Return the password that is on record."""
        ...


@dataclass(frozen=True, kw_only=True)
class Context:
    """Where and how actions are applied.

    Attributes:
        guest: where.
        say: receives the output of commands, line by line.
        slow: how many times longer than on bare metal things may take; 1 there.
        changed: whether an earlier action of the same step changed anything.
        begins: called before anything is changed, so that whoever keeps a journal can write the intent down.
        cloud: the administrator of the lab's cloud; None where it has none.
    """

    guest: Guest
    say: Callable[[str], None]
    slow: float = 1.0
    changed: bool = False
    begins: Callable[[], None] = lambda: None
    cloud: Admin | None = None

    def demand_cloud(self) -> Admin:
        """Return the administrator of the lab's cloud.

        Raises:
            InputError: the lab has no cloud.
        """
        if self.cloud is None:
            raise InputError("the lab has no cloud")
        return self.cloud

    def act(self, what: str) -> None:
        """Tell what is changed next; every action does, after it has looked and before it changes anything."""
        self.begins()
        self.say(what)

    def run(self, command: str, *, timeout: float, stdin: Text | None = None, check: bool = True) -> Result:
        """Run a shell line; the timeout is that of bare metal."""
        return self.guest.run(
            command,
            timeout=timeout * self.slow,
            stdin=None if stdin is None else reveal(stdin).encode(),
            check=check,
            on_output=self.say,
        )

    def ask(self, command: str, *, timeout: float = 60.0) -> Result:
        """Run a shell line that only looks; nothing of it is logged, and it may fail."""
        return self.guest.run(command, timeout=timeout * self.slow, check=False)

    def holds(self, condition: str) -> bool:
        """Tell whether a shell line ends well."""
        return self.ask(condition).ok


class Action:
    """Something that can be done to a guest. It looks first and changes only what differs."""

    once: ClassVar[bool] = False
    alone: ClassVar[bool] = True  # whether nothing else may be done to the guest meanwhile

    def apply(self, context: Context) -> bool:
        """Do it where it is not done.

        Returns:
            Whether anything was changed.

        Raises:
            RemoteError: a command failed, or the guest was lost.
            DeadlineError: it took too long.
        """
        raise NotImplementedError

    def pending(self, context: Context) -> str:
        """Look, and say what it would change; empty where that is nothing. What is shown may hold secrets.

        Raises:
            InputError: it cannot be made on the guest as it is.
            RemoteError, DeadlineError: the guest cannot be looked at.
        """
        return self.describe()

    def describe(self) -> str:
        """Say in a line what it does, for people; it shows no secret."""
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """Hash of all that it says, hexadecimal."""
        values = tuple(reveal(getattr(self, each.name)) for each in fields(self))  # type: ignore[arg-type]
        return hashlib.sha256(f"{type(self).__name__}{values!r}".encode()).hexdigest()[:32]


def lines(text: Any) -> str:
    """Return a text as the indented lines below a description."""
    return "".join(f"\n    {line}" for line in str(text).splitlines())
