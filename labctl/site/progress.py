"""How use cases report what happens."""

from __future__ import annotations

import enum
from typing import Protocol


class Phase(enum.StrEnum):
    """How far a node is."""

    WAITING = "waiting"
    DEFINED = "defined"
    BOOTING = "booting"
    SEEDED = "seeded"
    READY = "ready"
    INSTALLING = "installing"
    PROVING = "proving"
    INSTALLED = "installed"
    SAVED = "saved"
    RESTORED = "restored"
    STOPPING = "stopping"
    OFF = "off"
    REMOVED = "removed"
    FAILED = "failed"


class Progress(Protocol):
    """Receives what happens; called from many threads."""

    def node(self, team: str, node: str, phase: Phase, detail: str = "") -> None:
        """A node of a team's lab reached a phase."""

    def say(self, text: str) -> None:
        """Something happened that concerns no single node."""
