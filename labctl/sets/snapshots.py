"""Finds the snapshots of a lab."""

from __future__ import annotations

from labctl.errors import InputError
from labctl.sets import store
from labctl.sets.manifest import GoldenManifest
from labctl.site.site import Site
from labctl.state import Home, records


def every(home: Home, site: Site, team: str) -> list[GoldenManifest]:
    """Return the snapshots of a team's lab, the oldest first.

    Raises:
        InputError: the team has no lab.
    """
    own = set(records.record_of(home, team).volumes)
    return [each for each in store.snapshots(site).every(site.volumes) if own.issuperset(each.volumes)]


def label(snapshot: GoldenManifest) -> str:
    """Return what its lab calls a snapshot."""
    return snapshot.name.partition(".")[2]


def find(home: Home, site: Site, team: str, name: str) -> GoldenManifest:
    """Return a lab's snapshot of that name.

    Raises:
        InputError: the lab has none.
    """
    known = {label(each): each for each in every(home, site, team)}
    if name not in known:
        raise InputError(
            f"the lab of {team} has no snapshot {name}",
            details=f"It has {', '.join(known)}." if known else "It has none.",
            remedy=f"labctl snapshot save -t {team} NAME",
        )
    return known[name]
