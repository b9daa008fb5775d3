"""Removes labs completely."""

from __future__ import annotations

from labctl.errors import InputError, LabctlError, RefusedError
from labctl.hypervisor import DomainFacts
from labctl.lab import nodes
from labctl.lab.demolition import Pieces, demolish
from labctl.plan.model import LabPlan
from labctl.sets import hold
from labctl.site import networks
from labctl.site.site import Site
from labctl.site.together import GroupError
from labctl.site.work import Work
from labctl.state import Home, records


def destroy(work: Work, team: str) -> None:
    """Remove a team's domains, volumes and networks, give its subnet back and delete its keys.

    Errors do not stop it; what could not be removed is reported, and stays on record for the next try. So does what a
    domain uses that is not this lab's, and a domain of this lab whose metadata is gone.

    Raises:
        InputError: the team has no lab.
        RefusedError: the lab stands on another host.
        LabctlError: something is left.
    """
    home, site = work.home, work.site
    with records.locked(home, [team]):
        record = records.record_of(home, team)
        if record.host != site.name:
            raise RefusedError(
                f"{team} has its lab on host {record.host}, not on {site.name}", remedy=f"labctl destroy {team}"
            )
        lab = records.plan_of(record)
        errors: list[LabctlError] = []
        try:
            hold.forget(home, site, team)
        except LabctlError as exc:
            errors.append(exc)
        ours = {node.name: domain for node in lab.nodes if (domain := site.domains.of(node.uuid))}
        strangers = {name: domain for name, domain in ours.items() if not nodes.belongs(domain, lab, lab.node(name))}
        pieces = Pieces(
            team=team,
            domains={name: domain for name, domain in ours.items() if name not in strangers},
            volumes=record.volumes,
            networks=networks.every(lab),
        )
        errors += [_stranger(site, lab, domain) for domain in strangers.values()]
        errors += demolish(work, pieces)
        if errors:
            raise GroupError(f"something of {team}'s lab is left", errors, remedy=f"labctl destroy {team} tries again.")
        site.unshare(lab)
        home.remove_lab(team)


def forget(home: Home, team: str) -> None:
    """Delete the record and the keys of a lab whose host is gone; no host is asked, nothing there is removed.

    Raises:
        InputError: the team has no lab.
    """
    with records.locked(home, [team]):
        if not home.lab(team).exists:
            raise InputError(f"{team} has no lab", remedy="labctl list")
        home.remove_lab(team)


def _stranger(site: Site, lab: LabPlan, domain: DomainFacts) -> LabctlError:
    virsh = f"virsh -c '{site.hypervisor.uri}'"
    stop = f"{virsh} destroy {domain.name}; " if domain.state.active else ""
    return LabctlError(
        f"domain {domain.name} ({domain.uuid}, {domain.state}) is left: "
        f"its metadata does not say that it is a node of {lab.team}'s lab",
        remedy=f"If it is: {stop}{virsh} undefine {domain.name}",
    )
