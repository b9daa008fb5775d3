"""Compares what labs need with what a host has, before anything is created."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from labctl.errors import CapacityError
from labctl.plan.model import LabPlan
from labctl.sizes import GIB, MIB, size

OVERHEAD = 80
"""MiB that QEMU itself takes for a node: code, device state, the VNC server's picture. Measured: 60 to 80."""

TB_CACHE = {"bare": 96, "installed": 512}
"""MiB of QEMU's translation cache that an emulated node gets, by stage; without a limit it takes a gigabyte. When it is
full all of it is thrown away: with less than what the services come to run, their code is translated over and over."""

VCPUS_PER_CPU = 16
"""Virtual processors for each of the host's; OpenStack's own default ratio. Idle nodes take 1 % of a processor."""

MERGED = 0.5
"""How much of the memory that same-page merging saves counts as left. Guests that work write to pages that were equal:
a host that gave all of it away would have to take it back from somebody."""

LIKELY_OVERLAY = {"bare": 400 * MIB, "installed": 3 * GIB}
"""What a node's overlay grows to in a workshop, by stage, in bytes; data disks are counted with a tenth."""

SEED = MIB
"""Bytes of a seed ISO, generously."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """What some labs take.

    Attributes:
        nodes: number of domains.
        memory: MiB, with QEMU's own.
        vcpus: virtual processors.
        disk: bytes that the labs are likely to occupy.
        disk_worst: bytes when every disk is written full.
        subnets: management subnets.
    """

    nodes: int
    memory: int
    vcpus: int
    disk: int
    disk_worst: int
    subnets: int


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What a host has to give.

    Attributes:
        memory: MiB that are available, and not promised to guests that run.
        cpus: the host's processors, all of them.
        vcpus: virtual processors of domains that run already.
        disk: bytes free in the pool, and not likely to be taken by disks that are there.
        subnets: management subnets that can still be leased; None when not known.
        reserved: MiB of memory that other commands are about to take; they are not in `memory` any more.
        merged: MiB that are free only because equal pages are kept once, and are not in `memory`; see `MERGED`.
    """

    memory: int
    cpus: int
    vcpus: int
    disk: int
    subnets: int | None = None
    reserved: int = 0
    merged: int = 0


def need(plans: Iterable[LabPlan], virt: Literal["kvm", "qemu"], *, made: Collection[str] = ()) -> Need:
    """Add up what the labs take.

    Args:
        plans: the labs that do not run yet.
        virt: kvm, or qemu for emulation, which needs memory for translated code.
        made: domains whose disks are there already.
    """
    labs = list(plans)
    nodes = [(lab, node) for lab in labs for node in lab.nodes]
    disks = [(lab, disk) for lab, node in nodes for disk in node.disks if node.domain not in made]
    seeds = sum(SEED for _, node in nodes if node.domain not in made)
    return Need(
        nodes=len(nodes),
        memory=sum(node.memory + overhead(virt, lab.stage) for lab, node in nodes),
        vcpus=sum(node.vcpus for _, node in nodes),
        disk=sum(likely(disk.device, disk.capacity, lab.stage) for lab, disk in disks) + seeds,
        disk_worst=sum(disk.capacity for _, disk in disks) + seeds,
        subnets=len(labs),
    )


def judge(need: Need, have: Capacity, overcommit: bool) -> tuple[str, ...]:
    """Refuse what does not fit, unless overcommitting is wanted.

    Args:
        need: what the labs take.
        have: what the host has.
        overcommit: whether to go on without enough memory, disk or processors; subnets cannot be overcommitted.

    Returns:
        Remarks for the user: what may become short later, or is short already and was accepted.

    Raises:
        CapacityError: something is short; the message has all numbers and names the switch.
    """
    limit = have.cpus * VCPUS_PER_CPU
    memory = f"memory: {size(need.memory * MIB)} needed, {size(max(0, have.memory) * MIB)} available"
    memory += f" beside {size(have.reserved * MIB)} that other commands are about to take" if have.reserved else ""
    memory += f", and {size(have.merged * MIB)} that merging saves and guests may take back" if have.merged else ""
    disk = f"disk: {size(need.disk)} needed, {size(max(0, have.disk))} free in the pool"
    vcpus = f"processors: {need.vcpus} virtual ones needed"
    vcpus += f" beside {have.vcpus} of running domains" if have.vcpus else ""
    vcpus += f", {limit} possible on {have.cpus} processors ({VCPUS_PER_CPU} on each)"
    short = [
        (need.memory > max(0, have.memory), memory),
        (need.disk > max(0, have.disk), disk),
        (need.vcpus + have.vcpus > limit, vcpus),
    ]
    lacking = [text for is_short, text in short if is_short]
    no_subnet = have.subnets is not None and need.subnets > have.subnets
    if no_subnet:
        lacking.append(f"addresses: {need.subnets} management subnets needed, {have.subnets} free")
    if no_subnet or (lacking and not overcommit):
        raise _too_little(need, [text for _, text in short], lacking, no_subnet=no_subnet)
    remarks = [f"overcommitted {text}" for text in lacking]
    if need.disk <= have.disk < need.disk_worst:
        remarks.append(f"disk: if every disk is written full, {size(need.disk_worst)} of {size(have.disk)} are needed")
    return tuple(remarks)


def likely(device: str, capacity: int, stage: str) -> int:
    """Return what a disk grows to in a workshop, in bytes.

    Args:
        device: the letter that the guest sees; vda is the system disk, an overlay.
        capacity: bytes that the guest sees.
        stage: of the guest's lab.
    """
    if device != "vda":
        return capacity // 10
    return min(capacity, LIKELY_OVERLAY.get(stage, LIKELY_OVERLAY["installed"]))


def overhead(virt: str, stage: str) -> int:
    """Return what QEMU takes beside a guest's own memory, in MiB.

    Args:
        virt: kvm, or qemu for emulation.
        stage: of the guest's lab; empty for a guest that is none of ours.
    """
    return OVERHEAD + (TB_CACHE.get(stage, TB_CACHE["bare"]) if virt == "qemu" else 0)


def _too_little(need: Need, numbers: list[str], lacking: list[str], *, no_subnet: bool) -> CapacityError:
    what = ", ".join(text.partition(":")[0] for text in lacking)
    enough = [f"  enough {text}" for text in numbers if text not in lacking]
    remedy = (
        "Destroy a lab (labctl list), or set mgmt.pool in the host file to a larger range."
        if no_subnet
        else "Create fewer labs, stop or destroy others (labctl list), or use --overcommit."
    )
    return CapacityError(
        f"the host has not enough {what} for {need.nodes} nodes",
        details="\n".join([*(f"too little {text}" for text in lacking), *enough]),
        remedy=remedy,
    )
