"""The rooms of labctl: which of them may import which. `tests/unit/test_rooms.py` holds the code to this table.

A room is a module or a package right under `labctl`. Everything imports downwards: no room stands above itself.
"""

from __future__ import annotations

GROUND = {"errors", "data", "ini", "pace", "quoting", "registry", "secret", "sizes"}
"""Small rooms that touch nothing outside. Every room above them may import them."""

# Floor by floor, from the ground up: room to the rooms that it may import besides the ground.
FLOORS: tuple[dict[str, set[str]], ...] = (
    {  # the ground
        "errors": set(),
        "data": set(),
        "pace": set(),
        "sizes": set(),
        "quoting": {"errors"},
        "registry": {"errors"},
        "ini": {"errors", "quoting"},
        "secret": {"errors", "quoting"},
    },
    {  # this machine, as every room that acts uses it
        "modes": set(),
        "waiting": set(),
        "locking": set(),
        "process": {"modes"},
    },
    {  # what a lab is: pure
        "spec": set(),
        "plan": {"spec"},
        "render": {"plan"},
        "cloud": {"plan", "spec"},
    },
    {  # guests, and what can be done to them
        "guest": set(),
        "changes": {"guest", "waiting"},
        "roles": {"changes", "cloud", "spec"},
    },
    {  # what is outside: this machine, nodes, libvirt, the state folder
        "host": {"locking", "modes", "process", "waiting"},
        "remote": {"guest", "host", "process", "waiting"},
        "hypervisor": {"guest", "waiting"},
        "state": {"locking", "modes", "plan", "spec", "waiting"},
    },
    {  # a host, and what lies there
        "images": {"hypervisor", "modes", "process", "render", "spec", "state"},
        "site": {"host", "hypervisor", "images", "plan", "remote", "render", "spec", "state"},
        "sets": {"hypervisor", "images", "plan", "process", "render", "site", "spec", "state", "waiting"},
    },
    {  # what is done in labs
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
        "sabotage": {"changes", "checks", "guest", "plan"},
        "rounds": {"spec"},
    },
    {"lab": set()},  # the use cases may import every room below
    {"report": {"changes", "checks", "host", "images", "lab", "plan", "rounds", "sabotage", "sets", "spec"}},
    {
        "cli": {
            *("checks", "host", "images", "lab", "plan", "report", "roles", "rounds", "sabotage", "sets"),
            *("site", "spec", "state"),
        }
    },
)

_BELOW_LAB = {room for floor in FLOORS[:7] for room in floor}

ROOMS: dict[str, set[str]] = {
    room: (_BELOW_LAB if room == "lab" else allowed | (set() if room in GROUND else GROUND))
    for floor in FLOORS
    for room, allowed in floor.items()
}
"""Room to all rooms that it may import."""
