"""Keeps what a healthy lab is known by: its canary, and how long its checks take. Sets that are captured carry both."""

from __future__ import annotations

import json
from dataclasses import asdict

from labctl.checks import limits
from labctl.checks.canary import Canary
from labctl.checks.model import Report
from labctl.sets.manifest import GoldenManifest
from labctl.state import LabFolder

CANARY = "canary.json"
"""The server that stays in the lab's cloud for checks to look at."""

TIMES = "times.json"
"""How long checks and their steps took in the last green runs."""


def canary(folder: LabFolder) -> Canary | None:
    """Return the lab's canary; None where it has none.

    Raises:
        DamagedError: the file holds something else.
    """
    return folder.read_as(CANARY, Canary)


def remember(folder: LabFolder, known: Canary) -> None:
    """Make a canary the lab's."""
    folder.write(CANARY, json.dumps(asdict(known), indent=1))


def times(folder: LabFolder) -> dict[str, list[float]]:
    """Return the lab's healthy times; nothing where no run of its checks was green yet.

    Raises:
        DamagedError: the file holds something else.
    """
    return folder.read_as(TIMES, dict[str, list[float]]) or {}


def learn(folder: LabFolder, report: Report) -> None:
    """Add the times of a green run."""
    folder.write(TIMES, json.dumps(limits.learnt(times(folder), report), indent=1))


def inherit(folder: LabFolder, source: GoldenManifest) -> None:
    """Take over what is known of the lab that a set was made of: the whole lab goes on from there."""
    if source.canary:
        folder.write(CANARY, json.dumps(dict(source.canary), indent=1))
    else:
        folder.remove_file(CANARY)
    if source.times:
        folder.write(TIMES, json.dumps({what: list(each) for what, each in source.times.items()}, indent=1))
