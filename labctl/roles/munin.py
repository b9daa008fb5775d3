"""Graphs: nodes that tell their values, and a master that asks them, keeps the values and draws."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from labctl.changes import Action, Packages, PutFile, Run, Unit, Wait
from labctl.cloud import graphs
from labctl.cloud.cloud import Cloud
from labctl.quoting import shell
from labctl.roles.role import Step, role
from labctl.spec.document import Problem
from labctl.spec.topology import Topology

_LIBVIRT = ("libvirt-blkstat", "libvirt-cputime", "libvirt-ifstat", "libvirt-mem")

# host: with * the node also asks for an IPv6 socket, and does not start before one of its cards has an IPv6 address.
_NODE = """log_level 4
log_file /var/log/munin/munin-node.log
pid_file /run/munin/munin-node.pid
user root
group root
ignore_file [\\#~]$
ignore_file \\.dpkg-(tmp|new|old|dist)$
host_name {name}
host 0.0.0.0
port {port}
allow ^127\\.0\\.0\\.1$
allow ^{master}$
"""

_MASTER = """dbdir /var/lib/munin
htmldir /var/cache/munin/www
logdir /var/log/munin
rundir /run/munin
tmpldir /etc/munin/templates
staticdir /etc/munin/static
includedir /etc/munin/munin-conf.d
"""

# An emulated master needs a minute and more for a round. What is kept for every five minutes would have gaps.
_SELDOM = """update_rate {seconds}
graph_data_size custom 9d, 2h for 45d, 1d for 450d
"""

# The package's own file lets in nobody from elsewhere.
_SITE = """Alias /munin /var/cache/munin/www
<Directory /var/cache/munin/www>
    Require all granted
    Options None
</Directory>
"""

# The package starts its rounds by cron, which no node has.
_SERVICE = """[Unit]
Description=Munin's round: ask all nodes, keep their values, draw
Documentation=man:munin-cron(8)

[Service]
Type=oneshot
User=munin
Nice=10
ExecStart=/usr/bin/munin-cron
"""

_TIMER = """[Unit]
Description=Munin's rounds

[Timer]
OnCalendar=*:0/{minutes}
RandomizedDelaySec={spread}
AccuracySec=1

[Install]
WantedBy=timers.target
"""


def _fits(topology: Topology) -> Iterator[Problem]:
    masters = any("munin" in node.roles for node in topology.nodes.values())
    for name, node in topology.nodes.items():
        if "munin-node" in node.roles and not masters:
            text = "the role munin-node tells its values to the node with the role munin, and there is none"
            yield Problem(("nodes", name, "roles", node.roles.index("munin-node")), text)


def _beside(topology: Topology) -> Iterator[Problem]:
    for name, node in topology.nodes.items():
        if "munin" in node.roles and "horizon" not in node.roles:
            text = "the role munin shows its graphs beside the dashboard: give it to a node with the role horizon"
            yield Problem(("nodes", name, "roles", node.roles.index("munin")), text)


@role("munin-node", "Graphs, node", after=("compute",), fits=_fits, layer="munin")
def node(cloud: Cloud, node: str) -> Iterator[Step]:
    """Tell the master load, memory, disks and network of a node; on compute nodes, those of the instances as well."""
    plan = cloud.plan(node)
    virtual = "compute" in plan.roles
    plugins = ["cpu", "df", "load", "memory", *(f"if_{nic.name}" for nic in plan.nics)]
    file = _NODE.format(name=node, port=graphs.PORT, master=re.escape(cloud.internal("munin")))
    yield Step(
        title="what the node tells Munin",
        node=node,
        actions=(
            Packages(names=("munin-node", *(["munin-libvirt-plugins"] if virtual else []))),
            PutFile(path="/etc/munin/munin-node.conf", content=file),
            *(
                [PutFile(path="/etc/munin/plugin-conf.d/libvirt", content="[libvirt-*]\nenv.uri qemu:///system\n")]
                if virtual
                else []
            ),
            _plugins([*plugins, *(_LIBVIRT if virtual else ())]),
            Unit(names=("munin-node",)),
            Wait(until=f"{graphs.question('127.0.0.1')} | grep -q ^load", what="Munin's node tells its load"),
        ),
    )


@role("munin", "Graphs, master", needs=("munin-node", "horizon"), single=True, fits=_beside, layer="munin")
def munin(cloud: Cloud, node: str) -> Iterator[Step]:
    """Ask all nodes by a timer of our own, and show graphs under /munin."""
    nodes = cloud.nodes("munin-node")
    group = cloud.lab.domain
    asked = "".join(f"[{group};{name}]\n    address {cloud.address(name)}\n    use_node_name yes\n" for name in nodes)
    minutes = cloud.seconds(*graphs.ROUNDS)
    timer = _TIMER.format(minutes=minutes, spread=minutes * 6)
    seldom = _SELDOM.format(seconds=minutes * 60) if cloud.slow else ""
    yield Step(
        title="whom Munin asks, how often, and its pages",
        node=node,
        actions=(
            Packages(names=("munin", "curl")),
            PutFile(path="/etc/munin/munin.conf", content=_MASTER + seldom + asked),
            PutFile(path="/etc/apache2/conf-available/munin.conf", content=_SITE),
            PutFile(path="/etc/systemd/system/munin-cron.service", content=_SERVICE),
            PutFile(path="/etc/systemd/system/munin-cron.timer", content=timer),
            Run(command="a2enconf -q munin", unless="test -e /etc/apache2/conf-enabled/munin.conf"),
            Unit(names=("apache2", "munin-cron.timer")),
        ),
    )
    site = f"http://{cloud.address(node)}"
    seen = " && ".join(f"curl -sf -o /dev/null {site}{graphs.picture(group, name)}" for name in nodes)
    yield Step(
        title="Munin's first round; its graphs are there",
        node=node,
        live=True,
        actions=(
            Run(command="systemctl start munin-cron.service", seconds=300),
            Wait(until=seen, what="Munin shows graphs of every node"),
        ),
    )


def _plugins(names: Sequence[str]) -> Action:
    """Link the plugins that a node runs, and no others.

    The package links what it found on the machine where it was installed, and an image is built elsewhere. Each costs
    the node a program or two at each round.
    """
    folder, source = "/etc/munin/plugins", "/usr/share/munin/plugins"
    links = "; ".join(f"ln -s {source}/{'if_' if name.startswith('if_') else name} {name}" for name in names)
    wanted = " ".join(sorted(names))
    return Run(
        command=f"cd {folder} && rm -f * && {{ {links}; }}",
        unless=f'[ "$(LC_ALL=C ls {folder} | xargs)" = {shell(wanted)} ]',
    )
