"""A node that runs instances."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Ini, Packages, PutFile, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles import neutron, nova
from labctl.roles.role import Step, role
from labctl.roles.shared import as_user, merge, wait_for_reports


@role(
    "compute",
    "Compute node",
    needs=("nova", "neutron"),
    after=("cinder",),
    networks=("internal", "private"),
    loses="the instances that ran there, whose records stay in the database",
    clean="""
        ids=$(openstack server list --all-projects --host "$(hostname)" -f value -c ID)
        gone=$(for id in $ids; do test -e /var/lib/nova/instances/$id || echo $id; done)
        [ -z "$gone" ] || openstack server delete --wait $gone""",
    nests=True,
)
def compute(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up Nova's agent with libvirt, Neutron's with Open vSwitch, and the iSCSI initiator for volumes."""
    virt = cloud.nested[node]
    machine = {"virt_type": virt, "cpu_mode": "host-passthrough" if virt == "kvm" else "none"}
    yield Step(
        title="the compute node's configuration",
        node=node,
        actions=(
            Packages(
                names=("nova-compute", "nova-compute-qemu", "qemu-system-x86", "libvirt-daemon-system", "open-iscsi")
            ),
            Ini(
                path="/etc/nova/nova.conf",
                values=merge(
                    nova.common(cloud, node),
                    {
                        "DEFAULT": {
                            "update_resources_interval": cloud.seconds(60, 300),
                            "heal_instance_info_cache_interval": cloud.seconds(60, 600),
                        },
                        "vnc": {
                            "enabled": True,
                            "server_listen": "0.0.0.0",  # noqa: S104 - the console proxy is on another node
                            "server_proxyclient_address": cloud.address(node),
                            "novncproxy_base_url": f"http://{cloud.public('nova')}:6080/vnc_lite.html",
                        },
                        "spice": {"enabled": False},  # Debian's package switches it on; this QEMU has none
                    },
                ),
            ),
            Ini(
                path="/etc/nova/nova-compute.conf",
                values={"libvirt": machine | {"num_pcie_ports": 0, "hw_machine_type": "x86_64=pc"}},
            ),
            # The package's own name is the same on all nodes that were made from one image.
            PutFile(
                path="/etc/iscsi/initiatorname.iscsi",
                content=f"InitiatorName=iqn.1993-08.org.debian:01:{node}\n",
                mode=0o600,
            ),
        ),
    )
    yield Step(
        title="Open vSwitch, libvirt and the agents run",
        node=node,
        live=True,
        actions=(
            *neutron.agent(cloud, node),
            Unit(names=("virtlogd.socket", "libvirtd.socket", "iscsid.socket")),
            # Nova's agent ends, as if all were well, when polkit does not let it in.
            Wait(until=as_user("nova", "virsh -c qemu:///system list >/dev/null"), what="libvirt answers Nova's user"),
            Unit(names=("nova-compute",), seconds=120),
        ),
    )
    yield Step(
        title="the compute node's services report",
        node=cloud.node("mariadb"),
        live=True,
        actions=(wait_for_reports(cloud, node, "nova-compute", "neutron-openvswitch-agent"),),
    )
