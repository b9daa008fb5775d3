"""Posts what happens in a classroom to a web address, signed, each event once it has happened; the round never waits.

Signatures are those of the Standard Webhooks specification (standardwebhooks.com): receivers find libraries for it.
An event whose answer got lost is posted again under the same ID.
"""

from __future__ import annotations

import base64
import binascii
import email.utils
import hashlib
import hmac
import http.client
import json
import re
import secrets
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from labctl import __version__
from labctl.errors import DamagedError, InputError, LabctlError
from labctl.lab.feed import Feed, Happened, Mark
from labctl.state import MOMENT, Home, parsed, write_atomically

_SECONDS = 10.0  # that a receiver may take
_LOOK = 1.0  # seconds between looks
_FIRST, _LONGEST = 1.0, 60.0  # seconds until the first try again, and between tries at most
_LATER = {408, 425, 429}  # and all from 500 on: the receiver may take it another time
_WRONG = {401, 403, 404, 405, 410}  # and all redirections: it takes nothing under this address
_MARK = "whsec_"


@dataclass(frozen=True, kw_only=True)
class Hook:
    """Where events go.

    Attributes:
        url: http or https.
        secret: what signs them.
    """

    url: str
    secret: bytes = field(repr=False)

    @property
    def shown(self) -> str:
        """The address without what may be secret in it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"

    @property
    def name(self) -> str:
        """A name for files and locks."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Posting:
    """What is posted.

    Attributes:
        start: where there was no earlier run, begin with the oldest event on record instead of the next one.
        once: end when all is posted.
    """

    start: bool = False
    once: bool = False


_FOR_EVER = Posting()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a receiver said.

    Attributes:
        kind: it took the event; may take it later; never takes this one; takes nothing.
        what: for people.
        after: seconds until it wants to be asked again; None where it does not say.
    """

    kind: Literal["taken", "later", "never", "nothing"]
    what: str
    after: float | None = None


@dataclass(frozen=True, kw_only=True)
class _Place:
    """What is kept of a hook; see `Feed`."""

    files: dict[str, Mark]


def hook(url: str, secret: str) -> Hook:
    """Return where events go.

    Args:
        secret: as `whsec_` and base64, or without its begin.

    Raises:
        InputError: it is no address or no secret.
    """
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound or not re.fullmatch(r"[\x21-\x7e]+", url):
        raise InputError("that is no web address", remedy="Write https://HOST/PATH.")
    if parts.username is not None:
        raise InputError("a web address with a password in it is not taken", remedy="Put a token into its path.")
    try:
        key = base64.b64decode(secret.strip().removeprefix(_MARK), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InputError("that is no secret", details=str(exc), remedy=f"Write {_MARK} and base64.") from exc
    if len(key) < 24:
        raise InputError(f"a secret of {len(key)} bytes is too short", remedy="Take 24 bytes or more.")
    return Hook(url=url, secret=key)


def own_secret(home: Home) -> Path:
    """Return the file with our own secret, which is made when it is first asked for."""
    path = home.root / "door" / "webhook.secret"
    if not path.exists():
        with home.lock("door", "secret", wait=MOMENT):
            if not path.exists():
                write_atomically(path, f"{_MARK}{base64.b64encode(secrets.token_bytes(32)).decode()}\n")
    return path


def deliver(
    home: Home,
    target: Hook,
    document: Callable[[Happened], dict[str, Any] | None],
    *,
    told: Callable[[str], None],
    how: Posting = _FOR_EVER,
) -> None:
    """Post what happens, in order, until somebody ends it; go on where an earlier run stopped.

    Args:
        document: returns what is posted of an event; None for nothing.
        told: receives what happens, for people.

    Raises:
        LockedError: another run posts to this address.
        LabctlError: the receiver takes nothing under this address; what is left is posted by the next run.
    """
    with home.lock("door", f"webhook-{target.name}"):
        place = _load(home, target)
        feed = Feed(home, place or {}, failed=lambda exc: told(exc.brief))
        if place is None:
            place = {}
            if not how.start:
                place = {happened.file: happened.mark for happened in feed.news()}
            _save(home, target, place)
        while True:
            for happened in feed.news():
                body = document(happened)
                if body is not None:
                    _post_until_taken(target, happened, body, told)
                place[happened.file] = happened.mark
                _save(home, target, place)
            if how.once:
                return
            threading.Event().wait(_LOOK)


def _post_until_taken(target: Hook, happened: Happened, body: dict[str, Any], told: Callable[[str], None]) -> None:
    what = f"{body['kind']}{f' of {happened.team}' if happened.team else ''}"
    pause = _FIRST
    while True:
        answer = post(target, happened.id, json.dumps(body).encode(), time.time())
        match answer.kind:
            case "taken":
                told(f"{what}: posted")
                return
            case "never":
                told(f"{what}: left out, {target.shown} does not take it ({answer.what})")
                return
            case "nothing":
                remedy = "Repair the address or the secret there. The same command goes on with this event."
                raise LabctlError(f"{target.shown} takes no events", details=answer.what, remedy=remedy)
        seconds = max(pause, min(answer.after or 0.0, 10 * _LONGEST))
        told(f"{what}: not posted yet ({answer.what}); again in {seconds:.0f} s")
        threading.Event().wait(seconds)
        pause = min(2 * pause, _LONGEST)


def post(target: Hook, name: str, body: bytes, now: float) -> Answer:
    """Post one event.

    Args:
        name: its ID.
        now: seconds since 1970, for the signature.
    """
    stamp = str(int(now))
    signed = hmac.digest(target.secret, b".".join([name.encode(), stamp.encode(), body]), "sha256")
    headers = {
        "content-type": "application/json",
        "user-agent": f"labctl/{__version__}",
        "webhook-id": name,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }
    request = urllib.request.Request(target.url, data=body, headers=headers, method="POST")  # noqa: S310 - as checked
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=_SECONDS) as response:
            return Answer(kind="taken", what=str(response.status))
    except urllib.error.HTTPError as exc:
        exc.close()
        return _judged(exc.code, exc.headers.get("retry-after"), now)
    except (OSError, http.client.HTTPException) as exc:
        reason = exc.reason if isinstance(exc, urllib.error.URLError) else exc
        if isinstance(reason, ssl.SSLCertVerificationError):
            return Answer(kind="nothing", what=f"its certificate is not to be trusted: {reason.verify_message}")
        return Answer(kind="later", what=str(reason) or type(reason).__name__)


def _judged(status: int, after: str | None, now: float) -> Answer:
    what = f"{status} {http.client.responses.get(status, '')}".strip()
    if status in _LATER or status >= 500:
        return Answer(kind="later", what=what, after=_seconds(after, now))
    return Answer(kind="nothing" if status in _WRONG or status < 400 else "never", what=what)


def _seconds(after: str | None, now: float) -> float | None:
    """Return what a header Retry-After says in seconds; it may be a date."""
    if after is None or after.strip().isdigit():
        return float(after) if after else None
    try:
        return max(0.0, email.utils.parsedate_to_datetime(after).timestamp() - now)
    except ValueError:
        return None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: events go where the organiser said, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _load(home: Home, target: Hook) -> dict[str, Mark] | None:
    path = _path(home, target)
    try:
        return dict(parsed(path.read_text(), _Place).files)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        remedy = "Delete it: events from then on are posted, earlier ones are not."
        raise DamagedError(f"{path} is damaged", details=str(exc), remedy=remedy) from exc


def _save(home: Home, target: Hook, place: dict[str, Mark]) -> None:
    write_atomically(_path(home, target), json.dumps(asdict(_Place(files=place))) + "\n")


def _path(home: Home, target: Hook) -> Path:
    return home.root / "door" / "webhooks" / f"{target.name}.json"
