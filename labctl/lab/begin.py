"""Decides what a lab will be and whether it may be: identity, plan, and every check before the first object."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from netaddr import IPNetwork

from labctl.errors import ForeignObjectError, InputError, RefusedError
from labctl.images import recipe
from labctl.images.store import Image, Manifest
from labctl.lab import nodes
from labctl.lab.nodes import Ledger
from labctl.lab.site import Site
from labctl.plan import addresses, capacity, diff
from labctl.plan.lab import INSTALLED, plan
from labctl.plan.model import Identity, LabPlan
from labctl.spec.topology import Topology, restore
from labctl.state import Home, LabFolder, LabRecord


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A lab that is decided upon: its plan, its record, and the images that its overlays stand on."""

    plan: LabPlan
    record: LabRecord
    images: dict[str, Image]

    def ledger(self, folder: LabFolder) -> Ledger:
        """Return the ledger to work with."""
        return Ledger(folder, self.record)


@contextlib.contextmanager
def locked(home: Home, teams: Iterable[str]) -> Iterator[None]:
    """Hold the locks of all these teams' labs, in one order for everybody.

    Raises:
        LockedError: another process works on one of them.
    """
    with contextlib.ExitStack() as stack:
        for team in sorted(set(teams)):
            stack.enter_context(home.lock(team))
        yield


def decide(
    home: Home,
    site: Site,
    teams: Sequence[str],
    topology: Topology | None,
    *,
    stage: str,
    overcommit: bool,
    write: bool,
    say: Callable[[str], None],
) -> list[Begun]:
    """Plan a lab for each team and refuse what cannot or must not be, before anything is made.

    Args:
        topology: None stands for the topology that each lab has already.
        overcommit: go on where the host has too little memory, processors or disk.
        write: record the labs that are new; a dry run does not.
        say: receives remarks on what may become short.

    Raises:
        InputError: no topology for a new lab, or no such image.
        RefusedError: a lab differs from its topology, is on another host, or a foreign object has its name.
        CapacityError: the host has not enough of something.
    """
    with home.lock("leases", wait=True):
        records = _identities(home, site, teams, topology, stage)
        begun = [_begin(site, record) for record in records]
        refuse_foreign(site, begun)
        for remark in _check_capacity(site, begun, overcommit=overcommit):
            say(remark)
        if write:
            for lab in begun:
                if home.lab(lab.plan.team).load() != lab.record:
                    home.lab(lab.plan.team).save(lab.record)
    return begun


def recorded(home: Home, site: Site, team: str) -> Begun:
    """Return the lab that a team has.

    Raises:
        InputError: it has none.
    """
    return _begin(site, record_of(home, team))


def record_of(home: Home, team: str) -> LabRecord:
    """Return the record of a team's lab.

    Raises:
        InputError: the team has no lab.
    """
    record = home.lab(team).load()
    if record is None:
        known = ", ".join(record.team for record in home.records())
        raise InputError(
            f"{team} has no lab",
            details=f"Labs there are: {known}" if known else "There are no labs.",
            remedy=f"labctl create {team}",
        )
    return record


def plan_of(record: LabRecord) -> LabPlan:
    """Plan the lab of a record; the same record always gives the same plan."""
    identity = Identity(
        team=record.team, lab=record.lab, owner=record.owner, mgmt=record.mgmt, generations=record.generations
    )
    return plan(restore(record.topology), identity, stage=record.stage, golden=record.golden)


def refuse_foreign(site: Site, labs: Iterable[Begun]) -> None:
    """Raise ForeignObjectError when anything on the host bears a name that we want and is not ours."""
    taken = [each for lab in labs for each in nodes.foreign(site, lab.plan, lab.record)]
    if taken:
        raise ForeignObjectError(
            "the host has objects with names that this lab needs, and they are not labctl's",
            details="\n".join(taken),
            remedy="Nothing was made or changed. Rename or remove them, or give the team another name.",
        )


def _identities(home: Home, site: Site, teams: Sequence[str], topology: Topology | None, stage: str) -> list[LabRecord]:
    taken = [record.mgmt for record in home.records()]
    taken += [subnet for network in site.networks.values() for subnet in network.subnets]
    taken += site.dialer.routes()
    records = []
    for team in teams:
        record = home.lab(team).load()
        if record is None:
            if topology is None:
                raise InputError(f"{team} has no lab yet", remedy=f"labctl create {team} --topology gridka")
            record = _new(home, site, team, topology, stage, taken)
            taken.append(record.mgmt)
        else:
            _check_same(record, site, topology)
        records.append(record)
    return records


def _new(home: Home, site: Site, team: str, topology: Topology, stage: str, taken: list[IPNetwork]) -> LabRecord:
    settings = site.settings.mgmt

    return LabRecord(
        team=team,
        lab=uuid.uuid4(),
        owner=home.owner,
        host=site.name,
        mgmt=addresses.lease(settings.pool, settings.prefix, taken, own=topology.subnets),
        topology=topology.document(),
        digest=topology.digest,
        stage=stage,
        virt=site.virt,
        golden=_golden(site, topology, stage),
    )


def _golden(site: Site, topology: Topology, stage: str) -> str:
    """Return the ID of the newest golden set of this topology and stage; empty where there is none.

    Raises:
        InputError: the topology has no cloud, and one is wanted.
    """
    if stage == INSTALLED and topology.openstack is None:
        raise InputError(
            f"topology {topology.name} has no cloud to install",
            remedy='Give it a section "openstack" and its nodes roles, or leave --stage out.',
        )
    matching = [
        golden
        for golden in site.golden.every(site.volumes)
        if (golden.digest, golden.stage) == (topology.digest, stage)
    ]
    return matching[-1].id if matching else ""


def _check_same(record: LabRecord, site: Site, topology: Topology | None) -> None:
    if record.host != site.name:
        raise RefusedError(
            f"{record.team} has a lab on host {record.host}, not on {site.name}",
            remedy=f"Leave --host out, or labctl destroy {record.team} first.",
        )
    if topology is not None and topology.digest != record.digest:
        differences = diff.differences(record.topology, topology.document())
        raise RefusedError(
            f"{record.team} has a lab of another topology",
            details="\n".join(differences),
            remedy=f"labctl destroy {record.team}, then create it again; or create another team.",
        )


def _begin(site: Site, record: LabRecord) -> Begun:
    planned = plan_of(record)
    if record.golden:
        images = _golden_images(site, record, planned)
        wanted = set()
    else:
        images = {}
        wanted = {node.image for node in planned.nodes}
    every = site.images.every(site.volumes)
    by_volume = {image.volume: image for image in every}
    newest = {image.manifest.name: image for image in every}
    for name in sorted(wanted):
        # A lab stays on the image that it was made from, for its other nodes stand on it.
        image = by_volume.get(record.images.get(name, "")) or newest.get(name)
        if image is None:
            raise InputError(
                f"the host has no image {name}",
                details="Images there are: " + (", ".join(sorted(newest)) or "none"),
                remedy=f"labctl image build {name}" if name in recipe.names() else f"labctl image import {name} FILE",
            )
        images[name] = image
    if planned.openstack and (medium := planned.openstack.medium):
        held = by_volume.get(record.images.get(medium, "")) or newest.get(medium)
        images |= {medium: held} if held else {}
    volumes = {name: image.volume for name, image in images.items()}
    return Begun(plan=planned, record=replace(record, images=record.images | volumes), images=images)


def _golden_images(site: Site, record: LabRecord, planned: LabPlan) -> dict[str, Image]:
    """Return the disks of a lab's golden set as the images that its nodes stand on.

    Raises:
        InputError: the set is gone.
    """
    found = next((golden for golden in site.golden.every(site.volumes) if golden.id == record.golden), None)
    if found is None:
        raise InputError(
            f"the golden set that the lab of {record.team} stands on is gone",
            remedy=f"labctl destroy {record.team}, then create it again.",
        )
    images = {}
    for node in planned.nodes:
        disk = found.disks[node.name]
        manifest = Manifest(
            name=node.image,
            sha256=disk.sha256,
            size=disk.size,
            virtual_size=disk.virtual_size,
            os_info=found.os_info,
            created=found.created,
            source=f"golden set {found.name}",
        )
        images[node.image] = Image(manifest=manifest, volume=disk.volume, path=site.volumes[disk.volume].path)
    return images


def _check_capacity(site: Site, labs: Sequence[Begun], *, overcommit: bool) -> tuple[str, ...]:
    """Compare what the nodes that do not run yet will need with what the host has left; return remarks."""
    missing = [
        replace(lab.plan, nodes=tuple(node for node in lab.plan.nodes if not _runs(site, node.domain))) for lab in labs
    ]
    need = capacity.need([lab for lab in missing if lab.nodes], site.virt)
    return capacity.judge(need, left(site), overcommit) if need.nodes else ()


def _runs(site: Site, domain: str) -> bool:
    return domain in site.domains and site.domains[domain].state.active


def left(site: Site) -> capacity.Capacity:
    """Return what the host has left for new guests; running guests count with all the memory they may come to use."""
    running = [domain for domain in site.domains.values() if domain.state.active]
    promised = sum(domain.memory + capacity.overhead(domain.virt) for domain in running)
    return capacity.Capacity(
        memory=min(site.host.memory - promised, site.host.available),
        cpus=site.host.cpus,
        vcpus=sum(domain.vcpus for domain in running),
        disk=site.pool.available,
    )
