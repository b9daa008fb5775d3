"""What goes wrong between a client and a cloud, in one vocabulary, whoever raised it."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

import keystoneauth1.exceptions
import openstack.exceptions
import requests

from labctl.errors import DeadlineError, LabctlError


class Kind(enum.StrEnum):
    """What went wrong."""

    REFUSED = "refused"
    UNREACHABLE = "no route"
    LATE = "no answer in time"
    LOST = "connection lost"
    HTTP = "HTTP"
    MISSING = "not in the catalog"
    STATE = "it ended in another state"
    WAITED = "it did not come about in time"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """One failed request, or a wait in vain.

    Attributes:
        says: a line for people.
        http: the status; None where no answer came.
    """

    kind: Kind
    says: str
    http: int | None = None
    request_id: str | None = None
    url: str | None = None


_LINE = 240
_URL = re.compile(r"https?://[^\s'\"]+")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def translate(exc: BaseException) -> Trouble | None:
    """Say what an error of a request means; None where it is no such error, but a fault of ours."""
    known = (
        openstack.exceptions.SDKException,
        keystoneauth1.exceptions.ClientException,
        requests.RequestException,
        LabctlError,
        ConnectionError,
        TimeoutError,
    )
    if not isinstance(exc, known):
        return None
    text = _line(str(exc)) or type(exc).__name__
    if isinstance(exc, openstack.exceptions.ResourceFailure):
        return Trouble(kind=Kind.STATE, says=text)
    if isinstance(exc, openstack.exceptions.ResourceTimeout):
        return Trouble(kind=Kind.WAITED, says=text)
    if (status := _status(exc)) is not None:
        detail = _line(getattr(exc, "details", None) or str(exc))
        return Trouble(
            kind=Kind.HTTP,
            says=f"HTTP {status}: {detail}",
            http=status,
            request_id=getattr(exc, "request_id", None) or _header(exc, "x-openstack-request-id"),
            url=getattr(exc, "url", None),
        )
    if isinstance(exc, (keystoneauth1.exceptions.EndpointNotFound, keystoneauth1.exceptions.EmptyCatalog)):
        return Trouble(kind=Kind.MISSING, says=text)
    kind = _kind(exc)
    found = _URL.search(str(exc))
    url = found[0].rstrip(":,.") if found else getattr(getattr(exc, "request", None), "url", None)
    if kind is Kind.OTHER:
        return Trouble(kind=kind, says=text, url=url)
    # The way into the lab says best where a connection ended.
    dialled = next((each for each in reversed(list(_chain(exc))) if isinstance(each, LabctlError)), None)
    if dialled is not None:
        text = _line(dialled.brief)
    elif kind is Kind.LATE:
        text = _line(f"{url or text}")
    return Trouble(kind=kind, says=f"{kind}: {text}", url=url)


def answer(response: requests.Response) -> Trouble:
    """Say what an answer means that is none of those wanted."""
    return Trouble(
        kind=Kind.HTTP,
        says=f"HTTP {response.status_code}: {response.reason or 'no reason given'}",
        http=response.status_code,
        request_id=response.headers.get("x-openstack-request-id"),
        url=response.url,
    )


def _kind(exc: BaseException) -> Kind:
    chain = list(_chain(exc))
    text = " ".join(f"{type(each).__name__} {each} {getattr(each, 'details', '')}" for each in chain).lower()
    late = (DeadlineError, TimeoutError, requests.Timeout, keystoneauth1.exceptions.ConnectTimeout)
    if "refused" in text:
        return Kind.REFUSED
    if "no route" in text or "unreachable" in text:
        return Kind.UNREACHABLE
    if any(isinstance(each, late) for each in chain) or "timed out" in text:
        return Kind.LATE
    if any(word in text for word in ("reset", "aborted", "remotedisconnected", "broken pipe", "closed connection")):
        return Kind.LOST
    return Kind.OTHER


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        seen.add(id(exc))
        yield exc
        exc = exc.__cause__ or exc.__context__


def _status(exc: BaseException) -> int | None:
    """Return the status of the answer; openstacksdk wraps some errors of a login in one that has none."""
    for each in _chain(exc):
        found = getattr(each, "status_code", None) or getattr(each, "http_status", None)
        if isinstance(found, int) and found >= 300:
            return found
    return None


def _header(exc: BaseException, name: str) -> str | None:
    headers = getattr(getattr(exc, "response", None), "headers", None) or {}
    return headers.get(name)


def _line(text: object) -> str:
    line = " ".join(_ADDRESS.sub("", str(text)).split())
    return line if len(line) <= _LINE else f"{line[: _LINE - 1]}…"
