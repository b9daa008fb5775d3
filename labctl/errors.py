"""The error tree: every failure that a user can meet, each with what happened, why, and what to do next."""

from __future__ import annotations

import re

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Return a text that no terminal obeys: learners are root in the guests whose words we print.

    Line ends and tabs stay; every other control character becomes a question mark.
    """
    return _CONTROLS.sub("?", text.replace("\r\n", "\n"))


class LabctlError(Exception):
    """Something failed that the user should read about.

    Args:
        brief: what happened, one sentence without a full stop.
        details: why, one or more lines; what the hypervisor or a program said.
        remedy: what to do next, a sentence or a command.
    """

    exit_code = 1

    def __init__(self, brief: str, *, details: str = "", remedy: str = "") -> None:
        super().__init__(printable(brief))
        self.brief = printable(brief)
        self.details = printable(details)
        self.remedy = printable(remedy)

    def __str__(self) -> str:
        return "\n".join(part for part in (self.brief, self.details, self.remedy) if part)


class InputError(LabctlError):
    """What the user gave cannot be understood or is not valid."""

    exit_code = 2


class RefusedError(LabctlError):
    """What was asked is possible but must not be done: not ours, no room, or in use by another run."""

    exit_code = 3


class ForeignObjectError(RefusedError):
    """An object bears a name that we want, and is not ours."""


class CapacityError(RefusedError):
    """The host has not enough memory, disk, processors or addresses."""


class LockedError(RefusedError):
    """Another labctl works on the same thing."""


class DamagedError(LabctlError):
    """A file of the state folder holds what labctl did not write."""


class HypervisorError(LabctlError):
    """libvirt refused or failed a call."""


class NotFoundError(HypervisorError):
    """The hypervisor has no object of that name."""


class AlreadyExistsError(HypervisorError):
    """The hypervisor has an object of that name already."""


class RemoteError(LabctlError):
    """A node cannot be reached, or a command in it failed."""


class DeadlineError(LabctlError):
    """What was waited for did not come in time; the details name the last state seen."""


class ProcessError(LabctlError):
    """A program on this machine failed or is missing."""
