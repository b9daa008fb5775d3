"""What nodes do beyond their roles: one role does the duty of another where no node has that one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

WITHIN = {"cinder-volume": "cinder"}
"""Role to the one that does its duty, too, where no node has it."""


def duties(roles: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Return what each node does: its roles, and the duties of roles that no node has and that belong to one of them.

    Args:
        roles: of each node, by its name.
    """
    given = {node: tuple(names) for node, names in roles.items()}
    present = {name for names in given.values() for name in names}
    return {
        node: (*names, *(inner for inner, outer in WITHIN.items() if outer in names and inner not in present))
        for node, names in given.items()
    }
