"""Prepares the disks of a lab natively: its nodes run as containers on this machine until everything that needs no
kernel of its own is configured. The result is a golden set, which `create` boots."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from netaddr import IPNetwork

from labctl.cloud.cloud import Cloud
from labctl.errors import CapacityError, InputError
from labctl.host import containers
from labctl.host.containers import Card, Container
from labctl.images.importing import digest
from labctl.images.store import Image, now
from labctl.installing import passwords
from labctl.installing.installer import Installer
from labctl.installing.journal import Journal
from labctl.installing.tasks import plan_tasks
from labctl.modes import private
from labctl.plan.lab import INSTALLED, plan
from labctl.plan.model import Identity, LabPlan, NodePlan
from labctl.process import run
from labctl.remote.container import ContainerTransport
from labctl.render import seed
from labctl.sets import store
from labctl.sets.manifest import GoldenDisk, GoldenManifest
from labctl.site.site import Site
from labctl.site.work import Work
from labctl.spec.topology import Topology

ROOM = 12 * 1024**3
"""Bytes of disk that a bake needs while it runs."""

_SECONDS = 600.0
# What was enabled while the disk was baked is started by the installer later, in the order of the roles' needs. What is
# unique to a machine is left to its first boot.
_UNITS = "find /etc/systemd/system -type l ! -lname /dev/null | sort"
_BEFORE = f"{_UNITS} >/var/tmp/units"
_AFTER = (
    f"{_UNITS} | comm -13 /var/tmp/units - | xargs -r rm; rm /var/tmp/units; : >/etc/machine-id; "
    "rm -rf /var/log/journal /root/.cache; find /var/log -type f -exec truncate -s 0 {} +"
)


def bake(work: Work, topology: Topology, name: str) -> GoldenManifest:
    """Bake the disks of a topology's cloud and publish them as a golden set.

    Raises:
        InputError: the topology has no cloud, or the host lacks the image.
        CapacityError: the disk is too full.
        LabctlError: a step failed; its log is named.
    """
    home, site, say = work.home, work.site, work.progress.say
    if topology.openstack is None:
        raise InputError(f"topology {topology.name} has no cloud to bake")
    image = _image(site, topology.openstack.image)
    medium = site.images.images().get(topology.openstack.medium or "")
    nobody = Identity(team="golden", lab=uuid.uuid4(), owner=home.owner, mgmt=IPNetwork("192.0.2.0/24"))
    lab = plan(topology, nobody, stage=INSTALLED)
    secrets = passwords.complete({}, lab)
    with home.lock("golden", name), home.scratch(f"golden-{name}") as folder:
        if shutil.disk_usage(folder).free < ROOM:
            raise CapacityError(f"baking needs {ROOM // 1024**3} GiB in {folder}", remedy="Free some disk space.")
        say(f"fetching image {image.manifest.name}")
        base = _fetch(site, image, folder / "base.qcow2")
        disks = {node.name: _overlay(base, folder, node) for node in lab.nodes}
        raw = _raw(site, medium, folder)
        done = _run(work, lab, secrets, disks, raw, folder, name)
        say("publishing the disks")
        manifest = _manifest(topology, lab, image, disks, name=name, secrets=secrets, done=done)
        store.golden(site).publish(manifest, disks, in_use=store.in_use(home, site))
        return manifest


def _image(site: Site, name: str) -> Image:
    image = site.images.images().get(name)
    if image is None:
        raise InputError(f"the host has no image {name}", remedy=f"labctl image build {name}")
    return image


def _fetch(site: Site, image: Image, target: Path) -> Path:
    with target.open("wb") as file:
        site.hypervisor.fetch(site.pool.name, image.volume, file.write)
    return target


def _overlay(base: Path, folder: Path, node: NodePlan) -> Path:
    disk = folder / f"{node.name}.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", disk], timeout=_SECONDS)
    return disk


def _raw(site: Site, medium: Image | None, folder: Path) -> Path | None:
    if medium is None:
        return None
    packed = _fetch(site, medium, folder / "medium.qcow2")
    raw = folder / "medium.raw"
    run(["qemu-img", "convert", "-O", "raw", packed, raw], timeout=_SECONDS)
    packed.unlink()
    return raw


def _run(
    work: Work,
    lab: LabPlan,
    secrets: Mapping[str, str],
    disks: Mapping[str, Path],
    medium: Path | None,
    folder: Path,
    name: str,
) -> tuple[str, ...]:
    """Run the nodes as containers and install into them; return what the installer need not do again."""
    say = work.progress.say
    logs = work.home.root / "logs" / f"golden-{name}"
    shutil.rmtree(logs, ignore_errors=True)
    private(logs)
    nodes = [Container(name=node.name, disk=disks[node.name], cards=_cards(node)) for node in lab.nodes]
    # Emulated or not is known when a lab is created; longer times do no harm where nodes are fast.
    cloud = Cloud.of(lab, secrets, slow=True, nested={node.name: "qemu" for node in lab.nodes})
    journal = Journal(folder / "journal", {})
    (folder / "run").mkdir()
    say("starting the nodes as containers")
    with containers.running(nodes, folder=folder / "run", log=logs / "containers.log", medium=medium) as pids:
        machines = {node: ContainerTransport(node, pid) for node, pid in pids.items()}
        for node in lab.nodes:
            machines[node.name].put(seed.hosts(node, lab).encode(), "/etc/hosts")
            machines[node.name].run(_BEFORE, timeout=60)
        Installer(
            cloud=cloud,
            guest=machines.__getitem__,
            journal=journal,
            logs=logs,
            slow=3,  # the machine may be busy
            live=False,
            jobs=work.jobs,
            report=lambda role, node, title: say(f"{node}: {role}: {title}"),
            cancelled=work.cancelled,
            remedy="Correct the cause and bake again; labs are not concerned.",
        ).run(plan_tasks(cloud))
        for machine in machines.values():
            machine.run(_AFTER, timeout=120)
        say("shutting the containers down")
    shutil.rmtree(folder / "run")
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


def _manifest(
    topology: Topology,
    lab: LabPlan,
    image: Image,
    disks: Mapping[str, Path],
    *,
    name: str,
    secrets: Mapping[str, str],
    done: tuple[str, ...],
) -> GoldenManifest:
    """Put the disks onto the host's own base image, and describe them."""
    made = uuid.uuid4().hex[:12]
    entries: dict[str, GoldenDisk] = {}
    for node, disk in disks.items():
        run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", image.path, "-F", "qcow2", disk], timeout=_SECONDS)
        entries[node] = GoldenDisk(
            volume=f"golden-{name}-{made}-{node}.qcow2",
            size=disk.stat().st_size,
            virtual_size=image.manifest.virtual_size,
            sha256=digest(disk),
        )
    return GoldenManifest(
        name=name,
        id=made,
        topology=topology.name,
        digest=topology.digest,
        stage=INSTALLED,
        image=image.volume,
        os_info=image.manifest.os_info,
        created=now(),
        disks={node.name: entries[node.name] for node in lab.nodes},
        secrets=secrets,
        done=done,
        spec=topology.document(),
    )
