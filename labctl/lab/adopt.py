"""Gives labs that lost their record a new one, from the metadata of their objects and what their disks stand on."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial

from labctl.errors import InputError, LabctlError, RefusedError
from labctl.lab import orphans, ready, secrets
from labctl.lab.orphans import Orphan
from labctl.plan.lab import INSTALLED
from labctl.plan.model import LabPlan, NodePlan
from labctl.render.seed import SeedKeys
from labctl.sets import store, warm
from labctl.site.progress import Phase
from labctl.site.site import Site
from labctl.site.work import Work
from labctl.spec import topology as topologies
from labctl.spec.topology import Topology
from labctl.state import Home, LabRecord, records
from labctl.state.ledger import Ledger

_GREETING = 20.0  # seconds that a node has to greet us


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """A lab that has a record again.

    Attributes:
        ready: nodes that run and let us in.
        locked: nodes that do not, because the lab's keys were lost: a reset gives them the new ones.
    """

    team: str
    ready: tuple[str, ...]
    locked: tuple[str, ...]


def adopt(work: Work, orphan: Orphan, topology: Topology | None) -> Adopted:
    """Write a record for a lab that has none, and give its running nodes new keys where the old ones are lost.

    Args:
        topology: what the lab was made from; None looks for it in other records, golden sets and what is shipped.

    Raises:
        InputError: that topology is not known, or is another one.
        RefusedError: the team has another lab on record.
        LabctlError: the objects are not those that the record would stand for.
    """
    home, site = work.home, work.site
    with records.locked(home, [orphan.team]):
        folder = home.lab(orphan.team)
        if orphans.sound(home, orphan.team) is not None:
            raise RefusedError(
                f"{orphan.team} has another lab on record",
                remedy="labctl destroy --orphans removes the one without a record.",
            )
        record = _record(site, orphan, _topology(home, site, orphan, topology))
        plan = records.plan_of(record)
        _check(orphan, plan)
        kept = folder.read("host-keys.json") is not None and folder.read("id_ed25519") is not None
        folder.save(record)
        keys = secrets.ensure(folder, plan)
        ledger = Ledger(folder, record)
        locked: list[str] = []

        def let_in(node: NodePlan) -> None:
            if not _lets_in(site, node, orphan, None if kept else keys[node.name], work.cancelled):
                locked.append(node.name)
                return
            ledger.ready(node)
            work.progress.node(plan.team, node.name, Phase.READY)

        work.together(
            (partial(let_in, node) for node in plan.nodes if node.name in orphan.domains),
            brief=f"{orphan.team} is not completely adopted",
            remedy=f"labctl status {orphan.team}",
        )
        shut_out = () if kept else tuple(sorted(locked))
        return Adopted(team=orphan.team, ready=tuple(sorted(ledger.record.ready)), locked=shut_out)


def _lets_in(site: Site, node: NodePlan, orphan: Orphan, keys: SeedKeys | None, cancelled: threading.Event) -> bool:
    """Whether a node runs and answers, with new keys where there are any."""
    if str(orphan.domains[node.name].state) != "running":
        return False
    if keys is None:
        return ready.answers(site, node, timeout=_GREETING)
    try:
        warm.identify(site, node, keys, cancelled, alone=True)
    except LabctlError:
        return False
    return True


def _topology(home: Home, site: Site, orphan: Orphan, given: Topology | None) -> Topology:
    """Return the topology that a lab was made from: its digest tells.

    Raises:
        InputError: it is not to be found.
    """
    if given is not None:
        if given.digest != orphan.digest:
            raise InputError(
                f"the lab of {orphan.team} was made from another topology than {given.name} in that file",
                details=f"It was called {orphan.topology}.",
                remedy=f"Find the original file, or labctl destroy --orphans {orphan.team}",
            )
        return given
    documents = [record.topology for record in home.records() if record.digest == orphan.digest]
    documents += [dict(each.spec) for each in store.golden(site).every(site.volumes) if each.digest == orphan.digest]
    if documents:
        return topologies.restore(documents[0])
    if orphan.topology in topologies.shipped():
        shipped = topologies.load(orphan.topology)
        if shipped.digest == orphan.digest:
            return shipped
    raise InputError(
        f"the topology that the lab of {orphan.team} was made from is not known here",
        details=f"It was called {orphan.topology}.",
        remedy=f"labctl adopt {orphan.team} --topology FILE",
    )


def _record(site: Site, orphan: Orphan, topology: Topology) -> LabRecord:
    marks = {name: domain.owner for name, domain in orphan.domains.items() if domain.owner}
    nat = [network for network in orphan.networks if network.subnets]
    if not marks or not nat:
        raise LabctlError(
            f"too little is left of the lab of {orphan.team}",
            details="Its management network and one of its nodes must be there.",
            remedy=f"labctl destroy --orphans {orphan.team}",
        )
    stage = next(iter(marks.values())).stage
    sets = {disk.volume: golden for golden in store.golden(site).every(site.volumes) for disk in golden.disks.values()}
    images = {image.volume: image.manifest.name for image in site.images.every(site.volumes)}
    bases = {node: _base(site, domain.disks.get("vda", "")) for node, domain in orphan.domains.items()}
    golden = next((sets[base] for base in bases.values() if base in sets), None)
    bare = [node for node, base in bases.items() if _bare(topology, node, images.get(base), golden is not None)]
    return LabRecord(
        team=orphan.team,
        lab=orphan.lab,
        owner=next(iter(marks.values())).owner,
        host=site.name,
        mgmt=nat[0].subnets[0],
        topology=topology.document(),
        digest=topology.digest,
        stage=stage,
        virt="kvm" if any(domain.virt == "kvm" for domain in orphan.domains.values()) else "qemu",
        images={images[base]: base for base in bases.values() if base in images},
        generations={node: mark.generation for node, mark in marks.items() if mark.generation},
        volumes=orphan.volumes,
        golden=golden.id if golden else "",
        installed=golden is not None and stage == INSTALLED and bool(golden.memory),
        nested=dict(golden.nested) if golden else {},
        bare=tuple(sorted(bare)) if stage == INSTALLED else (),
        label=_label(orphan),
        chapter=golden.chapter if golden else "",
        reached=golden.chapter if golden else "",
    )


def _label(orphan: Orphan) -> str:
    """Return how the names of a lab's objects begin; empty where that is its team's name."""
    node, domain = next(iter(orphan.domains.items()))
    stem = domain.name.removesuffix(f"-{node}")
    return stem if stem != orphan.team and f"{stem}-{node}" == domain.name else ""


def _base(site: Site, path: str) -> str:
    """Return the volume that a disk stands on; empty for none that is known."""
    names = {volume.path: volume.name for volume in site.volumes.values()}
    disk = site.volumes.get(names.get(path, path))
    return names.get(disk.backing or "", "") if disk else ""


def _bare(topology: Topology, node: str, image: str | None, golden: bool) -> bool:
    """Whether a node of an installed lab stands on the image of stage bare."""
    cloud = topology.openstack
    own = node in topology.nodes and image == topology.nodes[node].image
    return own and (golden or (cloud is not None and image != cloud.image))


def _check(orphan: Orphan, plan: LabPlan) -> None:
    """Refuse a record whose plan has other objects than there are."""
    planned = {node.name: node.uuid for node in plan.nodes}
    strange = [domain.name for node, domain in orphan.domains.items() if planned.get(node) != domain.uuid]
    networks = {network.uuid for network in plan.networks}
    strange += [network.name for network in orphan.networks if network.uuid not in networks]
    if strange:
        raise LabctlError(
            f"objects of {orphan.team} are not what their metadata says",
            details=", ".join(strange),
            remedy=f"labctl destroy --orphans {orphan.team}",
        )
