"""Restores nodes from captured memory, and gives them the identity of their own lab."""

from __future__ import annotations

import io
import secrets
import threading
from dataclasses import replace

from labctl.errors import AlreadyExistsError, RemoteError
from labctl.plan.model import NodePlan
from labctl.render import fork, identity, xml
from labctl.render.seed import SeedKeys
from labctl.sets.manifest import GoldenMachine, GoldenManifest, GoldenMemory
from labctl.site.site import Site
from labctl.site.work import Work
from labctl.state.ledger import Ledger

_QUEUE = 600.0  # seconds to wait until other labs have read the head of a memory image


def machine_of(site: Site) -> GoldenMachine:
    """Return what memory that is captured on this host depends on."""
    return GoldenMachine(
        virt=site.virt,
        qemu=".".join(map(str, site.host.qemu)),
        processor=site.hypervisor.processor() if site.virt == "kvm" else "",
    )


def obstacle(site: Site, golden: GoldenManifest) -> str:
    """Say why the memory of a set cannot be restored on this host; empty when it can, or when the set has none."""
    if not golden.memory or golden.machine is None:
        return ""
    here = machine_of(site)
    differences = [
        f"{what} is {ours or 'none'} here and was {theirs or 'none'}"
        for what, ours, theirs in (
            ("virtualisation", here.virt, golden.machine.virt),
            ("QEMU", here.qemu, golden.machine.qemu),
            ("the processor", here.processor, golden.machine.processor),
        )
        if ours != theirs
    ]
    return (
        f"the memory of golden set {golden.name} fits another machine: {', '.join(differences)}" if differences else ""
    )


def restore(work: Work, ledger: Ledger, node: NodePlan, memory: GoldenMemory, own: str) -> None:
    """Start a defined domain from a memory image, paused.

    One image serves every lab: its head is written for this domain, then libvirt reads it. Both happen under a lock of
    this installation. Where another one has labs on the host, which knows nothing of that lock, the image is copied
    first. Whoever comes here has its lab's networks on the host already, so of two at least the second sees the first.

    Args:
        own: the domain's own document.

    Raises:
        CapacityError: the pool has no room for a copy.
        HypervisorError: the image is damaged or does not fit; the domain is as it was, defined and off.
    """
    site, home = work.site, work.home
    pool = site.settings.pool.name
    cookie = fork.cookie(memory.cookie)
    head = replace(memory.head.of(fork.document(memory.document, own)), cookie=cookie).encode()
    with home.lock("memory", memory.volume, wait=_QUEUE):
        networks = site.hypervisor.networks().values()
        if not any(network.owner and network.owner.owner != home.owner for network in networks):
            site.hypervisor.upload(pool, memory.volume, io.BytesIO(head), len(head))
            return site.hypervisor.restore_domain(site.volumes[memory.volume].path)
    return _restore_copy(site, ledger, memory.volume, f"{node.domain}.memory", head)


def _restore_copy(site: Site, ledger: Ledger, volume: str, copied: str, head: bytes) -> None:
    """Start a domain from a copy of a memory image, which is deleted then."""
    pool = site.settings.pool.name
    ours = copied in ledger.record.volumes  # an earlier run ended here
    ledger.claim({copied})
    if ours:
        site.hypervisor.remove_volume(pool, copied)
    try:
        site.hypervisor.copy_volume(pool, volume, xml.volume_xml(copied, "raw", 0))
    except AlreadyExistsError:
        ledger.disown(copied)
        raise
    try:
        site.hypervisor.upload(pool, copied, io.BytesIO(head), len(head))
        site.hypervisor.restore_domain(site.hypervisor.volumes(pool)[copied].path)
    finally:
        site.hypervisor.remove_volume(pool, copied)
        ledger.disown(copied)


def identify(site: Site, node: NodePlan, keys: SeedKeys, cancelled: threading.Event, *, alone: bool) -> None:
    """Give a restored guest the clock, the keys, the machine ID and the lease of its node.

    Args:
        alone: whether other nodes of its lab went on meanwhile.

    Raises:
        DeadlineError: its agent did not answer.
        RemoteError: the guest could not be changed.
    """
    script = identity.script(node, keys, entropy=secrets.token_hex(64), alone=alone)
    said = site.hypervisor.run_inside(
        node.uuid, "exec sh -s", stdin=script.encode(), timeout=site.pace.identity, cancelled=cancelled
    )
    if said.exit_code:
        raise RemoteError(
            f"{node.domain}: the restored guest could not be made this lab's",
            details=said.stderr.strip(),
            remedy=f"labctl reset {node.name} -t {node.team} --cold boots it instead.",
        )
