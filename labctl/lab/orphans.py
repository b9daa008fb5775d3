"""Finds labs on a host that have no record here, by the metadata of their objects, and removes them.

A record may be lost or damaged; libvirt still knows whose each domain and each network is.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from labctl.errors import DamagedError, InputError, LabctlError
from labctl.hypervisor import DomainFacts, NetworkFacts
from labctl.lab.demolition import Pieces, demolish
from labctl.plan.lab import node_uuid
from labctl.site import networks
from labctl.site.site import Site
from labctl.site.together import GroupError
from labctl.site.work import Work
from labctl.state import Home, LabRecord, records


@dataclass(frozen=True, kw_only=True)
class Orphan:
    """A lab of this installation that no sound record knows.

    Attributes:
        topology: its name.
        domains: node to its domain.
        volumes: names of the disks that its domains have.
        unproven: volumes with names of its team that nothing proves to be its own; they are left.
        damaged: whether there is a record, which cannot be read.
    """

    team: str
    lab: UUID
    topology: str
    digest: str
    domains: dict[str, DomainFacts]
    networks: tuple[NetworkFacts, ...]
    volumes: tuple[str, ...]
    unproven: tuple[str, ...]
    damaged: bool

    @property
    def running(self) -> int:
        """How many of its nodes run."""
        return sum(domain.state.active for domain in self.domains.values())


def find(home: Home, site: Site, teams: Collection[str] = ()) -> list[Orphan]:
    """Return the labs of this installation on a host that no sound record knows, by team.

    Args:
        teams: only theirs; nothing stands for all.
    """
    records = home.records()
    known = {record.lab for record in records}
    damaged = home.damaged()
    owner = home.owner
    marks = [
        mark
        for mark in (
            *(each.owner for each in site.domains.values() if _is_node(each)),
            *(each.owner for each in site.networks.values() if _is_network(each)),
        )
        if mark is not None and mark.owner == owner and mark.lab not in known and (not teams or mark.team in teams)
    ]
    found = []
    for lab, mark in {mark.lab: mark for mark in marks}.items():
        domains = {
            each.owner.node: each
            for each in site.domains.values()
            if each.owner and each.owner.lab == lab and _is_node(each)
        }
        nets = (each for each in site.networks.values() if each.owner and each.owner.lab == lab and _is_network(each))
        volumes = {volume for domain in domains.values() for volume in _disks(site, domain)}
        found.append(
            Orphan(
                team=mark.team,
                lab=lab,
                topology=mark.topology,
                digest=mark.digest,
                domains=domains,
                networks=tuple(nets),
                volumes=tuple(sorted(volumes)),
                unproven=tuple(sorted(_named(site, mark.team, records))),
                damaged=mark.team in damaged,
            )
        )
    return sorted(found, key=lambda orphan: (orphan.team, orphan.lab))


def others(home: Home, site: Site) -> dict[UUID, list[str]]:
    """Return which teams' labs stand on a host that another installation's ID owns, by that ID."""
    found: dict[UUID, set[str]] = {}
    for domain in site.domains.values():
        if domain.owner is not None and domain.owner.owner != home.owner:
            found.setdefault(domain.owner.owner, set()).add(domain.owner.team)
    return {owner: sorted(teams) for owner, teams in found.items()}


def whose(home: Home, site: Site) -> dict[str, list[str]]:
    """Tell the domains that run on a host apart: whose they are, in words, to their names."""
    labs = {record.lab: f"the lab of {record.team}" for record in home.records()}
    found: dict[str, list[str]] = {}
    for domain in sorted(site.domains.values(), key=lambda each: each.name):
        if not domain.state.active:
            continue
        if domain.owner is None:
            owner = "not labctl's"
        elif domain.owner.owner != home.owner:
            owner = f"another installation's, {domain.owner.owner}"
        else:
            owner = labs.get(domain.owner.lab, f"without a record, {domain.owner.team}'s once")
        found.setdefault(owner, []).append(domain.name)
    return found


def sound(home: Home, team: str) -> LabRecord | None:
    """Return a team's record; None where there is none, or a damaged one."""
    try:
        return home.lab(team).load()
    except DamagedError:
        return None


def destroy(work: Work, orphan: Orphan) -> None:
    """Remove what an orphan has on the host, then what is left of its record here.

    Raises:
        LabctlError: something is left, or a record appeared meanwhile.
    """
    home = work.home
    with records.locked(home, [orphan.team]):
        record = sound(home, orphan.team)
        if record is not None and record.lab == orphan.lab:
            raise LabctlError(f"{orphan.team} has a record by now", remedy=f"labctl destroy {orphan.team}")
        pieces = Pieces(
            team=orphan.team,
            domains=orphan.domains,
            volumes=orphan.volumes,
            networks={network.uuid: network.name for network in orphan.networks},
        )
        errors = demolish(work, pieces)
        if errors:
            brief = f"something of {orphan.team}'s lab is left"
            raise GroupError(brief, errors, remedy="The same command tries again.")
        if orphan.unproven:
            work.progress.say(
                f"volumes with names of {orphan.team} are left, for nothing proves whose they are: "
                + ", ".join(orphan.unproven)
            )
        if record is None:
            home.remove_lab(orphan.team)


def destroy_damaged(work: Work, team: str) -> None:
    """Take away the lab of a team whose record is damaged.

    Raises:
        InputError: the host has nothing of it, so it may stand on another one.
        LabctlError: something is left.
    """
    found = find(work.home, work.site, [team])
    if not found:
        raise InputError(
            f"the record of {team}'s lab is damaged, and host {work.site.name} has none of its objects",
            remedy=f"If it is on another host: labctl destroy {team} --host HOST; if it is nowhere: "
            f"labctl destroy {team} --forget",
        )
    for orphan in found:
        destroy(work, orphan)


def _is_node(domain: DomainFacts) -> bool:
    """Whether a domain is a lab's: its metadata *and* its UUID say so; a clone of one has the metadata too."""
    owner = domain.owner
    return owner is not None and domain.uuid == node_uuid(owner.lab, owner.node)


def _is_network(network: NetworkFacts) -> bool:
    """Whether a network is a lab's, or one by way of which cards were to come back into a network of it."""
    owner = network.owner
    return owner is not None and network.uuid in networks.uuids(owner.lab, owner.network)


def _disks(site: Site, domain: DomainFacts) -> set[str]:
    """Return the volumes that a domain has and whose names are its own: base images and media are others'."""
    own = re.compile(rf"{re.escape(domain.name)}(-vd[a-z]+)?(\.qcow2|-seed\.iso|-console\.log)")
    paths = {*domain.disks.values(), domain.console}
    return {name for name, volume in site.volumes.items() if own.fullmatch(name) and {name, volume.path} & paths}


def _named(site: Site, team: str, records: list[LabRecord]) -> set[str]:
    """Return the volumes that are named like those of a team's lab, and that no record claims and no domain has."""
    taken = {volume for record in records if record.host == site.name for volume in record.volumes}
    paths = {path for domain in site.domains.values() for path in (*domain.disks.values(), domain.console)}
    own = re.compile(rf"{re.escape(team)}-.+(\.qcow2|-seed\.iso|-console\.log)|snapshot-{re.escape(team)}\..+")
    named = {name for name, volume in site.volumes.items() if own.fullmatch(name) and not {name, volume.path} & paths}
    return named - taken
