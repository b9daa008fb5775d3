"""Reads what browsers send by forms."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.requests import Request

from labctl.board.origin import ours
from labctl.errors import InputError

_LARGEST = 16 * 1024  # bytes of a form


async def form(request: Request) -> dict[str, str]:
    """Return a form's fields.

    Raises:
        InputError: it is too large.
    """
    if not hasattr(request.state, "form"):
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _LARGEST:
                raise InputError("the form is too large")
        try:
            fields = parse_qs(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=50)
        except ValueError as exc:
            raise InputError("the form is none of ours") from exc
        request.state.form = {key: values[-1] for key, values in fields.items()}
    found: dict[str, str] = request.state.form
    return found


def same_origin(request: Request) -> bool:
    """Whether a browser says that a form comes from our own pages; what says nothing is no browser of today."""
    return request.headers.get("origin") is None or ours(request)
