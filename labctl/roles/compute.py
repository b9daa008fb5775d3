"""A node that runs instances."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Action, Ini, Packages, PutFile, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles import ceph, neutron, nova
from labctl.roles.role import Step, role
from labctl.roles.shared import Values, as_user, merge, wait_for_reports
from labctl.spec.document import Problem
from labctl.spec.topology import Topology

_KEYS = "/var/lib/nova/.ssh"


def _fits(topology: Topology) -> Iterator[Problem]:
    stored = topology.openstack is not None and topology.openstack.disks == "ceph"
    if stored and not any("ceph-mon" in node.roles for node in topology.nodes.values()):
        text = "disks are to be in Ceph, and no node has the role ceph-mon; give it to one, or remove this line"
        yield Problem(("openstack", "disks"), text)


@role(
    "compute",
    "Compute node",
    needs=("nova", "neutron"),
    after=("cinder", "cinder-volume", "ceph-osd"),
    networks=("internal", "private"),
    fits=_fits,
    loses="the instances that ran there, whose records stay in the database, and whose disks stay if they are in Ceph",
    # An instance whose disk is in Ceph comes back as it was; one that was off does so when somebody starts it.
    clean="""
        grep -qs '^images_type *= *rbd$' /etc/nova/nova-compute.conf && which='--status ACTIVE' || which=
        ids=$(openstack server list --all-projects --host "$(hostname)" $which -f value -c ID)
        gone=$(for id in $ids; do test -e /var/lib/nova/instances/$id || echo $id; done)
        if [ -z "$which" ]; then
            [ -z "$gone" ] || openstack server delete --wait $gone
        else
            for id in $gone; do openstack server reboot --hard --wait $id; done
        fi""",
    nests=True,
    keys=("nova-key",),
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
                names=(
                    *("nova-compute", "nova-compute-qemu", "qemu-system-x86", "libvirt-daemon-system", "open-iscsi"),
                    *(["ceph-common"] if ceph.NOVA in ceph.users(cloud) else []),
                )
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
                    _migration(cloud, node),
                ),
            ),
            Ini(
                path="/etc/nova/nova-compute.conf",
                values={"libvirt": machine | {"num_pcie_ports": 0, "hw_machine_type": "x86_64=pc"} | _disks(cloud)},
            ),
            *(ceph.client(cloud, ceph.NOVA, "nova:nova") if ceph.NOVA in ceph.users(cloud) else ()),
            *(_modules() if virt == "kvm" else ()),
            # The package's own name is the same on all nodes that were made from one image.
            PutFile(
                path="/etc/iscsi/initiatorname.iscsi",
                content=f"InitiatorName=iqn.1993-08.org.debian:01:{node}\n",
                mode=0o600,
            ),
            *_logins(cloud),
        ),
    )
    yield Step(
        title="Open vSwitch, libvirt and the agents run",
        node=node,
        live=True,
        actions=(
            *neutron.agent(cloud, node),
            Unit(names=("virtlogd.socket", "libvirtd.socket", "iscsid.socket")),
            *(action for user in ceph.users(cloud) for action in ceph.libvirt_secret(cloud, user)),
            # Nova's agent ends, as if all were well, when polkit does not let it in.
            Wait(until=as_user("nova", "virsh -c qemu:///system list >/dev/null"), what="libvirt answers Nova's user"),
            Unit(names=("nova-compute",), seconds=120),
        ),
    )
    if len(cloud.nodes("compute")) > 1:
        yield Step(title="the nodes' host keys are known", node=node, live=True, actions=(_known_hosts(cloud),))
    yield Step(
        title="the compute node's services report",
        node=cloud.node("mariadb"),
        live=True,
        actions=(wait_for_reports(cloud, node, "nova-compute", "neutron-openvswitch-agent"),),
    )


def _disks(cloud: Cloud) -> dict[str, object]:
    """Return the settings with which instances' disks are in Ceph; nothing where they are files of the node.

    Nova asks for the room in the pool by the command `ceph`, and writes images there that are no clones by `rbd`.
    """
    if ceph.NOVA not in ceph.users(cloud):
        return {}
    return {
        "images_type": "rbd",
        "images_rbd_pool": ceph.DISKS,
        "images_rbd_ceph_conf": "/etc/ceph/ceph.conf",
        "rbd_user": ceph.NOVA,
        "rbd_secret_uuid": ceph.secret_id(cloud, ceph.NOVA),
        "rbd_connect_timeout": cloud.seconds(10, 60),
    }


def _modules() -> tuple[Action, ...]:
    """Have libvirt load KVM when it starts, whichever vendor's processor it is: at a boot nothing else does."""
    folder = "/etc/systemd/system/libvirtd.service.d"
    load = "[Service]\nExecStartPre=-/sbin/modprobe -qa kvm_intel kvm_amd\n"
    return Run(command=f"mkdir -p {folder}"), PutFile(path=f"{folder}/kvm.conf", content=load)


def _migration(cloud: Cloud, node: str) -> Values:
    """Return the settings with which instances move to another compute node; nothing where there is none.

    libvirt talks to the other node's over SSH, as Nova's user does when it copies disks: nothing new listens. Memory
    and disks then go from QEMU to QEMU, on the internal network.
    """
    if len(cloud.nodes("compute")) == 1:
        return {}
    return {
        "libvirt": {
            "live_migration_uri": "qemu+ssh://nova@%s/system",
            "live_migration_inbound_addr": cloud.address(node),
            # A busy instance changes its memory faster than an emulated network copies it.
            "live_migration_permit_auto_converge": True,
        },
        # libvirt compares the processors of both nodes itself.
        "workarounds": {"skip_cpu_compare_on_dest": True},
    }


def _logins(cloud: Cloud) -> tuple[Action, ...]:
    """Let Nova's user log in to the other compute nodes, and from nowhere else; see `_known_hosts`."""
    addresses = [cloud.address(node) for node in cloud.nodes("compute")]
    if len(addresses) == 1:
        return ()
    every = ",".join(addresses)
    client = (
        f"Match user nova host {every}\n"
        f"    IdentityFile {_KEYS}/id_ed25519\n"
        "    StrictHostKeyChecking yes\n"
        "    BatchMode yes\n"
    )
    allowed = f'restrict,from="{every}" ' + cloud.secret("nova-key-public") + "\n"
    return (
        Run(command=f"install -d -o nova -g nova -m 700 {_KEYS}", unless=f"test -d {_KEYS}"),
        PutFile(path=f"{_KEYS}/id_ed25519", content=cloud.secret("nova-key"), owner="nova:nova", mode=0o600),
        PutFile(path=f"{_KEYS}/authorized_keys", content=allowed, owner="nova:nova", mode=0o600),
        PutFile(path="/etc/ssh/ssh_config.d/50-labctl-nova.conf", content=client),
    )


def _known_hosts(cloud: Cloud) -> Action:
    """Write the host keys by which the node's users recognise others; a fork gives its nodes new keys, and a new file.

    It is the last that is done, and nothing that runs is restarted for it: ssh reads it at each login.
    """
    return PutFile(path="/etc/ssh/ssh_known_hosts", content=cloud.known_hosts)
