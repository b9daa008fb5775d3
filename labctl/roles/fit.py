"""Sees that the nodes of a topology can do what their roles ask: whatever the installer would trip over later."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from labctl.errors import InputError
from labctl.roles.role import ROLES, Password, Role
from labctl.spec import topology as spec
from labctl.spec.document import Location, Problem
from labctl.spec.openstack import OpenStack
from labctl.spec.problems import closest, path
from labctl.spec.topology import Nic, Topology


def load(path_or_name: str | Path) -> Topology:
    """Read a topology and see that its roles fit.

    Raises:
        InputError: there is none, or it is not valid; the message lists every problem with its line.
    """
    return spec.load(path_or_name, also=problems)


def demand(topology: Topology) -> Topology:
    """Return a topology that is on record when its roles fit.

    Raises:
        InputError: they do not; the message lists every problem.
    """
    if found := list(problems(topology)):
        raise InputError(
            f"the nodes of topology {topology.name} cannot do what their roles ask",
            details="\n".join(f"{path(problem.location)}: {problem.message}" for problem in found),
            remedy="Correct the topology's file, destroy the lab and create it again.",
        )
    return topology


def problems(topology: Topology, *, whole: bool = True) -> Iterator[Problem]:
    """Yield everything that does not fit together.

    Args:
        topology: valid by itself.
        whole: whether it is all that its file says; of one that is not, nothing is said that may be missing.
    """
    cloud = topology.openstack
    if cloud is None:
        return
    held = _held(topology)
    unknown = sorted(set(held) - set(ROLES.names()))
    for name in unknown:
        for _, place in held.pop(name):
            yield Problem(place, f'there is no role "{name}"{closest(name, ROLES.names())}')
    for name, places in held.items():
        yield from _together(ROLES[name], places, held)
        yield from _machines(topology, ROLES[name], places)
        if fits := ROLES[name].fits:
            yield from fits(topology)
    yield from _cards(topology, cloud)
    yield from _passwords(cloud, held, whole=whole and not unknown)
    if whole and not unknown:
        yield from _needs(held)


def layers(roles: Iterable[str]) -> tuple[str, ...]:
    """Return the layers that an image must have, for the packages of these roles."""
    return tuple(sorted({ROLES[name].layer for name in set(roles) & set(ROLES.names())} - {""}))


def passwords() -> dict[str, Password]:
    """Return the passwords of all roles by name."""
    return {password.name: password for role in ROLES for password in role.passwords}


_Held = dict[str, list[tuple[str, Location]]]
"""Role to the nodes that have it, each with the place that says so."""


def _held(topology: Topology) -> _Held:
    held: _Held = {}
    for node, machine in topology.nodes.items():
        for position, role in enumerate(machine.roles):
            held.setdefault(role, []).append((node, ("nodes", node, "roles", position)))
    return held


def _together(role: Role, places: list[tuple[str, Location]], held: _Held) -> Iterator[Problem]:
    """Check what a role allows beside it: itself, and others."""
    first = places[0][0]
    for number, (node, place) in enumerate(places):
        if node in [other for other, _ in places[:number]]:
            yield Problem(place, f"the role {role.name} is given twice")
        elif role.single and number:
            text = f"{first} has the role {role.name} already; one node has it, and all others ask that one"
            yield Problem(place, text)
        for name in role.excludes:
            if node in [other for other, _ in held.get(name, ())]:
                yield Problem(place, f"{role.name} and {name} cannot be on the same node")


def _machines(topology: Topology, role: Role, places: list[tuple[str, Location]]) -> Iterator[Problem]:
    for node, place in places:
        if len(topology.nodes[node].disks) < role.disks:
            text = f"the role {role.name} uses a data disk, and {node} has none; for instance disks: [size: 20 GiB]"
            yield Problem(place, text)


def _cards(topology: Topology, cloud: OpenStack) -> Iterator[Problem]:
    """Check that nodes are on the networks that their roles use."""
    keys = {"internal": cloud.internal, "public": cloud.public, "private": cloud.private}
    for name, node in topology.nodes.items():
        wanted: dict[str, str] = {}  # network of the cloud to the first role that asks for it
        for role in (ROLES[each] for each in node.roles if each in ROLES.names()):
            for key in role.networks:
                wanted.setdefault(key, role.name)
        for key, asking in wanted.items():
            network = topology.networks.get(keys[key] or "")
            if network is None or (network.subnet is None) != (key == "private"):
                continue  # there is none, or it is the topology's own problem
            cards = [(number, nic) for number, nic in enumerate(node.nics) if nic.network == keys[key]]
            if problem := _card(("nodes", name, "nics"), asking, str(keys[key]), cards, addressed=key != "private"):
                yield problem


def _card(place: Location, role: str, network: str, cards: list[tuple[int, Nic]], *, addressed: bool) -> Problem | None:
    """Say what a node lacks on one network; None where it lacks nothing."""
    if not cards:
        what = f"a card with an address on {network}" if addressed else f"a card on {network}"
        return Problem(place, f"the role {role} needs {what}, and there is none")
    if addressed and not any(nic.address for _, nic in cards):
        return Problem((*place, cards[0][0]), f"the role {role} needs an address on {network}, and the card has none")
    return None


def _passwords(cloud: OpenStack, held: _Held, *, whole: bool) -> Iterator[Problem]:
    """Check that pinned passwords are read by somebody, and that the readers can carry them."""
    known = passwords()
    read = {password.name for name in held for password in ROLES[name].passwords}
    for name in cloud.passwords:
        if name != "*" and name not in known:
            yield Problem(("openstack", "passwords", name), f"nothing reads this password{closest(name, known)}")
        elif name != "*" and whole and name not in read:
            role = next(role.name for role in ROLES if known[name] in role.passwords)
            yield Problem(("openstack", "passwords", name), f"it is {role}'s, and no node has this role")
    for name in sorted(read):
        key = name if name in cloud.passwords else "*"
        if (password := cloud.passwords.get(key)) and not re.fullmatch(known[name].fits, password):
            own = "; give it one of its own" if key == "*" else ""
            yield Problem(("openstack", "passwords", key), f"{name} cannot have this password: {known[name].rule}{own}")


def _needs(held: _Held) -> Iterator[Problem]:
    for role in ROLES:
        if role.name not in held and not role.everywhere:
            continue
        place: Location = held[role.name][0][1] if role.name in held else ("openstack",)
        for need in role.needs:
            if need not in held:
                who = f"the {role.title[0].lower()}{role.title[1:]} of every node" if role.everywhere else role.name
                yield Problem(place, f"{who} needs the role {need}, and no node has it")
