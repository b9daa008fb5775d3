"""Removes objects from a host, except those that foreign machines use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from uuid import UUID

from labctl.errors import LabctlError, RefusedError
from labctl.hypervisor import DomainFacts
from labctl.plan.model import LabPlan, NodePlan
from labctl.site.progress import Phase
from labctl.site.site import Site
from labctl.site.work import Work


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """What is to go.

    Attributes:
        domains: node to its domain.
        volumes: names in the pool; those that are not there are gone already.
        networks: UUID to name.
    """

    team: str
    domains: Mapping[str, DomainFacts]
    volumes: Collection[str]
    networks: Mapping[UUID, str]


def demolish(work: Work, pieces: Pieces) -> list[LabctlError]:
    """Remove domains, then volumes and networks that no domain uses any more; return what is wrong with the rest.

    Errors do not stop it. What a domain uses is asked of the host after our domains are gone: whoever is left is
    somebody else's, or one of ours that could not be removed, and keeps its disks and its networks.
    """

    site = work.site

    def run(pieces: Iterable[Callable[[], None]]) -> list[LabctlError]:
        failed: list[LabctlError] = []

        def kept(piece: Callable[[], None]) -> None:
            try:
                piece()
            except LabctlError as exc:
                failed.append(exc)

        work.together([partial(kept, piece) for piece in pieces], brief="", remedy="")
        return failed

    def remove(node: str, domain: DomainFacts) -> None:
        work.progress.node(pieces.team, node, Phase.STOPPING)
        site.hypervisor.remove_domain(domain.uuid)
        work.progress.node(pieces.team, node, Phase.REMOVED)

    errors = run(partial(remove, node, domain) for node, domain in pieces.domains.items())
    now = site.again()
    held = _held(now, pieces)
    errors += [_left(site, domain, things) for domain, things in held]
    used = {thing for _, things in held for thing in things}
    pool = site.settings.pool.name
    errors += run(
        partial(site.hypervisor.remove_volume, pool, name)
        for name in pieces.volumes
        if name in now.volumes and f"volume {name}" not in used
    )
    return errors + run(
        partial(_remove_network, now, uuid, name)
        for uuid, name in pieces.networks.items()
        if f"network {name}" not in used
    )


def refuse_used(site: Site, plan: LabPlan, chosen: Collection[NodePlan]) -> None:
    """Raise RefusedError when other domains than the lab's use the disks of nodes that are about to go."""
    volumes = set().union(*(node.volumes for node in chosen))
    own = {node.uuid for node in plan.nodes}
    held = _held(site, Pieces(team=plan.team, domains={}, volumes=volumes, networks={}))
    used = [f"domain {domain.name}: {', '.join(things)}" for domain, things in held if domain.uuid not in own]
    if used:
        raise RefusedError(
            f"other machines use disks of {plan.team}'s nodes",
            details="\n".join(used),
            remedy="Nothing was changed. Detach these disks from them (virsh edit, virsh undefine), then try again.",
        )


def _remove_network(site: Site, uuid: UUID, name: str) -> None:
    """Stop and undefine a network, and what libvirt may have forgotten of it when its start ended half-way."""
    found = site.networks.get(name)
    if found is not None and not found.active:
        site.dialer.remove_bridge(found.bridge)
    site.hypervisor.remove_network(uuid)


def _held(site: Site, pieces: Pieces) -> list[tuple[DomainFacts, list[str]]]:
    """Return which of the pieces domains use that are there, and which domains."""

    def plugs(name: str) -> set[str]:
        return {name, site.networks[name].bridge} if name in site.networks else {name}

    paths = {each for name in pieces.volumes for each in (name, _path(site, name))}
    running = site.hypervisor.files()
    found = []
    for name in site.domains:
        if not pieces.networks and paths.isdisjoint(running.get(name, paths)):
            continue  # it need not be asked for
        domain = site.domains.get(name)
        if domain is None:
            continue
        disks = _chains(site, {*domain.disks.values(), *domain.files})
        things = [f"volume {name}" for name in sorted(pieces.volumes) if {name, _path(site, name)} & disks]
        things += [f"network {name}" for name in sorted(pieces.networks.values()) if plugs(name) & set(domain.networks)]
        if things:
            found.append((domain, things))
    return found


def _path(site: Site, volume: str) -> str:
    return site.volumes[volume].path if volume in site.volumes else volume


def _chains(site: Site, disks: Iterable[str]) -> set[str]:
    """Return the paths (or names) of disks, and of all that they stand on."""
    found: set[str] = set()
    for disk in disks:
        below: str | None = disk
        while below and below not in found:
            found.add(below)
            volume = site.volumes.get(PurePath(below).name)
            below = volume.backing if volume is not None and volume.path == below else None
    return found


def _left(site: Site, domain: DomainFacts, things: list[str]) -> LabctlError:
    virsh = f"virsh -c '{site.hypervisor.uri}'"
    stop = f"{virsh} destroy {domain.name}; " if domain.state.active else ""
    return LabctlError(
        f"domain {domain.name} ({domain.uuid}, {domain.state}) uses {', '.join(things)}: they are left",
        remedy=f"If nobody needs it: {stop}{virsh} undefine {domain.name}",
    )
