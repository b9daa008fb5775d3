"""How use cases report what happens."""

from __future__ import annotations

import enum
from typing import Protocol


class Phase(enum.StrEnum):
    """What is done to a node or what it does; each lasts until the next one begins."""

    DISKS = "disks"
    NETWORKS = "networks"
    STARTING = "starting"
    RESTORING = "restoring"
    WAITING = "waiting"
    RESUMING = "resuming"
    IDENTITY = "identity"
    LEASE = "lease"
    BOOTING = "booting"
    LOGIN = "login"
    SEEDING = "seeding"
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
