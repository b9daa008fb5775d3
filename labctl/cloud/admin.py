"""The administrator of a lab's cloud, for whoever changes things in it from outside its nodes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from labctl.errors import RemoteError

if TYPE_CHECKING:  # openstacksdk takes a second to import
    from labctl.cloud.connect import Login
    from labctl.cloud.http import Dialer

T = TypeVar("T")


@dataclass(kw_only=True, eq=False)
class Administrator:
    """Logs in when it is first asked for something, and keeps the connection.

    Attributes:
        login: returns how a user logs in: admin or demo.
        passwords: by user, those on record.
        seconds: that a request may take.
    """

    dialer: Dialer
    login: Callable[[str], Login]
    passwords: Mapping[str, str] = field(repr=False)
    seconds: float
    _kept: list[Any] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def admin(self) -> Any:
        """The administrator's connection; it finds Keystone without the catalogue, which may be what is wrong."""
        with self._lock:
            if not self._kept:
                self._kept.append(self._connect(self.login("admin")))
            return self._kept[0]

    def translated(self, do: Callable[[], T]) -> T:
        """Do something with the connection.

        Raises:
            RemoteError: the cloud refused it, or did not answer.
        """
        from labctl.cloud import trouble

        try:
            return do()
        except Exception as exc:
            if (found := trouble.translate(exc)) is None:
                raise
            raise RemoteError("the cloud does not do what it is asked for", details=found.says) from exc

    def lets_in(self, user: str) -> bool:
        """Tell whether a service's user gets in with the password that is on record."""
        import keystoneauth1.exceptions

        login = replace(self.login("admin"), username=user, password=self.password(user), project="service")
        try:
            self._connect(login).session.get_token()
        except keystoneauth1.exceptions.Unauthorized:
            return False
        return True

    def password(self, user: str) -> str:
        """Return the password that is on record."""
        return self.passwords[user]

    def _connect(self, login: Login) -> Any:
        from labctl.cloud.connect import connect

        return connect(self.dialer, login, timeout=self.seconds, straight=True)
