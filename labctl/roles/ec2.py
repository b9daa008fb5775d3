"""EC2's API. No supported one is left: its service is labctl's own, small, and has the tutorial's calls alone."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

from labctl.changes import Action, Ini, Packages, PutFile, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles.role import Password, Step, role
from labctl.roles.shared import ensure, uwsgi

PORT = 8773
"""Where it listens, as Nova's did."""

_FOLDER = "/usr/local/lib/ec2"
_SERVER = {
    "http-socket": f"0.0.0.0:{PORT}",
    "chdir": _FOLDER,
    "module": "ec2.api:application()",
    "master": True,
    "need-app": True,
    "enable-threads": True,
    "lazy-apps": True,
    "die-on-term": True,
    "disable-logging": True,  # the service writes a line for each request itself
}
_UNIT = """[Unit]
Description=EC2's API
After=network-online.target
Wants=network-online.target

[Service]
User=ec2
Group=ec2
NoNewPrivileges=yes
ExecStart=/usr/bin/uwsgi_python3 --ini /etc/ec2/ec2-api-uwsgi.ini
Restart=on-failure
TimeoutStopSec=15

[Install]
WantedBy=multi-user.target
"""


@role(
    "ec2",
    "EC2's API",
    needs=("keystone", "glance", "nova"),
    single=True,
    passwords=(Password("ec2"),),
)
def ec2(cloud: Cloud, node: str) -> Iterator[Step]:
    """Answer requests about images, instances and key pairs: Keystone knows the keys, Nova and Glance do the work."""
    public, internal = (f"http://{host}:{PORT}/services/Cloud" for host in (cloud.public("ec2"), cloud.internal("ec2")))
    endpoints = {"public": public, "internal": internal, "admin": internal}
    yield Step(
        title="EC2's user and endpoints",
        node=cloud.node("keystone"),
        actions=(
            ensure(
                cloud,
                # It acts as its callers; for itself it may ask Keystone about signatures, and no more.
                users=[{"name": "ec2", "password": cloud.secret("ec2"), "roles": {"service": ["service"]}}],
                services=[{"name": "ec2", "type": "ec2", "description": "EC2's API", "endpoints": endpoints}],
            ),
        ),
    )
    yield Step(
        title="EC2's API answers",
        node=node,
        actions=(
            Packages(names=("uwsgi-plugin-python3", "python3-openstacksdk", "python3-oslo.config", "curl")),
            Run(
                command="useradd --system --user-group --no-create-home --shell /usr/sbin/nologin ec2",
                unless="getent passwd ec2 >/dev/null",
            ),
            Run(
                command=f"install -d {_FOLDER}/ec2 && install -d -g ec2 -m 750 /etc/ec2",
                unless=f"test -d {_FOLDER}/ec2 && test -d /etc/ec2",
            ),
            *(_source(name) for name in ("__init__.py", "api.py", "calls.py")),
            Ini(
                path="/etc/ec2/ec2.conf",
                values={"keystone_authtoken": cloud.credentials("ec2")},
                owner="root:ec2",
                mode=0o640,
            ),
            uwsgi("ec2-api", "ec2", more=_SERVER),
            PutFile(path="/etc/systemd/system/ec2-api.service", content=_UNIT),
            Unit(names=("ec2-api",)),
            # Without a signature it refuses, which is an answer.
            Wait(until=f"curl -s -o /dev/null {internal}", what="EC2's API answers", seconds=90),
        ),
    )


def _source(name: str) -> Action:
    content = resources.files("labctl.roles.inside.ec2").joinpath(name).read_text()
    return PutFile(path=f"{_FOLDER}/ec2/{name}", content=content)
