"""Reads JSON of a known shape. Edited files that have another shape are refused."""

from __future__ import annotations

import functools
from typing import Any, TypeVar

T = TypeVar("T")


def parsed(text: str, shape: type[T]) -> T:
    """Return the value of a JSON document.

    Args:
        shape: its type, dict[str, str] or a dataclass for instance; it is taken strictly: "1" is no number.

    Raises:
        ValueError: it is no JSON, or has another shape; the message says where.
    """
    from pydantic import ValidationError

    key: Any = shape
    try:
        made: T = _adapter(key).validate_json(text, strict=True)
    except ValidationError as exc:
        found = [(".".join(map(str, error["loc"])), error["msg"]) for error in exc.errors(include_url=False)]
        raise ValueError("\n".join(f"{where}: {what}" if where else what for where, what in found)) from exc
    return made


@functools.cache
def _adapter(shape: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(shape)
