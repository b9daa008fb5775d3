"""Compares what labs are about to take with what their host has left, and reserves it until it shows there."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace

from labctl.hypervisor import DomainFacts, VolumeFacts
from labctl.plan import capacity
from labctl.plan.capacity import Capacity
from labctl.plan.model import LabPlan
from labctl.site.site import Site
from labctl.sizes import MIB
from labctl.state import MOMENT, Home, parsed


@dataclass(frozen=True, kw_only=True)
class _Promise:
    """What a node is about to take; see `capacity.Need`."""

    domain: str
    memory: int
    vcpus: int
    disk: int


@dataclass(frozen=True, kw_only=True)
class _Reservation:
    """What a command is about to take of a host."""

    host: str
    nodes: list[_Promise]


def reserve(
    home: Home, site: Site, labs: Sequence[LabPlan], *, overcommit: bool, held: ExitStack | None
) -> tuple[str, ...]:
    """Reserve what nodes take until they run, and refuse what does not fit.

    Commands that start nodes reserve one after the other, so two that do not fit together cannot both pass.

    Args:
        labs: with the nodes alone that are to run; those that run already take nothing more.
        overcommit: go on where the host has too little.
        held: what keeps the reservation; None only asks.

    Returns:
        Remarks on what may become short.

    Raises:
        CapacityError: the host has not enough of something.
    """
    with home.lock("home", "leases", wait=MOMENT):
        return reserve_locked(home, site, labs, overcommit=overcommit, held=held)


def reserve_locked(
    home: Home, site: Site, labs: Sequence[LabPlan], *, overcommit: bool, held: ExitStack | None
) -> tuple[str, ...]:
    """Do what `reserve` does, for a caller who holds the lock "leases"."""
    now = site.again()  # what was listed before others let go of the lock is old
    off = [replace(lab, nodes=tuple(node for node in lab.nodes if not _runs(now, node.domain))) for lab in labs]
    off = [lab for lab in off if lab.nodes]
    need = capacity.need(off, site.virt, made=now.domains)
    own = {node.domain for lab in labs for node in lab.nodes}
    remarks = capacity.judge(need, left(home, now, besides=own), overcommit) if need.nodes else ()
    if held is not None:
        held.enter_context(
            home.reserve(json.dumps(asdict(_Reservation(host=site.name, nodes=list(_promises(site, labs))))))
        )
    return remarks


def left(home: Home, site: Site, *, besides: Collection[str] = ()) -> Capacity:
    """Return what a host has left for new guests.

    What was promised counts as taken: all memory of running guests, the size that disks of labs are likely to reach,
    and what other commands have reserved. Guests may write to merged pages at any time, so a part alone of what
    merging saves counts as left.

    Args:
        besides: domains whose reservations do not count: they are what is asked for.
    """
    running = [domain for domain in site.domains.values() if domain.state.active]
    reserved = [promise for promise in _reserved(home, site) if promise.domain not in besides]
    reserved = [promise for promise in reserved if not _runs(site, promise.domain)]
    making = [promise for promise in reserved if promise.domain not in site.domains]
    memory, resident = sum(promise.memory for promise in reserved), site.hypervisor.resident()
    risky = int(site.hypervisor.merged() * (1 - capacity.MERGED)) // MIB
    untouched = sum(_untouched(domain, resident.get(domain.uuid, 0)) for domain in running)
    return Capacity(
        memory=site.host.available - untouched - memory - risky,
        cpus=site.host.cpus,
        vcpus=sum(domain.vcpus for domain in running) + sum(promise.vcpus for promise in reserved),
        disk=site.room().available - _growth(site) - sum(promise.disk for promise in making),
        reserved=memory,
        merged=risky,
    )


def _untouched(domain: DomainFacts, resident: int) -> int:
    """Return how many MiB more a running guest may use, given the bytes that it uses now."""
    stage = domain.owner.stage if domain.owner else ""
    promised = domain.memory + capacity.overhead(domain.virt, stage)
    return max(0, promised - resident // MIB)


def _growth(site: Site) -> int:
    """Return by how many bytes the disks of all labs are still likely to grow."""
    volumes = {volume.path: volume for volume in site.volumes.values()}
    disks: Iterator[tuple[str, VolumeFacts, str]] = (
        (device, volumes[path], domain.owner.stage)
        for domain in site.domains.values()
        if domain.owner
        for device, path in domain.disks.items()
        if device.startswith("vd") and path in volumes
    )
    return sum(
        max(0, capacity.likely(device, volume.capacity, stage) - volume.allocation) for device, volume, stage in disks
    )


def _promises(site: Site, labs: Sequence[LabPlan]) -> Iterator[_Promise]:
    for lab in labs:
        for node in lab.nodes:
            need = capacity.need([replace(lab, nodes=(node,))], site.virt)
            yield _Promise(domain=node.domain, memory=need.memory, vcpus=need.vcpus, disk=need.disk)


def _reserved(home: Home, site: Site) -> Iterator[_Promise]:
    for text in home.reservations():
        try:
            reservation = parsed(text, _Reservation)
        except ValueError:
            continue  # its holder met a full disk
        if reservation.host == site.name:
            yield from reservation.nodes


def _runs(site: Site, domain: str) -> bool:
    return domain in site.domains and site.domains[domain].state.active
