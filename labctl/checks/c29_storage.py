"""C29: distributed storage."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

from labctl.checks import c08_volume
from labctl.checks.check import Subject, check
from labctl.checks.log import Log, Wrong, cloud_check
from labctl.checks.model import Step, Verdict, judged
from labctl.plan.model import NodePlan

_BYTES = 4 * 1024**2
_POOL = "vms"
_FILE = re.compile(r"file\s+disk\s+\S+\s+(\S+)")  # of virsh domblklist
_OSD = re.compile(r"osd\.(\d+) (up|down)\s+(in|out)\b")


def question(subject: Subject, node: NodePlan) -> str:  # noqa: ARG001
    """Ask the monitor, on its node, how the cluster is, and which OSDs it sees."""
    return "timeout 30 ceph health && timeout 30 ceph osd dump | grep ^osd" if "ceph-mon" in node.roles else ":"


@check(
    "C29:cluster",
    "Ceph is well and all its OSDs are up",
    exercises="Ceph's monitor, manager, OSDs and their disks",
    needs=("B01",),
    asks=question,
    stages=("installed",),
    limit=(30, 180),
)
def cluster(subject: Subject) -> Iterator[Step]:
    """Ask Ceph's monitor: it must answer, see an OSD for each data disk that is Ceph's, all of them up and in, and find
    the cluster well. What is muted does not count."""
    masters = [node for node in subject.lab.nodes if "ceph-mon" in node.roles]
    if not masters:
        yield Step(name="begin", verdict=Verdict.SKIPPED, evidence="no node has the role ceph-mon")
        return
    places = [node for node in subject.lab.doing("ceph-osd") for _ in subject.lab.spare(node.name)]
    for node, answer in subject.said("C29:cluster"):
        if node not in masters:
            continue
        lines = answer.text.splitlines() or [""]
        health = next((line for line in lines if line.startswith("HEALTH_")), "")
        trouble = "" if health else f"the monitor does not answer: {lines[0]}"
        yield judged(trouble, name="monitor", node=node.name, suspect="ceph-mon", seconds=answer.seconds)
        if not health:
            continue
        seen = {int(found[1]): found for line in lines if (found := _OSD.match(line))}
        for number, place in enumerate(places):
            state = f"{seen[number][2]} and {seen[number][3]}" if number in seen else "unknown"
            trouble = "" if state == "up and in" else f"osd.{number} is {state}"
            yield judged(trouble, name=f"osd.{number}", node=place.name, suspect="ceph-osd")
        trouble = "" if health.startswith("HEALTH_OK") else health
        yield judged(trouble, name="health", node=node.name, suspect="ceph-mon: what it warns of")


def asked(subject: Subject, node: NodePlan) -> str:  # noqa: ARG001
    """Ask a compute node whether Nova reaches the pool of disks, and where the disks of its instances are."""
    if "compute" not in node.roles:
        return ":"
    looks = f"timeout 60 runuser -u nova -- rbd --id nova -p {_POOL} ls >/dev/null 2>&1 && echo open"
    return f"{looks}; for each in $(virsh -q list --name); do virsh -q domblklist --details $each; done"


@check(
    "C29:disks",
    "Disks of instances are in Ceph",
    exercises="Nova's user and pool in Ceph, its back end for disks on every compute node",
    needs=("C29:cluster",),
    asks=asked,
    stages=("installed",),
    limit=(30, 180),
)
def disks(subject: Subject) -> Iterator[Step]:
    """See on every compute node that Nova's user may look into the pool *vms*, and that no running instance has a disk
    that is a file of the node. Only where the topology wants disks in Ceph."""
    spec = subject.lab.openstack
    if spec is None or spec.disks != "ceph":
        yield Step(name="begin", verdict=Verdict.SKIPPED, evidence="the topology has no openstack.disks: ceph")
        return
    hosts = {node.name for node in subject.lab.doing("compute")}
    for node, answer in subject.said("C29:disks"):
        if node.name not in hosts:
            continue
        lines = answer.text.splitlines()
        trouble = "" if "open" in lines else f"Nova's user cannot look into the pool {_POOL}"
        suspect = "nova-compute: its key of ceph"
        yield judged(trouble, name="pool", node=node.name, suspect=suspect, seconds=answer.seconds)
        files = [found[1] for line in lines if (found := _FILE.match(line))]
        trouble = f"{', '.join(files)} of the node" if files else ""
        yield judged(trouble, name="disks", node=node.name, suspect="nova-compute: [libvirt] images_type")


@cloud_check(
    "C29:volume",
    "An image in Ceph becomes a volume there",
    exercises="Glance's store and Cinder's back end in Ceph, their users and pools",
    needs=("C03:cinder", "C03:glance"),
    limit=(120, 420),
)
def volume(log: Log) -> None:
    """Upload a raw image of four mebibytes to the store *rbd*, make a volume of the type *ceph* of it, and remove both.
    Whether Cinder clones the image or copies it, the check does not see."""
    cloud = log.cloud
    if not all(cloud.nodes(role) for role in ("ceph-mon", "cinder", "glance")):
        log.skip("no node has the role ceph-mon, or none the role cinder, or none the role glance")
    glance, volumes = cloud.demo.image, cloud.demo.block_storage
    with cloud.made.scope(cloud):
        with log.step("image", node=cloud.node("glance"), suspect="glance"):
            image = cloud.made.make(
                "image",
                "ceph",
                lambda name: glance.create_image(name=name, container_format="bare", disk_format="raw"),
            )
        with log.step("upload", node=cloud.node("glance"), suspect="glance: its store in ceph"):
            headers = {"Content-Type": "application/octet-stream", "X-Image-Meta-Store": "rbd"}
            answer = glance.put(f"/images/{image.id}/file", data=secrets.token_bytes(_BYTES), headers=headers)
            if answer.status_code >= 300:
                raise Wrong(f"HTTP {answer.status_code} to an upload")
            log.status(lambda: glance.get_image(image.id), "active", c08_volume.SECONDS)
        made = c08_volume.make(log, "ceph", volume_type="ceph", image_id=image.id)
        with log.step("delete", node=cloud.node("cinder-volume"), suspect="cinder-volume"):
            volumes.delete_volume(made.id)
            log.gone(lambda: volumes.get_volume(made.id), c08_volume.SECONDS)
