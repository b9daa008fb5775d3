"""Decides what a lab will be and whether it may be: identity, plan, and every check before the first object."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from netaddr import IPNetwork

from labctl.errors import ForeignObjectError, InputError, RefusedError
from labctl.images import recipe
from labctl.images.golden import GoldenManifest, GoldenMemory
from labctl.images.store import Image, Manifest
from labctl.lab import nodes, room
from labctl.lab import warm as warm_start
from labctl.lab.nodes import Ledger
from labctl.lab.site import Site
from labctl.plan import addresses, diff, names
from labctl.plan.lab import INSTALLED, plan
from labctl.plan.model import Identity, LabPlan
from labctl.spec.topology import Topology, restore
from labctl.state import MOMENT, Home, LabFolder, LabRecord


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A lab that is decided upon.

    Attributes:
        images: what its overlays stand on, by name.
        golden: the golden set that it stands on, where it stands on one.
        snapshot: its own snapshot that it is being taken back to, if any.
        obstacle: why the memory of either cannot be used here; empty where it can, or where there is none.
    """

    plan: LabPlan
    record: LabRecord
    images: dict[str, Image]
    golden: GoldenManifest | None = None
    snapshot: GoldenManifest | None = None
    obstacle: str = ""

    @property
    def memory(self) -> dict[str, GoldenMemory]:
        """The memory that nodes are restored from, by node; the others boot."""
        if self.snapshot is not None:
            return {} if self.obstacle else dict(self.snapshot.memory)
        if self.golden is None or self.obstacle or self.record.cold:
            return {}
        return {node: memory for node, memory in self.golden.memory.items() if node not in self.record.bare}

    def pending(self, site: Site) -> LabPlan:
        """Return its plan with the nodes alone that are still to be made, or that nobody has seen ready yet."""
        record, ready = self.record, self.record.ready
        chosen = (
            node
            for node in self.plan.nodes
            if nodes.missing(site, record, node) or ready.get(node.name) != node.generation
        )
        return replace(self.plan, nodes=tuple(chosen))

    def ledger(self, folder: LabFolder) -> Ledger:
        """Return the ledger to work with."""
        return Ledger(folder, self.record)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What new labs start from.

    Attributes:
        stage: bare or installed.
        golden: name of a golden set; None takes the newest that matches, if there is one.
        cold: boot, whatever memory there is.
    """

    stage: str = "bare"
    golden: str | None = None
    cold: bool = False


@contextlib.contextmanager
def locked(home: Home, teams: Iterable[str]) -> Iterator[None]:
    """Hold the locks of all these teams' labs, in one order for everybody.

    Raises:
        LockedError: another process works on one of them.
    """
    with contextlib.ExitStack() as stack:
        for team in sorted(set(teams)):
            stack.enter_context(home.lock("lab", team))
        yield


def decide(
    home: Home,
    site: Site,
    teams: Sequence[str],
    topology: Topology | None,
    *,
    choice: Choice,
    overcommit: bool,
    held: contextlib.ExitStack | None,
    say: Callable[[str], None],
) -> list[Begun]:
    """Plan a lab for each team and refuse what cannot or must not be, before anything is made.

    Args:
        topology: None stands for the topology that each lab has already.
        choice: what new labs start from.
        overcommit: go on where the host has too little memory, processors or disk.
        held: keeps what the labs take reserved until their nodes run; None for a dry run, which records nothing.
        say: receives remarks on what may become short.

    Raises:
        InputError: no topology for a new lab, or no such image; or two labs would have objects of the same name.
        RefusedError: a lab differs from its topology, is on another host, or a foreign object has its name.
        CapacityError: the host has not enough of something.
    """
    with home.lock("home", "leases", wait=MOMENT):
        records = _identities(home, site, teams, topology, choice)
        begun = [_begin(site, record) for record in records]
        names.refuse_shared(lab.plan for lab in begun)
        refuse_foreign(site, begun)
        for lab in begun:
            _check_snapshot(lab)
        for remark in sorted({lab.obstacle for lab in begun if lab.obstacle and (lab.snapshot or not lab.record.cold)}):
            say(f"{remark}; the nodes boot instead")
        pending = [lab.pending(site) for lab in begun]
        for remark in room.reserve_locked(home, site, pending, overcommit=overcommit, held=held):
            say(remark)
        if held is not None:
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


def check_images(site: Site, record: LabRecord) -> None:
    """See that the host has all that a lab of that record stands on.

    Raises:
        InputError: it lacks an image, or the golden set.
    """
    _begin(site, record)


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
    return plan(restore(record.topology), identity, stage=record.stage, golden=record.golden, bare=record.bare)


def refuse_foreign(site: Site, labs: Iterable[Begun]) -> None:
    """Raise ForeignObjectError when anything on the host bears a name that we want and is not ours."""
    taken = [each for lab in labs for each in nodes.foreign(site, lab.plan, lab.record)]
    if taken:
        raise ForeignObjectError(
            "the host has objects with names that this lab needs, and they are not labctl's",
            details="\n".join(taken),
            remedy="Nothing was made or changed. Rename or remove them, or give the team another name.",
        )


def _identities(
    home: Home, site: Site, teams: Sequence[str], topology: Topology | None, choice: Choice
) -> list[LabRecord]:
    taken = [record.mgmt for record in home.records()]
    taken += [subnet for network in site.networks.values() for subnet in network.subnets]
    taken += site.dialer.routes()
    records = []
    for team in teams:
        record = home.lab(team).load()
        if record is None:
            if topology is None:
                raise InputError(f"{team} has no lab yet", remedy=f"labctl create {team} --topology gridka")
            record = _new(home, site, team, topology, choice, taken)
            taken.append(record.mgmt)
        else:
            _check_same(record, site, topology)
            _check_choice(record, site, choice)
            record = _leased_again(site, record, taken)
        records.append(record)
    return records


def _leased_again(site: Site, record: LabRecord, taken: Sequence[IPNetwork]) -> LabRecord:
    """Return the record; its subnet is another one where somebody else's network is on it and nothing runs yet.

    Another installation of labctl on the same host may have chosen that subnet at the same time, and been faster.
    """
    lab = plan_of(record)
    own = {network.uuid for network in lab.networks}
    nodes = {node.uuid for node in lab.nodes}
    begun = any(network.uuid in own and network.active for network in site.networks.values())
    if begun or any(domain.uuid in nodes for domain in site.domains.values()):
        return record
    others = [subnet for each in site.networks.values() if each.uuid not in own for subnet in each.subnets]
    if not any(addresses.overlaps(record.mgmt, subnet) for subnet in others):
        return record
    settings = site.settings.mgmt
    inner = restore(record.topology).subnets
    return replace(record, mgmt=addresses.lease(settings.pool, settings.prefix, taken, own=inner))


def _new(home: Home, site: Site, team: str, topology: Topology, choice: Choice, taken: list[IPNetwork]) -> LabRecord:
    settings = site.settings.mgmt
    golden = _golden(site, topology, choice)
    return LabRecord(
        team=team,
        lab=uuid.uuid4(),
        owner=home.owner,
        host=site.name,
        mgmt=addresses.lease(settings.pool, settings.prefix, taken, own=topology.subnets),
        topology=topology.document(),
        digest=topology.digest,
        stage=choice.stage,
        virt=site.virt,
        golden=golden.id if golden else "",
        cold=choice.cold,
    )


def _golden(site: Site, topology: Topology, choice: Choice) -> GoldenManifest | None:
    """Return the golden set that a new lab stands on: the one that is named, else the newest that matches.

    Sets whose memory can be restored come before others; to boot, a set that was never captured running is better,
    and at stage bare a base image is.

    Raises:
        InputError: the topology has no cloud, and one is wanted; or the set that is named does not match.
    """
    if choice.stage == INSTALLED and topology.openstack is None:
        raise InputError(
            f"topology {topology.name} has no cloud to install",
            remedy='Give it a section "openstack" and its nodes roles, or leave --stage out.',
        )
    if choice.golden is not None:
        named = site.golden.named(choice.golden, site.volumes)
        if (named.digest, named.stage) != (topology.digest, choice.stage):
            raise InputError(
                f"golden set {named.name} is of topology {named.topology}, stage {named.stage}",
                details=f"Wanted is {topology.name}, stage {choice.stage}, exactly as it is in the topology's file.",
                remedy=f"labctl create TEAM --from {choice.golden} without --topology and --stage takes the set's own.",
            )
        return named
    matching = [
        golden
        for golden in site.golden.every(site.volumes)
        if (golden.digest, golden.stage) == (topology.digest, choice.stage)
    ]
    warm = [golden for golden in matching if golden.memory and not warm_start.obstacle(site, golden)]
    if choice.cold:
        matching = [golden for golden in matching if not golden.memory] or matching
        return matching[-1] if matching and choice.stage == INSTALLED else None
    found = warm or [golden for golden in matching if choice.stage == INSTALLED]
    return found[-1] if found else None


def _check_choice(record: LabRecord, site: Site, choice: Choice) -> None:
    """Refuse to go on with a lab from another golden set than it was begun with."""
    if choice.golden is not None and site.golden.named(choice.golden, site.volumes).id != record.golden:
        raise RefusedError(
            f"the lab of {record.team} does not stand on golden set {choice.golden}",
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
            details="A lab's nodes are all made alike: memory of a golden set fits one kind alone.",
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


def _begin(site: Site, record: LabRecord) -> Begun:
    planned = plan_of(record)
    golden = _golden_of(site, record)
    images = _golden_images(site, golden) if golden else {}
    wanted = {node.image for node in planned.nodes} - images.keys()
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
    snapshots = site.snapshots.every(site.volumes) if record.restoring else []
    snapshot = next((each for each in snapshots if each.id == record.restoring), None)
    source = snapshot or golden
    return Begun(
        plan=planned,
        record=replace(record, images=record.images | volumes),
        images=images,
        golden=golden,
        snapshot=snapshot,
        obstacle=warm_start.obstacle(site, source) if source else "",
    )


def _check_snapshot(lab: Begun) -> None:
    """Refuse to make nodes of a lab that is being taken back to a snapshot which is gone."""
    if lab.record.restoring and lab.snapshot is None:
        raise InputError(
            f"the snapshot that the lab of {lab.plan.team} was being taken back to is gone",
            remedy=f"labctl reset -t {lab.plan.team} --all gives the lab as it was made.",
        )


def _golden_of(site: Site, record: LabRecord) -> GoldenManifest | None:
    """Return the golden set that a lab stands on; None where none of its nodes does.

    Raises:
        InputError: the set is gone, and nodes stand on it.
    """
    if not record.golden:
        return None
    found = next((golden for golden in site.golden.every(site.volumes) if golden.id == record.golden), None)
    if found is None and not set(restore(record.topology).nodes) <= set(record.bare):
        raise InputError(
            f"the golden set that the lab of {record.team} stands on is gone",
            remedy=f"labctl destroy {record.team}, then create it again.",
        )
    return found


def _golden_images(site: Site, golden: GoldenManifest) -> dict[str, Image]:
    """Return the disks of a golden set as images that overlays stand on."""
    return {
        f"{golden.id}/{name}": Image(
            manifest=Manifest(
                name=f"{golden.id}/{name}",
                sha256=disk.sha256,
                size=disk.size,
                virtual_size=disk.virtual_size,
                os_info=golden.os_info,
                created=golden.created,
                source=f"golden set {golden.name}",
            ),
            volume=disk.volume,
            path=site.volumes[disk.volume].path,
        )
        for name, disk in golden.disks.items()
    }
