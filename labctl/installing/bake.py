"""Installs into disks natively: nodes run as containers on this machine. What needs a kernel is left to the boot.

systemd runs in each container, on the node's own disk.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from labctl.cloud.cloud import Cloud
from labctl.host import containers
from labctl.host.containers import Card, Container
from labctl.installing.installer import Installer
from labctl.installing.journal import Journal
from labctl.installing.tasks import plan_tasks
from labctl.modes import private
from labctl.plan.model import NodePlan
from labctl.remote.container import ContainerTransport
from labctl.render import seed
from labctl.site.work import Work

# What was enabled while the disk was baked is started by the installer later, in the order of the roles' needs. What is
# unique to a machine is left to its first boot.
_UNITS = "find /etc/systemd/system -type l ! -lname /dev/null | sort"
_BEFORE = f"{_UNITS} >/var/tmp/units"
_AFTER = (
    f"{_UNITS} | comm -13 /var/tmp/units - | xargs -r rm; rm /var/tmp/units; : >/etc/machine-id; "
    "rm -rf /var/log/journal /root/.cache; find /var/log -type f -exec truncate -s 0 {} +"
)


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """Where disks are baked.

    Attributes:
        folder: for what lasts only as long as the containers.
        logs: emptied first.
        medium: the install medium as a raw disk; None where the image has none.
    """

    folder: Path
    logs: Path
    medium: Path | None


def bake(work: Work, cloud: Cloud, disks: Mapping[str, Path], place: Workspace) -> tuple[str, ...]:
    """Run a cloud's nodes as containers and install into them; return what the installer need not do again.

    Args:
        disks: qcow2 overlays, by node.

    Raises:
        LabctlError: a step failed; its log is named.
    """
    say, lab = work.progress.say, cloud.lab
    shutil.rmtree(place.logs, ignore_errors=True)
    private(place.logs)
    nodes = [Container(name=node.name, disk=disks[node.name], cards=_cards(node)) for node in lab.nodes]
    journal, scratch = Journal(place.folder / "journal", {}), place.folder / "run"
    scratch.mkdir()
    say("starting the nodes as containers")
    with containers.running(nodes, folder=scratch, log=place.logs / "containers.log", medium=place.medium) as pids:
        machines = {node: ContainerTransport(node, pid) for node, pid in pids.items()}
        for node in lab.nodes:
            machines[node.name].put(seed.hosts(node, lab).encode(), "/etc/hosts")
            machines[node.name].run(_BEFORE, timeout=60)
        Installer(
            cloud=cloud,
            guest=machines.__getitem__,
            journal=journal,
            logs=place.logs,
            slow=3,  # the machine may be busy
            live=False,
            jobs=work.jobs,
            report=lambda role, node, title: say(f"{node}: {role}: {title}"),
            cancelled=work.cancelled,
            remedy="Correct the cause and bake again. Existing labs are not affected.",
        ).run(plan_tasks(cloud))
        for machine in machines.values():
            machine.run(_AFTER, timeout=120)
        say("shutting the containers down")
    shutil.rmtree(scratch)
    return tuple(journal.done())


def _cards(node: NodePlan) -> tuple[Card, ...]:
    return tuple(
        Card(
            name=nic.name,
            network=nic.network,
            address=f"{nic.address}/{nic.prefix}" if nic.address is not None and nic.prefix is not None else None,
        )
        for nic in node.nics
        if not nic.dhcp
    )
