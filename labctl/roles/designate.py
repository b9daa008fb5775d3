"""The name service: zones that belong to projects, answered by BIND."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from importlib import resources

from labctl.changes import Action, Ini, Packages, PutFile, Python, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.quoting import shell, yaml
from labctl.roles.role import Password, Step, role
from labctl.roles.shared import as_user, authtoken, database, endpoint, listens, merge, messaging, uwsgi
from labctl.secret import Text

_KEY = "/etc/designate/rndc.key"  # with which Designate's worker has BIND take up zones
_BIND_KEY = "/etc/bind/designate.key"  # the same for BIND, which may not look into /etc/designate
_PORT = 5354  # where BIND fetches the zones
_TTL = 60  # seconds that a name is kept by those who asked: in a class it changes often


def zone(cloud: Cloud) -> str:
    """Return the zone of demo's servers: the lab's domain, with the dot of an absolute name."""
    return f"{cloud.lab.domain}."


@role(
    "designate",
    "Name service",
    needs=("keystone", "rabbitmq"),
    single=True,
    passwords=(Password("designate"), Password("designate-db"), Password("designate-rndc")),
    loses="the zones that its BIND took up since, which stay in Designate",
    clean=f"""
        own=$(sed -n 's/^listen = \\(.*\\):{_PORT}$/\\1/p' /etc/designate/designate.conf)
        names=$(openstack zone list --all-projects -f value -c name)
        for name in $names; do
            rndc -k {_BIND_KEY} zonestatus $name >/dev/null 2>&1 || rndc -k {_BIND_KEY} addzone \
                "$name {{ type secondary; primaries {{ $own port {_PORT}; }}; file \\"secondary.$name\\"; }};"
        done""",
    layer="designate",
)
def designate(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up Designate with a BIND of its own, and a zone for demo's servers."""
    yield Step(title="Designate's database", node=cloud.node("mariadb"), actions=(database(cloud, "designate"),))
    yield Step(
        title="Designate's user and endpoints",
        node=cloud.node("keystone"),
        actions=(endpoint(cloud, "designate", "dns", "OpenStack DNS", 9001),),
    )
    address = cloud.address(node)
    values = merge(
        messaging(cloud),
        authtoken(cloud, "designate", node),
        {
            "storage:sqlalchemy": {"connection": cloud.database_url("designate")},
            "service:central": {"workers": 1},
            "service:mdns": {"workers": 1, "listen": f"{address}:{_PORT}"},
            "service:producer": {"workers": 1},
            "service:worker": {"workers": 1},
            "oslo_concurrency": {"lock_path": "/var/lock/designate"},
        },
    )
    yield Step(
        title="BIND's configuration",
        node=node,
        actions=(
            Packages(names=("bind9", "bind9-dnsutils")),
            PutFile(path=_BIND_KEY, content=_key(cloud), owner="bind:bind", mode=0o600),
            PutFile(path="/etc/bind/named.conf.options", content=_OPTIONS),
            PutFile(path="/etc/bind/named.conf.local", content=_CONTROL),
        ),
    )
    yield Step(
        title="Designate's configuration and tables",
        node=node,
        actions=(
            Packages(
                names=(
                    *(f"designate-{name}" for name in ("api", "central", "mdns", "producer", "worker")),
                    *("python3-designateclient", "python3-openstackclient", "python3-pymysql", "curl"),
                )
            ),
            Ini(path="/etc/designate/designate.conf", values=values),
            PutFile(path=_KEY, content=_key(cloud), owner="designate:designate", mode=0o600),
            PutFile(path="/etc/designate/pools.yaml", content=_pool(cloud, node)),
            uwsgi("designate-api", "designate", green=1),
            Run(command=as_user("designate", "designate-manage database sync"), seconds=300),
        ),
    )
    yield Step(
        title="Designate's API answers",
        node=node,
        actions=(
            Unit(names=("designate-central", "designate-api"), seconds=90),
            Wait(until=f"curl -sf -o /dev/null http://{address}:9001/", what="Designate answers", seconds=90),
        ),
    )
    yield Step(title="Designate's centre listens", node=cloud.node("rabbitmq"), actions=(listens("central"),))
    yield Step(
        title="Designate knows its BIND",
        node=node,
        actions=(Run(command=as_user("designate", "designate-manage pool update"), seconds=120),),
    )
    yield Step(
        title="BIND and Designate's services run",
        node=node,
        live=True,
        actions=(
            Unit(names=("named", "designate-mdns", "designate-worker", "designate-producer"), seconds=90),
            Wait(until=f"rndc -k {_BIND_KEY} status >/dev/null", what="BIND takes orders"),
        ),
    )
    yield Step(title="Designate's worker listens", node=cloud.node("rabbitmq"), live=True, actions=(listens("worker"),))
    yield Step(
        title="a zone for demo's servers",
        node=node,
        live=True,
        actions=(
            _zone(cloud),
            Wait(
                until=f"dig +short +tries=1 @{address} {shell(zone(cloud))} SOA | grep -q .",
                what=f"BIND answers for {zone(cloud)}",
                seconds=180,
            ),
        ),
    )


# Nobody else is asked: there is no internet. Zones come from Designate alone, and live in BIND's own folder.
_OPTIONS = """options {
    directory "/var/cache/bind";
    allow-new-zones yes;
    recursion no;
    dnssec-validation no;
    listen-on-v6 { none; };
};
"""
_CONTROL = f"""include "{_BIND_KEY}";
controls {{
    inet 127.0.0.1 port 953 allow {{ 127.0.0.1; }} keys {{ "designate"; }};
}};
"""


def _key(cloud: Cloud) -> Text:
    """Write the key as BIND's own programs read it."""
    secret = cloud.secret("designate-rndc").map(lambda word: base64.b64encode(word.encode()).decode())
    return 'key "designate" {\n    algorithm hmac-sha256;\n    secret "' + secret + '";\n};\n'


def _pool(cloud: Cloud, node: str) -> str:
    """Write the file that says which servers answer for zones, how they are told, and where they fetch them."""
    address, name = yaml(cloud.address(node)), yaml(f"{cloud.public('designate')}.")
    return f"""---
- name: default
  description: BIND on {node}
  attributes: {{}}
  ns_records:
    - hostname: {name}
      priority: 1
  nameservers:
    - host: {address}
      port: 53
  targets:
    - type: bind9
      description: BIND on {node}
      masters:
        - host: {address}
          port: {_PORT}
      options:
        host: {address}
        port: 53
        rndc_host: 127.0.0.1
        rndc_port: 953
        rndc_key_file: {_KEY}
"""


def _zone(cloud: Cloud) -> Action:
    """Make demo's zone with the nodes' public names in it, which instances find nowhere else."""
    login = {
        "auth_url": cloud.auth_url(),
        "username": "demo",
        "password": cloud.secret("demo"),
        "project_name": "demo",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    return Python(
        title=f"make zone {zone(cloud)}",
        source=resources.files("labctl.roles.inside").joinpath("zone.py").read_text(),
        data={
            "login": login,
            "region": cloud.spec.region,
            "name": zone(cloud),
            "email": f"hostmaster@{cloud.lab.domain}",
            "ttl": _TTL,
            "addresses": {
                f"{name}.": str(entry.address)
                for entry in cloud.lab.hosts
                for name in entry.names
                if name.endswith(f".{cloud.lab.domain}")
            },
        },
        seconds=60,
    )
