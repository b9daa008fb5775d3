"""The object store: proxies that take requests, storage nodes that keep three copies in three zones."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

from labctl.changes import Action, Ini, Line, Packages, Permissions, PutFile, Python, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles.role import Password, Step, role
from labctl.roles.shared import Values, endpoint, ensure
from labctl.spec.document import Problem
from labctl.spec.topology import Topology

PORTS = {"account": 6202, "container": 6201, "object": 6200}
"""Where a storage node's three servers listen."""

_PROXY = "/etc/swift/proxy-server.conf"
_POWER = 10  # 1024 parts: each copy of 2 ** 18, as the guides have it, takes an emulated node ten minutes to place
_COPIES = 3
# Swift's files are read by Python's ConfigParser, for which some characters mean something.
_PLAIN = {"fits": r"[A-Za-z0-9_.~-]+", "rule": "it may have letters, digits and _ . ~ - alone"}
# S3's requests are signed: s3api finds the signature after authtoken had its turn, and s3token asks Keystone about it.
_PIPELINE = (
    "catch_errors gatekeeper healthcheck proxy-logging cache listing_formats bulk tempurl authtoken s3api s3token "
    "keystoneauth copy container-quotas account-quotas slo dlo versioned_writes symlink proxy-logging proxy-server"
)


def disks(topology: Topology, node: str) -> int:
    """Return how many data disks of a node are for objects: those that no volume group takes."""
    return len(topology.nodes[node].disks) - ("cinder-volume" in topology.duties[node])


def _fits(topology: Topology) -> Iterator[Problem]:
    for name, machine in topology.nodes.items():
        if "swift-storage" in machine.roles and machine.disks and not disks(topology, name):
            text = "the role swift-storage uses a data disk, and the only one is for volumes; add one, size: 5 GiB"
            yield Problem(("nodes", name, "roles", machine.roles.index("swift-storage")), text)


@role(
    "swift",
    "Object store, proxy",
    needs=("keystone", "memcached", "swift-storage"),
    single=True,
    passwords=(Password("swift", **_PLAIN), Password("swift-hash", **_PLAIN)),
    layer="swift",
)
def swift(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up Swift's proxy with Keystone's users, and S3 with their EC2 credentials."""
    yield Step(
        title="Swift's user, role and endpoints",
        node=cloud.node("keystone"),
        actions=(
            endpoint(cloud, "swift", "object-store", "OpenStack Object Storage", 8080, "/v1/AUTH_%(project_id)s"),
            ensure(cloud, roles=[{"name": "ResellerAdmin"}]),
        ),
    )
    login = cloud.credentials("swift")
    cache = f"{cloud.address(cloud.near('memcached', node))}:11211"
    yield Step(
        title="the proxy's configuration and rings",
        node=node,
        actions=(
            Packages(names=("swift-proxy", "python3-swiftclient", "curl")),
            *_hashes(cloud),
            _rings(cloud),
            Ini(
                path=_PROXY,
                dialect="plain",
                values={
                    "DEFAULT": {"bind_ip": "0.0.0.0", "workers": 0},  # noqa: S104 - its door is on the public network
                    "pipeline:main": {"pipeline": _PIPELINE},
                    "app:proxy-server": {
                        "account_autocreate": True,
                        "conn_timeout": cloud.seconds(1, 5),
                        "node_timeout": cloud.seconds(10, 60),
                        "recoverable_node_timeout": cloud.seconds(10, 60),
                    },
                    "filter:cache": {"memcache_servers": cache},
                    "filter:authtoken": {
                        "paste.filter_factory": "keystonemiddleware.auth_token:filter_factory",
                        "www_authenticate_uri": f"http://{cloud.public('keystone')}:5000",
                        "memcached_servers": cache,
                        "delay_auth_decision": True,  # what is public needs no token, and S3 has none
                        "service_token_roles": "service",
                        "service_token_roles_required": True,
                    }
                    | login,
                    "filter:keystoneauth": {
                        "paste.filter_factory": "swift.common.middleware.keystoneauth:filter_factory",
                        "operator_roles": "admin, member",
                        "reseller_admin_role": "ResellerAdmin",
                    },
                    "filter:s3api": {"location": cloud.spec.region},
                    # Keystone tells about signatures only to services (OSSA-2025-002).
                    "filter:s3token": {"auth_uri": cloud.auth_url(), "delay_auth_decision": True} | login,
                },
            ),
            _private(_PROXY),
        ),
    )
    yield Step(
        title="Swift answers",
        node=node,
        live=True,
        actions=(Unit(names=("swift-proxy",)), _answers(cloud, node, 8080, "Swift")),
    )


@role(
    "swift-storage",
    "Object store, storage node",
    disks=1,
    fits=_fits,
    loses="the copies of objects on its disks, until the other zones have sent theirs",
    layer="swift",
)
def storage(cloud: Cloud, node: str) -> Iterator[Step]:
    """Keep objects on the node's data disks, and exchange copies with the other zones."""
    yield Step(
        title="the storage node's configuration and rings",
        node=node,
        actions=(
            Packages(names=("swift-account", "swift-container", "swift-object", "xfsprogs", "rsync", "curl")),
            *_hashes(cloud),
            _rings(cloud),
            *(_server(cloud, name) for name in PORTS),
            PutFile(path="/etc/rsyncd.conf", content=_rsync(cloud.address(node))),
        ),
    )
    services = [unit for name in PORTS for unit in (f"swift-{name}", f"swift-{name}-replicator")]
    yield Step(
        title="disks for objects; the storage servers answer",
        node=node,
        live=True,
        actions=(
            *(action for device in cloud.lab.spare(node) for action in _disk(device)),
            Unit(names=("rsync", *services, "swift-container-updater", "swift-object-updater"), seconds=120),
            *(_answers(cloud, node, port, f"the {name} server") for name, port in PORTS.items()),
        ),
    )


def _private(path: str) -> Action:
    """Keep a file with secrets from everybody but Swift: the packages' own files are for all to read."""
    return Permissions(path=path, owner="root:swift", mode=0o640)


def _answers(cloud: Cloud, node: str, port: int, what: str) -> Wait:
    until = f"curl -sf -o /dev/null http://{cloud.address(node)}:{port}/healthcheck"
    return Wait(until=until, what=f"{what} answers", seconds=90)


def _hashes(cloud: Cloud) -> tuple[Action, ...]:
    """Set what every node mixes into the names that decide where an object lies."""
    word = cloud.secret("swift-hash")
    values: Values = {"swift-hash": {"swift_hash_path_suffix": word, "swift_hash_path_prefix": word}}
    path = "/etc/swift/swift.conf"
    return Ini(path=path, values=values, dialect="plain"), _private(path)


def _server(cloud: Cloud, name: str) -> Action:
    """Set up one of a storage node's servers, its replicator and its updater, each a single process."""
    pause = cloud.seconds(30, 180)
    values: Values = {
        # Requests and copies come from two networks.
        "DEFAULT": {"bind_ip": "0.0.0.0", "bind_port": PORTS[name], "workers": 0},  # noqa: S104
        f"{name}-replicator": {"interval": pause, "concurrency": 1},
    }
    if name != "account":
        values[f"{name}-updater"] = {"interval": pause, "concurrency": 1}
    return Ini(path=f"/etc/swift/{name}-server.conf", values=values, dialect="plain")


def _rsync(address: str) -> str:
    """Write the file of the rsync server, which takes copies from other nodes on the internal network."""
    modules = "".join(
        f"\n[{name}]\npath = /srv/node\nread only = false\nmax connections = 8\nlock file = /var/lock/{name}.lock\n"
        for name in PORTS
    )
    return f"uid = swift\ngid = swift\naddress = {address}\n{modules}"


def _disk(device: str) -> tuple[Action, ...]:
    """Make a file system on a disk, once, and mount it now and at each boot. Its owner is set when it is mounted."""
    place = f"/srv/node/{device}"
    return (
        Run(
            command=f"mkdir -p {place} && mkfs.xfs -q -L swift-{device} /dev/{device}",
            unless=f"test -d {place} && blkid -L swift-{device} >/dev/null",
        ),
        Line(
            path="/etc/fstab",
            match=f".* {place} .*",
            line=f"LABEL=swift-{device} {place} xfs noatime,nofail 0 0",
            add=True,
        ),
        Run(
            command=f"mount {place} && chown swift:swift {place}",
            unless=f"mountpoint -q {place} && test $(stat -c %U {place}) = swift",
        ),
    )


def _rings(cloud: Cloud) -> Action:
    """Make the rings from the topology, alike on every node: a zone for each storage node, in the topology's order."""
    nodes = cloud.nodes("swift-storage")
    public = {node: _on_public(cloud, node) for node in [*nodes, *cloud.nodes("swift")]}
    devices = [
        {
            "zone": zone,
            "ip": public[node] if all(public.values()) else cloud.address(node),
            "replication_ip": cloud.address(node),
            "device": device,
        }
        for zone, node in enumerate(nodes, start=1)
        for device in cloud.lab.spare(node)
    ]
    source = resources.files("labctl.roles.inside").joinpath("rings.py").read_text()
    data = {
        "ports": PORTS,
        "devices": devices,
        "power": _POWER,
        "replicas": min(_COPIES, len(devices)),
        "seed": cloud.lab.topology,
    }
    return Python(title="make the rings", source=source, data=data, seconds=60)


def _on_public(cloud: Cloud, node: str) -> str:
    """Return a node's address on the public network; empty where it has none."""
    return next(
        (str(nic.address) for nic in cloud.plan(node).nics if nic.network == cloud.spec.public and nic.address), ""
    )
