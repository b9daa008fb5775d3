"""Signs what lets a browser in: links that expire, and the sessions behind them. Nothing of it is kept but one secret.

A signature depends on the team's password, too: a new password, or no access any more, ends all of a team's sessions.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
import time
from dataclasses import asdict, dataclass
from typing import Literal

from labctl.lab import access
from labctl.state import MOMENT, Home, parsed, write_atomically

ORGANISER = ""
"""The team of the organiser's passes: no team has this name."""

Purpose = Literal["link", "session", "form"]
"""What a signature is for; one for another purpose opens nothing."""

LINK: Purpose = "link"
SESSION: Purpose = "session"
FORM: Purpose = "form"


@dataclass(frozen=True, kw_only=True)
class Pass:
    """What lets somebody in.

    Attributes:
        team: whom it lets in; `ORGANISER` for the organiser.
        until: seconds since 1970.
        nonce: random, so that no two are the same.
    """

    team: str
    until: float
    nonce: str

    @property
    def organiser(self) -> bool:
        """Whether it is the organiser's."""
        return self.team == ORGANISER


def issue(home: Home, team: str, purpose: Purpose, *, seconds: float) -> str:
    """Return a signed pass as text that may stand in a URL or a cookie.

    Raises:
        InputError: the team has no access.
    """
    if team != ORGANISER:
        access.known(home, team)
    made = Pass(team=team, until=time.time() + seconds, nonce=secrets.token_urlsafe(12))
    body = base64.urlsafe_b64encode(json.dumps(asdict(made)).encode()).decode().rstrip("=")
    return f"{body}.{_signature(home, purpose, team, body)}"


def read(home: Home, text: str, purpose: Purpose) -> Pass | None:
    """Return the pass that a text is; None where it is not ours, has expired, or its team has no access any more."""
    body, _, signature = text.partition(".")
    try:
        found = parsed(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode(), Pass)
    except (ValueError, binascii.Error):
        return None
    if found.team != ORGANISER and access.known_or_none(home, found.team) is None:
        return None
    right = _signature(home, purpose, found.team, body)
    return found if hmac.compare_digest(right.encode(), signature.encode()) and time.time() < found.until else None


def form_token(home: Home, session: Pass) -> str:
    """Return what every form of a session contains, so that no other site can send one."""
    return _signature(home, FORM, session.team, session.nonce)


def name_of(home: Home, text: bytes) -> str:
    """Return a name for a text, always the same, from which nobody without the secret can guess the text."""
    return hmac.new(_secret(home), b"name\n" + text, "sha256").hexdigest()[:24]


def _signature(home: Home, purpose: str, team: str, body: str) -> str:
    """Sign a text for a purpose, by the secret and the team's password."""
    found = access.known_or_none(home, team) if team != ORGANISER else None
    words = [purpose, team, found.password if found is not None else "", body]
    return hmac.new(_secret(home), "\n".join(words).encode(), "sha256").hexdigest()


def _secret(home: Home) -> bytes:
    """Return the secret, which is made when it is first needed."""
    path = home.root / "door" / "secret"
    if not path.exists():
        with home.lock("door", "secret", wait=MOMENT):
            if not path.exists():
                write_atomically(path, f"{secrets.token_hex(32)}\n")
    return path.read_text().strip().encode()
