"""The image service."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Ini, Packages, PutFile, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.quoting import parser
from labctl.roles import ceph, login
from labctl.roles.role import Password, Step, role
from labctl.roles.shared import (
    Values,
    as_user,
    authtoken,
    database,
    endpoint,
    merge,
    messaging,
    notifications,
    uwsgi,
)
from labctl.spec.document import Problem
from labctl.spec.topology import Topology

_SWIFT = "/etc/glance/swift.conf"


def _fits(topology: Topology) -> Iterator[Problem]:
    swift = topology.openstack is not None and topology.openstack.images == "swift"
    if swift and not any("swift" in node.roles for node in topology.nodes.values()):
        text = "images are to be in Swift, and no node has the role swift; give it to one, or remove this line"
        yield Problem(("openstack", "images"), text)


@role(
    "glance",
    "Image service",
    chapter=6,
    needs=("keystone",),
    after=("ceph-osd", "swift"),
    single=True,
    passwords=(Password("glance"), Password("glance-db")),
    fits=_fits,
    loses="the files of images that were uploaded into its folder since, whose records stay in the database",
    clean="""
        ids=$(openstack image list -f value -c ID)
        kept() { openstack image show -f json $1 | grep -q '"stores": "local"'; }
        gone=$(for id in $ids; do test -e /var/lib/glance/images/$id || ! kept $id || echo $id; done)
        [ -z "$gone" ] || openstack image delete $gone""",
)
def glance(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up Glance with images in a folder of its node, in Ceph where the cloud has it, in Swift where it shall be."""
    yield Step(title="Glance's database", node=cloud.node("mariadb"), actions=(database(cloud, "glance"),))
    yield Step(
        title="Glance's user and endpoints",
        node=cloud.node("keystone"),
        actions=(endpoint(cloud, "glance", "image", "OpenStack Image", 9292),),
    )
    swift = cloud.spec.images == "swift"
    yield Step(
        title="Glance's configuration and tables",
        node=node,
        actions=(
            Packages(
                names=(
                    *("glance-api", "python3-pymysql", "python3-openstackclient", "curl"),
                    *(["python3-swiftclient"] if swift else []),
                )
            ),
            Ini(
                path="/etc/glance/glance-api.conf",
                values=merge(
                    authtoken(cloud, "glance", node),
                    _stores(cloud),
                    {
                        # Without a parent process: its green wait for the worker wakes up a hundred times a second.
                        "DEFAULT": {"workers": 0},
                        "database": {"connection": cloud.database_url("glance")},
                        "paste_deploy": {"flavor": "keystone"},
                    },
                    _told(cloud),
                ),
            ),
            *(ceph.client(cloud, ceph.GLANCE, "glance:glance") if cloud.nodes("ceph-mon") else ()),
            *([_account(cloud)] if swift else []),
            uwsgi("glance-api", "glance"),
            Run(command=as_user("glance", "glance-manage db_sync"), seconds=300),
        ),
    )
    yield Step(
        title="Glance answers",
        node=node,
        actions=(
            Unit(names=("glance-api",)),
            Wait(until=f"curl -sf -o /dev/null http://{cloud.address(node)}:9292/", what="Glance answers", seconds=90),
            *login.files(cloud, node),
        ),
    )


def _told(cloud: Cloud) -> Values:
    """Return the settings with which Glance tells what it does; it needs the message queue for nothing else."""
    return merge(messaging(cloud), told) if (told := notifications(cloud)) else {}


def _stores(cloud: Cloud) -> Values:
    """Return the settings of the places of images: the folder; Ceph for whoever asks for it; Swift for all new ones."""
    swift = cloud.spec.images == "swift"
    backends = ["local:file"]
    values: Values = {
        "glance_store": {"default_backend": "swift" if swift else "local"},
        "local": {"filesystem_store_datadir": "/var/lib/glance/images"},
    }
    options: dict[str, object] = {}
    if cloud.nodes("ceph-mon"):
        backends.append("rbd:rbd")
        options = {"show_image_direct_url": True}  # Cinder clones an image in Ceph when it is told where it is
        values["rbd"] = {
            "rbd_store_ceph_conf": "/etc/ceph/ceph.conf",
            "rbd_store_pool": ceph.IMAGES,
            "rbd_store_user": ceph.GLANCE,
        }
    if swift:
        backends.append("swift:swift")
        values["swift"] = {
            "swift_store_config_file": _SWIFT,
            "default_swift_reference": "lab",
            "swift_store_create_container_on_put": True,
            "swift_store_endpoint_type": "internalURL",
            "swift_store_region": cloud.spec.region,
        }
    return {"DEFAULT": {"enabled_backends": ",".join(backends)} | options} | values


def _account(cloud: Cloud) -> PutFile:
    """Return the file with the login, which is no option of Glance's: the places of images name its section alone."""
    login = ("user = service:glance", f"auth_address = {cloud.auth_url()}", "auth_version = 3")
    domains = ("user_domain_name = Default", "project_domain_name = Default")
    key = "key = " + cloud.secret("glance").map(parser) + "\n"
    text = "\n".join(("[lab]", *login, *domains, "")) + key
    return PutFile(path=_SWIFT, content=text, owner="glance:glance", mode=0o600)
