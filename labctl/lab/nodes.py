"""Makes and removes the parts of one lab: the steps that create, reset and destroy are composed of.

Order is the safety net. A node's volumes are made before its domain is defined, so a domain that exists has whole
volumes; whatever an interrupted run left without a domain is made again. Removal goes the other way round.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePosixPath

from labctl.errors import AlreadyExistsError, ForeignObjectError, LabctlError, RefusedError
from labctl.hypervisor import DomainFacts
from labctl.images.store import Image
from labctl.plan.model import LabPlan, NodePlan
from labctl.render import seed, xml
from labctl.roles.role import ROLES
from labctl.sets.sources import SourcedLab
from labctl.site.site import Site
from labctl.state import LabRecord
from labctl.state.ledger import Ledger
from labctl.state.records import Lab

_PATCHES_WELL = (8, 1, 0)
"""The first QEMU whose emulated processors take code that another one patches as it is. With an older one a second
processor may run a breakpoint that is gone, and Linux panics ("Oops: int3"; Red Hat's bug 2216496). Nested KVM patches
the kernel with each virtual machine that comes or goes."""


def anothers(record: LabRecord, node: NodePlan) -> bool:
    """Whether a restored node still has the captured lab's identity, because its run was interrupted."""
    restored = record.restored.get(node.name) == node.generation
    return restored and record.identified.get(node.name) != node.generation


def make_node(site: Site, ledger: Ledger, lab: SourcedLab, node: NodePlan, keys: seed.SeedKeys) -> None:
    """Make a node's volumes anew and define its domain. The caller has claimed the volumes.

    Disks are overlays of the lab's images; where the lab is taken back to a snapshot, copies of the snapshot's.

    Raises:
        ForeignObjectError: somebody made an object of that name since we looked.
    """
    images, copies = lab.images, lab.snapshot.copies(node) if lab.snapshot else {}
    for disk in node.disks:
        if disk.volume in copies:
            _make_volume(site, ledger, disk.volume, xml.volume_xml(disk.volume, "raw", 0), copies[disk.volume])
            continue
        base = images.get(disk.image or "")
        # An overlay that is smaller than its base would cut the base's file system off.
        room = replace(disk, capacity=max(disk.capacity, base.manifest.virtual_size if base else 0))
        _make_volume(site, ledger, disk.volume, xml.disk_xml(room, backing=base.path if base else None))
    content = seed.iso(seed.documents(node, lab.plan, keys=keys))
    _make_volume(site, ledger, node.seed, xml.volume_xml(node.seed, "raw", len(content)), content=content)
    _make_volume(site, ledger, node.console, xml.volume_xml(node.console, "raw", 0))
    try:
        site.hypervisor.define_domain(document(site, lab.plan, node, images=images))
    except AlreadyExistsError as exc:
        raise ForeignObjectError(f"domain {node.domain} exists now, and labctl did not make it") from exc


def document(site: Site, lab: LabPlan, node: NodePlan, *, images: dict[str, Image]) -> str:
    """Return the XML document of a node's domain."""
    medium = images.get(lab.openstack.medium or "") if lab.openstack else None
    nests = _nests(site, lab, node)
    machine = replace(
        site.machine,
        os_info=images[node.image].manifest.os_info,
        cpu="maximum" if nests else site.machine.cpu,  # it offers SVM
        lacks=_lacks(site, node),
        medium=PurePosixPath(medium.path) if medium else None,
    )
    # A node that carries the control plane, too, cannot do with one processor.
    if nests and site.host.qemu < _PATCHES_WELL and all(ROLES[role].nests for role in node.roles):
        node = replace(node, vcpus=1)
    return xml.domain_xml(node, lab, machine=machine)


def remove_node(site: Site, ledger: Ledger, node: NodePlan) -> None:
    """Power a node off and remove its domain, then its volumes."""
    site.hypervisor.remove_domain(node.uuid)
    for volume in sorted(node.volumes & set(ledger.record.volumes)):
        site.hypervisor.remove_volume(site.settings.pool.name, volume)


def belongs(domain: DomainFacts, lab: LabPlan, node: NodePlan) -> bool:
    """Whether a domain is this lab's: its UUID *and* its metadata say so."""
    owner = domain.owner
    return (
        domain.uuid == node.uuid
        and owner is not None
        and owner.owner == lab.identity.owner
        and owner.lab == lab.identity.lab
    )


def missing(site: Site, record: LabRecord, node: NodePlan) -> bool:
    """Whether a node must be made: it has no domain, or a domain that cannot become it."""
    domain = site.domains.get(node.domain)
    return domain is None or unfinished(record, node, domain)


def unfinished(record: LabRecord, node: NodePlan, domain: DomainFacts) -> bool:
    """Whether an interrupted run left a domain that cannot become the node.

    The domain still has another lab's identity, or a reset should have removed it. The domain's metadata says its own
    generation, the record the next one.
    """
    if record.ready.get(node.name) == node.generation:
        return False
    return anothers(record, node) or (domain.owner is not None and domain.owner.generation < node.generation)


def refuse_unfinished(site: Site, lab: LabPlan, record: LabRecord, names: Iterable[str]) -> None:
    """Raise RefusedError where one of these nodes is about to be made anew."""
    chosen, domains = set(names), site.domains
    found = [node for node in lab.nodes if node.name in chosen and node.domain in domains]
    if left := [node.name for node in found if unfinished(record, node, domains[node.domain])]:
        raise RefusedError(
            f"{', '.join(left)} of {lab.team} {'is' if len(left) == 1 else 'are'} incomplete",
            details="A reset or a create was interrupted.",
            remedy=f"labctl create {lab.team} completes {'it' if len(left) == 1 else 'them'}.",
        )


def refuse_foreign(site: Site, labs: Iterable[Lab]) -> None:
    """Raise ForeignObjectError when anything on the host bears a name that we want and is not ours."""
    taken = [each for lab in labs for each in foreign(site, lab.plan, lab.record)]
    if taken:
        raise ForeignObjectError(
            "the host has objects with names that this lab needs, and they are not labctl's",
            details="\n".join(taken),
            remedy="Nothing was made or changed. Rename or remove them, or give the team another name.",
        )


def foreign(site: Site, lab: LabPlan, record: LabRecord) -> list[str]:
    """Name every object on the host that bears a name of this lab, or its UUID, and is not this lab's."""
    domains, networks = site.domains, site.networks
    taken = [
        f"domain {domain.name} ({domain.uuid})"
        for node in lab.nodes
        for domain in {each.uuid: each for each in (domains.get(node.domain), domains.of(node.uuid)) if each}.values()
        if not belongs(domain, lab, node)
    ]
    for network in lab.networks:
        own, named = networks.of(network.uuid), networks.get(network.name)
        rivals = [named] if named else []
        if own is None or not own.active:  # where it runs, nobody else has its bridge
            rivals += [each for each in networks.values() if each.bridge == network.bridge]
        others = {rival.uuid: rival.name for rival in rivals if rival.uuid != network.uuid}
        taken += [f"network {name} ({uuid})" for uuid, name in others.items()]
    names = set().union(*(node.volumes for node in lab.nodes))
    ours = set(record.volumes)
    taken += [
        f"volume {name} in pool {site.settings.pool.name}" for name in sorted(names - ours) if name in site.volumes
    ]
    return taken


def _nests(site: Site, lab: LabPlan, node: NodePlan) -> bool:
    """Is it an emulated node that is to run instances by nested KVM?"""
    wanted = lab.openstack is not None and lab.openstack.nested != "qemu"
    return site.virt == "qemu" and wanted and any(ROLES[role].nests for role in node.roles)


def _lacks(site: Site, node: NodePlan) -> tuple[str, ...]:
    """Return the features to take away from the processor of a node.

    The kernel of our images leaves `cmpxchg16b` alone (`clearcpuid`), which QEMU 7.2 emulates wrongly at times.
    """
    needed = {name for role in node.roles for name in ROLES[role].instructions}
    return tuple(name for name in site.machine.lacks if name not in needed)


def _make_volume(
    site: Site, ledger: Ledger, name: str, document: str, source: str | None = None, content: bytes = b""
) -> None:
    pool = site.settings.pool.name
    if name in ledger.earlier:  # an interrupted run may have left it, half made
        site.hypervisor.remove_volume(pool, name)
    try:
        if source is None:
            site.hypervisor.make_volume(pool, document, content)
        else:
            site.hypervisor.copy_volume(pool, source, document)
    except AlreadyExistsError as exc:
        if name in ledger.earlier:
            raise
        ledger.disown(name)
        raise ForeignObjectError(
            f"volume {name} in pool {pool} exists now, and labctl did not make it",
            remedy="Rename or remove it, or give the team another name.",
        ) from exc
    except LabctlError:
        site.hypervisor.remove_volume(pool, name)
        raise
