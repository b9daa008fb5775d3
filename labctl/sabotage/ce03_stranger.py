"""CE-03: a compute node does not get at the disks of its instances."""

from __future__ import annotations

from random import Random
from uuid import UUID

from labctl.changes import Ini, Permissions
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, changed, every, restart

_CONF = "/etc/nova/nova-compute.conf"
_KEYRING = "/etc/ceph/ceph.client.nova.keyring"
_DEFINED = "/etc/libvirt/ceph-nova.xml"
_VARIANTS = {"compute key": "key", "compute secret": "secret"}


@fault(
    "CE-03",
    "No way to the disk",
    level=2,
    lasts="file",
    group="ceph",
    red=("C10", "C29:disks"),
    green=(*BASE, *every(), "C04:services", "C05", "C29:cluster"),
    hints=(
        "Boots end in ERROR on one host, and Ceph is well.",
        "Two programs of a compute node open a disk in Ceph: Nova's agent, and QEMU, which libvirt gives a key.",
        "Who may read Nova's keyring in /etc/ceph? Does `virsh secret-list` have what nova-compute.conf names?",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Take the key of Ceph from Nova's user, or have Nova name a secret that libvirt does not have."""
    spec = scene.lab.openstack
    if spec is None or spec.disks != "ceph":
        raise LookupError("disks of instances are files of the compute nodes")
    variant, how = scene.choose(random, _VARIANTS)
    node = scene.pick(random, "compute").name
    if how == "key":
        return Drawn(
            node=node,
            service="nova-compute",
            variant=variant,
            breaks=(Break(node=node, change=Permissions(path=_KEYRING, owner="root:root")),),
            explanation=f"{_KEYRING} of {node} belongs to root, and nova-compute is no root.",
            repair=(Typed(node=node, line=f"chown nova:nova {_KEYRING}"),),
        )
    wrong = UUID(int=random.getrandbits(128), version=4)
    right = f"right=$(sed -n 's/.*<uuid>\\(.*\\)<.uuid>.*/\\1/p' {_DEFINED})"
    mend = f'sed -i "s/^rbd_secret_uuid *=.*/rbd_secret_uuid = $right/" {_CONF}'
    again = restart("nova-compute")
    return changed(
        node,
        Ini(path=_CONF, values={"libvirt": {"rbd_secret_uuid": str(wrong)}}),
        "nova-compute",
        variant=variant,
        red=("C10",),
        explanation=f"[libvirt] rbd_secret_uuid in {_CONF} of {node} is {wrong}; libvirt knows the key of client.nova "
        "by another one.",
        repair=(Typed(node=node, line=f"{right}; {mend}; {again}"),),
        cheat=(Typed(node=node, line=again),),
    )
