"""The canary: a server with a volume and a floating address that stays in a lab's cloud, and is looked at again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

NAME = "canary"
"""What its server and its volume are called, and how its address is described."""


@dataclass(frozen=True, kw_only=True)
class Canary:
    """A canary that was seen alive.

    Attributes:
        server, volume: their IDs.
        address: its floating address.
        host_key: the key that its SSH server showed on its console.
        marker: what its file on the volume holds.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    server: str
    volume: str
    address: str
    host_key: str
    marker: str
