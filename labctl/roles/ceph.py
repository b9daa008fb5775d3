"""Distributed storage: a monitor with a manager, OSDs on data disks, and what other services need to use them."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from labctl.changes import Action, Packages, PutFile, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles.role import Password, Step, role
from labctl.roles.shared import as_user
from labctl.secret import Secret, Text
from labctl.spec.document import Problem
from labctl.spec.topology import Topology

VOLUMES, CINDER = "volumes", "cinder"
"""The pool of volumes, and as whom Cinder and QEMU open them."""

IMAGES, GLANCE = "images", "glance"
"""The pool of images, and as whom Glance writes them."""

GATEWAY = 8080
"""Where the gateway of objects listens, as Swift's proxy does in other labs."""

GATEWAY_PASSWORD = "/etc/ceph/rgw-keystone"  # noqa: S105 - a path
"""The file with the password by which it asks Keystone about tokens."""

DISKS, NOVA = "vms", "nova"
"""The pool of instances' disks, and as whom Nova and QEMU open them; only where disks are in Ceph."""

_CONF = "/etc/ceph/ceph.conf"
_ADMIN = "client.admin"
_COPIES = 3
_GROUPS = 8  # placement groups of a pool: a lab has three OSDs
_GATEWAY = {"mon": "allow rw", "mgr": "allow rw", "osd": "allow rwx"}  # it makes its own pools
_ASK = "timeout 30 ceph"  # it waits for a monitor without end


@dataclass(frozen=True, kw_only=True)
class Osd:
    """One OSD: a data disk of a node, and the number that it has in the cluster."""

    number: int
    node: str
    device: str


def osds(cloud: Cloud) -> list[Osd]:
    """Return all OSDs, in the order in which the cluster numbers them."""
    places = [(node, device) for node in cloud.nodes("ceph-osd") for device in cloud.lab.spare(node)]
    return [Osd(number=number, node=node, device=device) for number, (node, device) in enumerate(places)]


def client(cloud: Cloud, user: str, owner: str) -> tuple[Action, ...]:
    """Return the files by which a service reaches the cluster as a user of its own.

    Args:
        owner: user and group of the service.
    """
    return (
        Run(command="mkdir -p /etc/ceph", unless="test -d /etc/ceph"),  # the libraries come without it
        PutFile(path=_CONF, content=_conf(cloud)),
        PutFile(path=keyring(user), content=_keyring(cloud, {f"client.{user}": {}}), owner=owner, mode=0o600),
    )


def users(cloud: Cloud) -> tuple[str, ...]:
    """Return as whom QEMU opens disks in Ceph; nobody where there is none."""
    if not cloud.nodes("ceph-mon"):
        return ()
    return (CINDER, NOVA) if cloud.spec.disks == "ceph" else (CINDER,)


def secret_id(cloud: Cloud, user: str) -> str:
    """Return the UUID by which libvirt knows the key of such a user, on all compute nodes alike."""
    return _uuid(cloud, f"libvirt's {user}")


def libvirt_secret(cloud: Cloud, short: str) -> tuple[Action, ...]:
    """Return the actions by which libvirt knows that key; done where libvirt runs.

    Args:
        short: the user, as `users` names him.
    """
    name, user = secret_id(cloud, short), f"client.{short}"
    document = (
        f"<secret ephemeral='no' private='no'><uuid>{name}</uuid>"
        f"<usage type='ceph'><name>{user} secret</name></usage></secret>\n"
    )
    file = f"/etc/libvirt/ceph-{short}.xml"
    return (
        PutFile(path=file, content=document),
        Run(
            command=f"virsh -q secret-define {file} && virsh -q secret-set-value {name} --file /dev/stdin",
            stdin=_key(cloud, user),
            unless=f"virsh -q secret-get-value {name} >/dev/null 2>&1",
        ),
    )


def gateway(node: str) -> str:
    """Return as whom a node's gateway of objects opens the cluster; its unit is named after it, too."""
    return f"rgw.{node}"


def keyring(user: str) -> str:
    """Return the file with the key of a service's user."""
    return f"/etc/ceph/ceph.client.{user}.keyring"


def _fits(topology: Topology) -> Iterator[Problem]:
    for name, node in topology.nodes.items():
        taken = "cinder-volume" in topology.duties[name]
        if "ceph-osd" in node.roles and len(node.disks) <= taken:
            what = "none" if not node.disks else "one, which is for volumes"
            text = f"the role ceph-osd uses a data disk, and {name} has {what}; add one, size: 5 GiB"
            yield Problem(("nodes", name, "roles", node.roles.index("ceph-osd")), text)


def _stores(topology: Topology) -> Iterator[Problem]:
    if any("ceph-osd" in node.roles for node in topology.nodes.values()):
        return
    for name, node in topology.nodes.items():
        if "ceph-mon" in node.roles:
            text = "the role ceph-mon knows where copies are, and no node has the role ceph-osd to keep any"
            yield Problem(("nodes", name, "roles", node.roles.index("ceph-mon")), text)


@role(
    "ceph-mon",
    "Distributed storage, monitor",
    single=True,
    fits=_stores,
    passwords=(Password("ceph"),),
    loses="the map of the whole cluster: its OSDs are of no use then",
    layer="ceph",
)
def monitor(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up Ceph's monitor and manager, all keys, the OSDs' numbers, pools for volumes, images and disks."""
    address, store = cloud.address(node), f"/var/lib/ceph/mon/ceph-{node}"
    places = f"[v2:{address}:3300,v1:{address}:6789]"
    everything = {"mon": "allow *", "mgr": "allow *", "osd": "allow *", "mds": "allow *"}
    manager = {"mon": "allow profile mgr", "osd": "allow *", "mds": "allow *"}
    first = {
        "mon.": {"mon": "allow *"},
        _ADMIN: everything,
        f"mgr.{node}": manager,
        f"client.{CINDER}": _rights(VOLUMES, f", profile rbd-read-only pool={IMAGES}"),
        f"client.{GLANCE}": _rights(IMAGES),
    }
    first |= {f"client.{gateway(name)}": _GATEWAY for name in cloud.nodes("ceph-rgw")}
    if NOVA in users(cloud):
        # A disk of a raw image there is its clone. Nova writes no images: Glance takes them from its API alone.
        first[f"client.{NOVA}"] = _rights(DISKS, f", profile rbd-read-only pool={IMAGES}")
    tmp = "/var/lib/ceph/tmp"
    keys = f"{tmp}/first.keyring"
    folder = f"/var/lib/ceph/mgr/ceph-{node}"
    make = f"monmaptool --create --clobber --addv {node} {places} --fsid {_uuid(cloud, 'cluster')} {tmp}/monmap"
    made = as_user("ceph", f"ceph-mon --mkfs -i {node} --monmap {tmp}/monmap --keyring {keys}")
    yield Step(
        title="Ceph's monitor answers",
        node=node,
        actions=(
            Packages(names=("ceph-mon", "ceph-mgr", "ceph-common")),
            PutFile(path=_CONF, content=_conf(cloud)),
            PutFile(path=f"/etc/ceph/ceph.{_ADMIN}.keyring", content=_keyring(cloud, {_ADMIN: {}}), mode=0o600),
            Run(command=f"install -d -o ceph -g ceph {tmp} {folder}", unless=f"test -d {folder}"),
            PutFile(path=keys, content=_keyring(cloud, first), owner="ceph:ceph", mode=0o600),
            PutFile(
                path=f"{folder}/keyring",
                content=_keyring(cloud, {f"mgr.{node}": {}}),
                owner="ceph:ceph",
                mode=0o600,
            ),
            Run(command=f"{make} && {made}", unless=f"test -e {store}/store.db"),
            _daemons("mon", node, seconds=60),
            Wait(until=f"{_ASK} mon stat", what="Ceph's monitor answers", seconds=90),
        ),
    )
    numbers = [
        Run(
            command=f"{_ASK} osd new {_uuid(cloud, f'osd.{each.number}')} -i -",
            stdin=_key(cloud, f"osd.{each.number}").map(lambda key: json.dumps({"cephx_secret": key})),
            unless=f"{_ASK} osd dump | grep -q '^osd.{each.number} .*{_uuid(cloud, f'osd.{each.number}')}'",
        )
        for each in osds(cloud)
    ]
    pools = [
        Run(
            command=f"{_ASK} osd pool create {name} {_GROUPS} && {_ASK} osd pool application enable {name} rbd",
            unless=f"{_ASK} osd pool ls detail | grep -q \"'{name}' .* application rbd\"",
        )
        for name in (VOLUMES, IMAGES, *([DISKS] if NOVA in users(cloud) else []))
    ]
    yield Step(
        title="the OSDs' numbers, pools for volumes and images",
        node=node,
        actions=(
            *numbers,
            *pools,
            # Thirteen of the manager's modules cannot be loaded: PyO3's may only be initialized once in a process.
            Run(command=f"{_ASK} health mute MGR_MODULE_DEPENDENCY --sticky"),
            _daemons("mgr", node),
        ),
    )


@role(
    "ceph-osd",
    "Distributed storage, OSD",
    needs=("ceph-mon",),
    excludes=("swift-storage",),
    fits=_fits,
    loses="the copies on its disks, until the other OSDs have sent theirs",
    layer="ceph",
)
def osd(cloud: Cloud, node: str) -> Iterator[Step]:
    """Keep copies of objects on the node's data disks, one OSD for each."""
    own = [each for each in osds(cloud) if each.node == node]
    yield Step(
        title="what OSDs read",
        node=node,
        actions=(
            Packages(names=("ceph-osd",)),
            PutFile(path=_CONF, content=_conf(cloud)),
            Run(command="mkdir -p /etc/systemd/system/ceph-osd@.service.d"),
            # A disk is root's again after each boot.
            PutFile(
                path="/etc/systemd/system/ceph-osd@.service.d/disk.conf",
                content="[Service]\nExecStartPre=+/bin/chown ceph:ceph /var/lib/ceph/osd/ceph-%i/block\n",
            ),
        ),
    )
    yield Step(
        title=f"OSDs on {', '.join(each.device for each in own)}",
        node=node,
        live=True,
        actions=(
            *(action for each in own for action in _disk(cloud, each)),
            _daemons("osd", *(str(each.number) for each in own)),
        ),
    )
    up = " && ".join(f"{_ASK} osd dump | grep -q '^osd.{each.number} up '" for each in own)
    yield Step(
        title="the monitor sees the OSDs",
        node=cloud.node("ceph-mon"),
        live=True,
        actions=(Wait(until=up, what=f"the OSDs of {node} are up", seconds=180),),
    )


def _daemons(kind: str, *names: str, seconds: float = 120) -> Unit:
    """Return the units of daemons, and their target: a boot starts them by it alone."""
    return Unit(names=(*(f"ceph-{kind}@{name}" for name in names), f"ceph-{kind}.target"), seconds=seconds)


def _disk(cloud: Cloud, each: Osd) -> tuple[Action, ...]:
    """Make an OSD of a disk, once."""
    folder, name = f"/var/lib/ceph/osd/ceph-{each.number}", f"osd.{each.number}"
    make = as_user("ceph", f"ceph-osd -i {each.number} --mkfs --osd-uuid {_uuid(cloud, name)}")
    return (
        Run(
            command=f"install -d -o ceph -g ceph {folder} && ln -sfn /dev/{each.device} {folder}/block",
            unless=f"test -L {folder}/block",
        ),
        PutFile(path=f"{folder}/keyring", content=_keyring(cloud, {name: {}}), owner="ceph:ceph", mode=0o600),
        Run(command=f"chown ceph:ceph /dev/{each.device} && {make}", unless=f"test -e {folder}/ready", seconds=180),
    )


def _conf(cloud: Cloud) -> str:
    """Write the file that all of Ceph's programs read, alike on all nodes."""
    every = osds(cloud)
    copies = min(_COPIES, len(every))
    apart = len({each.node for each in every}) >= copies  # one copy for each node, else one for each disk
    node = cloud.node("ceph-mon")
    values: dict[str, dict[str, object]] = {
        "global": {
            "fsid": _uuid(cloud, "cluster"),
            "mon_initial_members": node,
            "mon_host": cloud.address(node),
            "auth_allow_insecure_global_id_reclaim": "false",
            "osd_pool_default_size": copies,
            "osd_pool_default_min_size": max(1, copies - 1),
            "osd_pool_default_pg_autoscale_mode": "off",
            **({"osd_pool_default_pg_num": _GROUPS} if cloud.nodes("ceph-rgw") else {}),  # of the gateway's pools
            "osd_crush_chooseleaf_type": int(apart),
            **({"mon_allow_pool_size_one": "true"} if copies == 1 else {}),
            # Emulated nodes answer late.
            "osd_heartbeat_grace": cloud.seconds(20, 120),
            "mon_osd_report_timeout": cloud.seconds(900, 1800),
        },
        "mon": {
            "mon_warn_on_pool_no_redundancy": "false",
            "mon_data_avail_warn": 5,
            "mon_data_avail_crit": 2,
        },
        # A lab has little memory.
        "osd": {
            "osd_memory_target": 939524096,
            "bluestore_cache_autotune": "false",
            "bluestore_cache_size": 67108864,
        },
    }
    values |= {f"client.{gateway(name)}": _objects(cloud, name) for name in cloud.nodes("ceph-rgw")}
    return "".join(
        f"[{section}]\n" + "".join(f"{option} = {value}\n" for option, value in options.items())
        for section, options in values.items()
    )


def _objects(cloud: Cloud, node: str) -> dict[str, object]:
    """Return the options of a gateway of objects: Keystone knows its users, and their EC2 credentials for S3."""
    login = cloud.credentials("ceph-rgw")
    return {
        "keyring": keyring(gateway(node)),
        "rgw_frontends": f"beast port={GATEWAY}",
        "rgw_thread_pool_size": 32,
        "rgw_keystone_url": str(login["auth_url"]).removesuffix("/v3"),
        "rgw_keystone_api_version": 3,
        "rgw_keystone_admin_user": login["username"],
        "rgw_keystone_admin_password_path": GATEWAY_PASSWORD,
        "rgw_keystone_admin_project": login["project_name"],
        "rgw_keystone_admin_domain": login["user_domain_name"],
        "rgw_keystone_accepted_roles": "admin, member",
        # Two projects may have containers of the same name.
        "rgw_keystone_implicit_tenants": "true",
        "rgw_s3_auth_use_keystone": "true",
        "rgw_swift_account_in_url": "true",
    }


def _keyring(cloud: Cloud, entities: Mapping[str, Mapping[str, str]]) -> Text:
    """Write a keyring: names of users to what they may do, of each service; nothing where the monitor knows that."""
    text: Text = ""
    for name, caps in entities.items():
        rights = "".join(f'\tcaps {service} = "{what}"\n' for service, what in caps.items())
        text = text + (f"[{name}]\n\tkey = " + _key(cloud, name) + f"\n{rights}")
    return text


def _rights(pool: str, more: str = "") -> dict[str, str]:
    """Return what a service may do that keeps images of disks in a pool.

    Args:
        more: what else it may do there.
    """
    return {"mon": "profile rbd", "osd": f"profile rbd pool={pool}{more}", "mgr": f"profile rbd pool={pool}"}


def _key(cloud: Cloud, name: str) -> Secret:
    """Return a user's key, which derives from the lab's secret: all keys are known before there is a cluster."""

    def key(word: str) -> str:
        return base64.b64encode(struct.pack("<HIIH", 1, 1, 0, 16) + _bytes(word, name)).decode()

    return cloud.secret("ceph").map(key)


def _uuid(cloud: Cloud, name: str) -> str:
    """Return a UUID of the cluster's own. It is the same in all forks, for it stands on the disks of the OSDs."""
    return str(uuid.UUID(bytes=_bytes(cloud.secrets["ceph"], f"uuid of {name}"), version=4))


def _bytes(word: str, name: str) -> bytes:
    return hashlib.sha256(f"{word}/{name}".encode()).digest()[:16]
