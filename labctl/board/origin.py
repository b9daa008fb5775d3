"""How the pages know a browser again, and that it was one of them that asked."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

COOKIE = "__Host-labctl"
"""Name of the cookie with the session."""


def ours(connection: HTTPConnection) -> bool:
    """Whether a browser says that a page of this address and port asked; what says nothing may be anything."""
    host = connection.headers.get("host")
    return bool(host) and urlsplit(connection.headers.get("origin", "")).netloc == host
