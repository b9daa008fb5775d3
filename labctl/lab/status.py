"""Tells what a lab is at this moment: read from libvirt, and asked of the nodes themselves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from netaddr import IPAddress

from labctl.lab import nodes, ready, trouble
from labctl.lab.trouble import Trouble
from labctl.plan.model import LabPlan, NodePlan
from labctl.sets import store
from labctl.sets.manifest import GoldenManifest
from labctl.site.site import Site
from labctl.state import Home, LabRecord, records

ABSENT = "absent"
"""State of a node that has no domain; the other states are libvirt's words."""

FOREIGN = "foreign"
"""State of a node whose name is borne by a domain that is not ours."""


@dataclass(frozen=True, kw_only=True)
class NodeStatus:
    """One node.

    Attributes:
        state: libvirt's word, `absent` or `foreign`.
        ready: whether it runs, finished its first boot well, and its SSH answers now.
        trouble: what is wrong with it; a node may be ready and have lost a network or a disk.
        addresses: network that has addresses to those that the node has there, card by card.
        memory: bytes of the host's memory that it takes now.
        disk: bytes of the pool that its own disks take now.
    """

    name: str
    domain: str
    state: str
    ready: bool
    trouble: Trouble | None
    addresses: dict[str, tuple[IPAddress, ...]]
    memory: int
    disk: int


@dataclass(frozen=True, kw_only=True)
class LabStatus:
    """One lab.

    Attributes:
        missing: networks that do not run or do not exist.
        installed: whether the cloud was brought up; None where the topology has none.
        nested: how instances run in each compute node, as far as the installer saw it.
        golden: name of the golden set that it stands on; empty for none, or where the set is gone.
        golden_id: its ID, which tells it from others of that name; empty for none.
        bare: nodes of an installed lab that stand at stage bare.
        reached: the last role up to which the cloud is installed, where it is not whole; empty for none.
        merged: bytes that same-page merging saves on the host now, with all labs on it.
    """

    team: str
    topology: str
    stage: str
    host: str
    virt: str
    nodes: tuple[NodeStatus, ...]
    missing: tuple[str, ...]
    installed: bool | None
    nested: dict[str, str]
    golden: str
    golden_id: str
    bare: tuple[str, ...]
    merged: int
    reached: str = ""


def status(home: Home, site: Site, team: str, *, timeout: float = 5.0) -> LabStatus:
    """Look at a team's lab.

    Args:
        timeout: seconds that a node has to greet us.

    Raises:
        InputError: the team has no lab.
    """
    record = records.record_of(home, team)
    plan = records.plan_of(record)
    known, resident = trouble.troubles(site, record, plan), site.hypervisor.resident()
    with ThreadPoolExecutor(max_workers=len(plan.nodes), thread_name_prefix="status") as executor:
        found = executor.map(
            lambda node: _node(site, plan, node, known.get(node.name), resident.get(node.uuid, 0), timeout), plan.nodes
        )
        return LabStatus(
            team=team,
            topology=plan.topology,
            stage=record.stage_name,
            host=record.host,
            virt=record.virt,
            installed=record.installed if plan.openstack else None,
            nested=record.nested,
            golden=next((each.name for each in _sets(site, record) if each.id == record.golden), ""),
            golden_id=record.golden,
            bare=record.bare,
            reached=record.reached,
            merged=site.hypervisor.merged(),
            nodes=tuple(found),
            missing=tuple(
                network.name
                for network in plan.networks
                if network.name not in site.networks or not site.networks[network.name].active
            ),
        )


def _sets(site: Site, record: LabRecord) -> list[GoldenManifest]:
    return store.golden(site).every(site.volumes) if record.golden else []


def state_of(site: Site, plan: LabPlan, node: NodePlan) -> str:
    """Return a node's state: libvirt's word, `absent` or `foreign`."""
    domain = site.domains.get(node.domain)
    if domain is None:
        return ABSENT
    return str(domain.state) if nodes.belongs(domain, plan, node) else FOREIGN


def _node(
    site: Site, plan: LabPlan, node: NodePlan, known: Trouble | None, resident: int, timeout: float
) -> NodeStatus:
    state = state_of(site, plan, node)
    own = [(nic.network, nic.address) for nic in node.nics if nic.address is not None]
    answers = (known is None or known.reachable) and state == "running" and ready.answers(site, node, timeout=timeout)
    return NodeStatus(
        name=node.name,
        domain=node.domain,
        state=state,
        ready=answers,
        trouble=known if known or answers else trouble.silent(plan, node),
        addresses={
            network.key: tuple(address for key, address in own if key == network.key)
            for network in plan.networks
            if network.subnet is not None
        },
        memory=resident if state not in (ABSENT, FOREIGN) else 0,
        disk=sum(site.volumes[disk.volume].allocation for disk in node.disks if disk.volume in site.volumes),
    )
