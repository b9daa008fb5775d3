"""Saves a running lab as a set: its disks, its memory, and a manifest that says what they are."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import inf

from labctl import waiting
from labctl.images.store import now
from labctl.plan.model import LabPlan
from labctl.sets import hold, warm
from labctl.sets.manifest import SNAPSHOT, GoldenManifest
from labctl.sets.sources import SourcedLab
from labctl.site import room
from labctl.site.together import Cancelled
from labctl.site.work import Work

_WINDOW = 5.0  # seconds for which processors are watched
_SINKS = 0.2  # of what a node at rest takes: by how much less it must take to count as quieter


@dataclass(frozen=True, kw_only=True)
class CloudState:
    """What a set keeps of a lab's cloud.

    Attributes:
        secrets: its passwords and keys.
        done: what the installer need not do again, with the nodes that it concerned.
        probes: what was seen to work.
        chapter: the last role whose chapter is in a bare lab; empty for none.
        canary, times: what it is known to be healthy by.
    """

    secrets: Mapping[str, str]
    done: Mapping[str, tuple[str, ...]]
    probes: tuple[str, ...]
    chapter: str = ""
    canary: Mapping[str, str] = field(default_factory=dict)
    times: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


def rest(work: Work, plan: LabPlan) -> None:
    """Wait until the nodes are at rest. Work that a service has not finished by the capture is repeated by every fork.

    A lab that never comes to rest is captured anyway, and so is one that becomes no quieter: it has work of its own,
    an emulated instance for example.
    """
    site = work.site
    nodes = {node.name: node.uuid for node in plan.nodes}
    said, deadline = [""], time.monotonic() + site.pace.rest
    least, sunk = dict.fromkeys(nodes, inf), time.monotonic()

    def at_rest() -> bool:
        nonlocal sunk
        began, before = time.monotonic(), {name: site.hypervisor.processor_time(uuid) for name, uuid in nodes.items()}
        if work.cancelled.wait(_WINDOW):
            raise Cancelled("the capture was cancelled")
        now = time.monotonic()
        used = {
            name: (site.hypervisor.processor_time(uuid) - before[name]) / (now - began) for name, uuid in nodes.items()
        }
        for name, share in used.items():
            if share < least[name] - _SINKS * site.pace.idle:
                least[name], sunk = share, now
        busy = ", ".join(sorted(name for name, share in used.items() if share > site.pace.idle))
        if busy != said[-1]:
            said.append(busy)
            if busy and now < deadline:
                work.progress.say(f"waiting until {busy} of {plan.team} are at rest")
        return not busy or now - sunk > site.pace.rest / 4

    if not waiting.until(at_rest, seconds=site.pace.rest, pause=0) or said[-1]:
        work.progress.say(f"{said[-1]} of {plan.team} are not at rest; captured as they are")


def save(work: Work, lab: SourcedLab, kind: str, name: str, cloud: CloudState) -> GoldenManifest:
    """Save a running lab; the lab continues. The caller seals the set, and says `hold.done` then.

    Args:
        kind: GOLDEN or SNAPSHOT.

    Raises:
        CapacityError: the pool has too little room.
        LabctlError: a part could not be written; nothing is left of the set.
    """
    site, plan, record = work.site, lab.plan, lab.record
    base = lab.images[plan.nodes[0].image]
    made = GoldenManifest(
        kind=kind,
        name=name,
        id=uuid.uuid4().hex[:12],
        topology=plan.topology,
        digest=plan.digest,
        stage=record.stage,
        image=lab.golden.image if lab.golden else base.volume,
        os_info=base.manifest.os_info,
        created=now(),
        disks={},
        secrets=cloud.secrets,
        done=tuple(cloud.done),
        concerns={key: nodes for key, nodes in cloud.done.items() if nodes} if kind == SNAPSHOT else {},
        spec=record.topology,
        machine=warm.machine_of(site),
        probes=cloud.probes,
        chapter=cloud.chapter,
        nested=record.nested,
        bare=record.bare,
        installed=record.installed,
        canary=cloud.canary,
        times=cloud.times,
    )
    with ExitStack() as reserved:
        # Nodes are off while their disks are copied, and come back: nobody is to take their room meanwhile.
        room.reserve(work.home, site, [plan], overcommit=True, held=reserved)
        held = hold.save(work, lab, made.stem)
    return replace(made, disks=held.disks, memory=held.memory)
