"""Decides what labs will be, and whether they may be made: identity, plan, and all checks before the first object."""

from __future__ import annotations

import contextlib
import functools
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from netaddr import IPNetwork

from labctl.errors import InputError, RefusedError
from labctl.installing.tasks import everywhere, order_of
from labctl.lab import images, nodes
from labctl.plan import addresses, diff, names
from labctl.plan.lab import BARE, INSTALLED, stage_name
from labctl.plan.model import LabPlan
from labctl.sets import store
from labctl.sets import warm as warm_start
from labctl.sets.manifest import GoldenManifest
from labctl.sets.sources import SourcedLab, sourced
from labctl.site import room
from labctl.site.site import Site
from labctl.site.work import Work
from labctl.spec.topology import Topology, restore
from labctl.state import MOMENT, Home, LabRecord
from labctl.state.records import plan_of


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What new labs start from.

    Attributes:
        topology: what to build; None completes labs that were begun.
        stage: bare or installed.
        chapter: the last role whose chapter is in a bare lab; empty for none.
        golden: name of a golden set; None takes the newest that matches, if there is one.
        cold: boot, whatever memory there is.
        standby: make labs that wait until a team takes them.
    """

    topology: Topology | None = None
    stage: str = BARE
    chapter: str = ""
    golden: str | None = None
    cold: bool = False
    standby: bool = False

    @property
    def stage_name(self) -> str:
        """What people call the stage: bare, installed, or after:glance."""
        return stage_name(self.stage, self.chapter)


@dataclass(frozen=True, kw_only=True)
class Starting:
    """How nodes are started.

    Attributes:
        overcommit: go on where the host has too little memory, processors or disk.
        wait: until every node is ready.
        cold: boot this time, whatever memory there is.
    """

    overcommit: bool = False
    wait: bool = True
    cold: bool = False


def decide(
    work: Work, teams: Sequence[str], choice: Choice, *, overcommit: bool, held: contextlib.ExitStack | None
) -> list[SourcedLab]:
    """Plan a lab for each team and refuse what cannot or must not be, before anything is made.

    Args:
        choice: what new labs start from.
        overcommit: go on where the host has too little memory, processors or disk.
        held: keeps what the labs take reserved until their nodes run; None for a dry run, which records nothing.

    Raises:
        InputError: no topology for a new lab, or no such image; or two labs would have objects of the same name.
        RefusedError: a lab differs from its topology, is on another host, or a foreign object has its name.
        CapacityError: the host has not enough of something.
    """
    home, site = work.home, work.site
    with home.lock("home", "leases", wait=MOMENT):
        records = _identities(home, site, teams, choice)
        labs = [sourced(site, record) for record in records]
        names.refuse_shared(lab.plan for lab in labs)
        nodes.refuse_foreign(site, labs)
        for lab in labs:
            _check_snapshot(lab)
            _check_layers(lab)
        for remark in sorted({lab.obstacle for lab in labs if lab.obstacle and (lab.snapshot or not lab.record.cold)}):
            work.progress.say(f"{remark}; the nodes boot instead")
        pending = [_pending(site, lab) for lab in labs]
        for remark in room.reserve_locked(home, site, pending, overcommit=overcommit, held=held):
            work.progress.say(remark)
        if held is not None:
            for lab in labs:
                if home.lab(lab.plan.team).load() != lab.record:
                    home.lab(lab.plan.team).save(lab.record)
    return labs


def _identities(home: Home, site: Site, teams: Sequence[str], choice: Choice) -> list[LabRecord]:
    topology = choice.topology

    @functools.cache
    def taken() -> list[IPNetwork]:
        leased = [record.mgmt for record in home.records()]
        leased += [subnet for network in site.networks.values() for subnet in network.subnets]
        return leased + site.dialer.routes()

    records = []
    for team in teams:
        record = home.lab(team).load()
        if record is None:
            if topology is None:
                raise InputError(f"{team} has no lab yet", remedy=f"labctl create {team} --topology gridka")
            record = _new(home, site, team, topology, choice, taken())
            taken().append(record.mgmt)
        else:
            _check_same(record, site, topology)
            _check_choice(record, site, choice)
            record = _leased_again(site, record, taken)
        records.append(record)
    return records


def _leased_again(site: Site, record: LabRecord, taken: Callable[[], Sequence[IPNetwork]]) -> LabRecord:
    """Return the record; its subnet is another one where somebody else's network is on it and nothing runs yet.

    Another installation of labctl on the same host may have chosen that subnet at the same time, and been faster.
    """
    lab = plan_of(record)
    own = {network.uuid for network in lab.networks}
    uuids = {node.uuid for node in lab.nodes}
    standing = (site.networks.of(uuid) for uuid in own)
    if not uuids.isdisjoint(site.domains.uuids) or any(network.active for network in standing if network):
        return record
    others = [subnet for each in site.networks.values() if each.uuid not in own for subnet in each.subnets]
    if not any(addresses.overlaps(record.mgmt, subnet) for subnet in others):
        return record
    settings = site.settings.mgmt
    inner = restore(record.topology).subnets
    return replace(record, mgmt=addresses.lease(settings.pool, settings.prefix, taken(), own=inner))


def _new(home: Home, site: Site, team: str, topology: Topology, choice: Choice, taken: list[IPNetwork]) -> LabRecord:
    settings = site.settings.mgmt
    golden = golden_for(site, topology, choice)
    return LabRecord(
        team=team,
        lab=uuid.uuid4(),
        owner=home.owner,
        host=site.name,
        mgmt=addresses.lease(settings.pool, settings.prefix, taken, own=topology.subnets),
        topology=topology.document(),
        digest=topology.digest,
        stage=choice.stage,
        chapter=choice.chapter,
        virt=site.virt,
        golden=golden.id if golden else "",
        cold=choice.cold,
        standby=choice.standby,
    )


def golden_for(site: Site, topology: Topology, choice: Choice) -> GoldenManifest | None:
    """Return the golden set that a new lab stands on: the one that is named, else the newest that matches.

    Sets whose memory can be restored come before others; to boot, a set that was never captured running is better,
    and at stage bare a base image is.

    Raises:
        InputError: the topology has no cloud, and one is wanted; or the set that is named does not match.
    """
    if choice.stage_name != BARE and topology.openstack is None:
        raise InputError(
            f"topology {topology.name} has no cloud to install",
            remedy='Give it a section "openstack" and its nodes roles, or leave --stage out.',
        )
    refuse_unknown(topology, choice.chapter)
    if choice.golden is not None:
        named = store.golden(site).named(choice.golden, site.volumes)
        if (named.digest, named.stage_name) != (topology.digest, choice.stage_name):
            raise InputError(
                f"golden set {named.name} is of topology {named.topology}, stage {named.stage_name}",
                details=f"You asked for {topology.name}, stage {choice.stage_name}, exactly as the file describes it.",
                remedy=f"labctl create TEAM --from {choice.golden} without --topology and --stage takes the set's own.",
            )
        return named
    matching = _matching(site, topology, choice)
    warm = [golden for golden in matching if golden.memory and not warm_start.obstacle(site, golden)]
    if choice.cold:
        matching = [golden for golden in matching if not golden.memory] or matching
        return matching[-1] if matching and choice.stage_name != BARE else None
    found = warm or [golden for golden in matching if choice.stage_name != BARE]
    return found[-1] if found else None


def refuse_unknown(topology: Topology, chapter: str) -> None:
    """Refuse a chapter about a role that no node of a topology has.

    Raises:
        InputError: it is one.
    """
    roles = {role for node in topology.nodes.values() for role in node.roles} | everywhere()
    if chapter and chapter not in roles:
        raise InputError(
            f"no node of topology {topology.name} has the role {chapter}",
            details=f"Its chapters are: {', '.join(order_of(roles))}",
        )


def obstacle(site: Site, topology: Topology, choice: Choice) -> str:
    """Say why new labs boot though a golden set has memory for them; empty where they need not, or where none has.

    Raises:
        InputError: there is no such golden set.
    """
    if choice.cold:
        return ""
    named = [store.golden(site).named(choice.golden, site.volumes)] if choice.golden is not None else None
    sets = [golden for golden in named or _matching(site, topology, choice) if golden.memory]
    obstacles = [warm_start.obstacle(site, golden) for golden in sets]
    return obstacles[-1] if obstacles and all(obstacles) else ""


def _matching(site: Site, topology: Topology, choice: Choice) -> list[GoldenManifest]:
    """Return the golden sets of a topology and stage, the newest last."""
    return [
        golden
        for golden in store.golden(site).every(site.volumes)
        if (golden.digest, golden.stage_name) == (topology.digest, choice.stage_name)
    ]


def _check_choice(record: LabRecord, site: Site, choice: Choice) -> None:
    """Refuse to go on with a lab from another golden set than it was begun with."""
    if choice.golden is not None and store.golden(site).named(choice.golden, site.volumes).id != record.golden:
        raise RefusedError(
            f"the lab of {record.team} was not made from golden set {choice.golden}",
            remedy=f"labctl destroy {record.team}, then create it again; or leave --from out.",
        )


def _check_same(record: LabRecord, site: Site, topology: Topology | None) -> None:
    if record.host != site.name:
        raise RefusedError(
            f"{record.team} has a lab on host {record.host}, not on {site.name}",
            remedy=f"Leave --host out, or labctl destroy {record.team} first.",
        )
    if record.virt != site.virt:
        made = {"kvm": "under KVM", "qemu": "emulated"}
        raise RefusedError(
            f"the nodes of {record.team} are {made[record.virt]}, and these would be {made[site.virt]}",
            details="All nodes of a lab are of one kind, because the memory of a golden set fits only one.",
            remedy=f"labctl create {record.team} alone, without --virt, completes it; "
            f"or labctl destroy {record.team} first.",
        )
    if topology is not None and topology.digest != record.digest:
        differences = diff.differences(record.topology, topology.document())
        raise RefusedError(
            f"{record.team} has a lab of another topology",
            details="\n".join(differences),
            remedy=f"labctl destroy {record.team}, then create it again; or create another team.",
        )


def _pending(site: Site, lab: SourcedLab) -> LabPlan:
    """Return a lab's plan with the nodes alone that are still to be made, or that nobody has seen ready yet."""
    record = lab.record
    chosen = (
        node
        for node in lab.plan.nodes
        if nodes.missing(site, record, node) or record.ready.get(node.name) != node.generation
    )
    return replace(lab.plan, nodes=tuple(chosen))


def _check_snapshot(lab: SourcedLab) -> None:
    """Refuse to make nodes of a lab that has an unfinished restore of a snapshot which is gone."""
    if lab.record.restoring and lab.snapshot is None:
        raise InputError(
            f"the snapshot that the lab of {lab.plan.team} was being restored to is gone",
            remedy=f"labctl reset -t {lab.plan.team} --all gives the lab back as it was made.",
        )


def _check_layers(lab: SourcedLab) -> None:
    """Refuse to make nodes of a cloud from an image that lacks packages of their roles."""
    cloud = lab.plan.openstack
    if cloud is not None and lab.plan.stage == INSTALLED and cloud.image in lab.images:
        roles = [role for node in lab.plan.nodes if node.image == cloud.image for role in node.roles]
        images.demand_layers(lab.images[cloud.image], roles)
