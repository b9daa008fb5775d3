"""Makes golden sets without a lab: disks that are baked on this machine, published for `create` to boot."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from netaddr import IPNetwork

from labctl.cloud.cloud import Cloud
from labctl.errors import CapacityError, InputError
from labctl.images.importing import digest
from labctl.images.store import Image, now
from labctl.installing import bake as native
from labctl.installing import passwords
from labctl.installing.bake import Workspace
from labctl.lab import images
from labctl.plan.lab import INSTALLED, plan
from labctl.plan.model import Identity, LabPlan, NodePlan
from labctl.process import run
from labctl.sets import store
from labctl.sets.manifest import GoldenDisk, GoldenManifest
from labctl.site.site import Site
from labctl.site.work import Work
from labctl.sizes import GIB, size
from labctl.spec.topology import Topology

ROOM = 12 * GIB
"""Bytes of disk that a bake needs while it runs."""

_SECONDS = 600.0


def bake(work: Work, topology: Topology, name: str) -> GoldenManifest:
    """Bake the disks of a topology's cloud and publish them as a golden set.

    Raises:
        InputError: the topology has no cloud, or the host lacks the image, or the image packages of its roles.
        CapacityError: the disk is too full.
        LabctlError: a step failed; its log is named.
    """
    home, site, say = work.home, work.site, work.progress.say
    if topology.openstack is None:
        raise InputError(f"topology {topology.name} has no cloud to bake")
    image = _image(site, topology.openstack.image)
    images.demand_layers(image, [role for node in topology.nodes.values() for role in node.roles])
    medium = site.images.images().get(topology.openstack.medium or "")
    nobody = Identity(team="golden", lab=uuid.uuid4(), owner=home.owner, mgmt=IPNetwork("192.0.2.0/24"))
    lab = plan(topology, nobody, stage=INSTALLED)
    secrets = passwords.complete({}, lab)
    # Emulated or not is known when a lab is created; longer times do no harm where nodes are fast.
    cloud = Cloud.of(lab, secrets, slow=True, nested={node.name: "qemu" for node in lab.nodes})
    with home.lock("golden", name), home.scratch(f"golden-{name}") as folder:
        if shutil.disk_usage(folder).free < ROOM:
            raise CapacityError(f"baking needs {size(ROOM)} in {folder}", remedy="Free some disk space.")
        say(f"fetching image {image.manifest.name}")
        base = _fetch(site, image, folder / "base.qcow2")
        disks = {node.name: _overlay(base, folder, node) for node in lab.nodes}
        place = Workspace(folder=folder, logs=home.root / "logs" / f"golden-{name}", medium=_raw(site, medium, folder))
        done = native.bake(work, cloud, disks, place)
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
