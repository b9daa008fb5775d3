"""The rooms of labctl: which of them may import which. `tests/unit/test_rooms.py` holds the code to this table.

A room is a module or a package right under `labctl`. Everything imports downwards: no room stands above itself.
"""

from __future__ import annotations

import importlib

GROUND = {"errors", "data", "ini", "pace", "quoting", "registry", "secret", "sizes"}
"""Small rooms that touch nothing outside. Every room above them may import them."""

FLOORS: dict[str, dict[str, set[str]]] = {
    "Ground": {
        "errors": set(),
        "data": set(),
        "pace": set(),
        "sizes": set(),
        "quoting": {"errors"},
        "registry": {"errors"},
        "ini": {"errors", "quoting"},
        "secret": {"errors", "quoting"},
    },
    "Tools": {
        "modes": set(),
        "waiting": set(),
        "locking": set(),
        "process": {"modes"},
    },
    "A lab on paper": {
        "spec": set(),
        "plan": {"spec"},
        "render": {"plan"},
        "cloud": {"plan", "spec"},
    },
    "Guests": {
        "guest": set(),
        "changes": {"guest", "waiting"},
        "roles": {"changes", "cloud", "spec"},
    },
    "The outside": {
        "host": {"locking", "modes", "process", "waiting"},
        "remote": {"guest", "host", "process", "waiting"},
        "hypervisor": {"guest", "waiting"},
        "state": {"locking", "modes", "plan", "spec", "waiting"},
    },
    "A host": {
        "images": {"hypervisor", "modes", "process", "render", "spec", "state"},
        "site": {"host", "hypervisor", "images", "plan", "remote", "render", "spec", "state"},
        "sets": {"hypervisor", "images", "plan", "process", "render", "site", "spec", "state", "waiting"},
    },
    "Work in labs": {
        "installing": {
            "changes",
            "cloud",
            "guest",
            "host",
            "modes",
            "plan",
            "remote",
            "render",
            "roles",
            "site",
            "state",
        },
        "checks": {"cloud", "guest", "plan", "waiting"},
        "sabotage": {"changes", "checks", "guest", "plan", "waiting"},
        "rounds": {"spec"},
    },
    "Use cases": {"lab": set()},  # which may import every room below
    "Results": {"report": {"changes", "checks", "host", "images", "lab", "plan", "rounds", "sabotage", "sets", "spec"}},
    "Doors": {
        "door": {"lab", "modes", "plan", "remote", "report"},
        "board": {"door", "lab", "plan", "report", "roles", "site", "state"},
    },
    "Users": {
        "cli": {
            *(
                "board",
                "checks",
                "door",
                "host",
                "images",
                "lab",
                "plan",
                "report",
                "roles",
                "sabotage",
                "sets",
            ),
            *("site", "spec", "state"),
        }
    },
}
"""Floor by floor, from the ground up: room to the rooms that it may import besides the ground."""

_BELOW_LAB = {room for title, floor in list(FLOORS.items())[: list(FLOORS).index("Use cases")] for room in floor}

ROOMS: dict[str, set[str]] = {
    room: (_BELOW_LAB if room == "lab" else allowed | (set() if room in GROUND else GROUND))
    for floor in FLOORS.values()
    for room, allowed in floor.items()
}
"""Room to all rooms that it may import."""


def duty(room: str) -> str:
    """Return what a room is for: the first line of its docstring."""
    lines = (importlib.import_module(f"labctl.{room}").__doc__ or "").splitlines()
    return lines[0].strip()
