"""Telemetry: agents that take what services tell and ask for the rest, and send it to Gnocchi."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Action, Ini, Packages, PutFile, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles.role import Password, Step, role
from labctl.roles.shared import as_user, ensure, listens, merge, messaging
from labctl.spec.document import Problem
from labctl.spec.topology import Topology

_METERS = {
    "glance": ("image.size",),
    "cinder": ("volume.size",),
    "neutron": ("ip.floating",),
    "ceilometer-compute": (
        "cpu",
        "memory.usage",
        "disk.device.read.bytes",
        "disk.device.write.bytes",
        "network.incoming.bytes",
        "network.outgoing.bytes",
    ),
}
"""What agents ask for, by the role that there must be. Services tell much more by themselves."""


def _fits(topology: Topology) -> Iterator[Problem]:
    for name, node in topology.nodes.items():
        if "ceilometer-compute" in node.roles and "compute" not in node.roles:
            text = "the role ceilometer-compute asks the node's libvirt: give it to a node with the role compute"
            yield Problem(("nodes", name, "roles", node.roles.index("ceilometer-compute")), text)


@role(
    "ceilometer",
    "Telemetry, central",
    needs=("gnocchi", "rabbitmq"),
    after=("glance", "nova", "neutron", "cinder", "heat"),
    single=True,
    passwords=(Password("ceilometer"), Password("ceilometer-signature")),
    layer="telemetry",
)
def ceilometer(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up the agent that takes the services' notifications, and the one that asks their APIs."""
    yield Step(
        title="Ceilometer's user",
        node=cloud.node("keystone"),
        actions=(
            ensure(
                cloud,
                users=[
                    {
                        "name": "ceilometer",
                        "password": cloud.secret("ceilometer"),
                        "roles": {"service": ["admin", "service"]},
                    }
                ],
            ),
        ),
    )
    yield Step(
        title="Ceilometer's configuration, and its kinds of resources in Gnocchi",
        node=node,
        actions=(
            Packages(names=("ceilometer-agent-central", "ceilometer-agent-notification")),
            *_configured(cloud),
            Run(command=as_user("ceilometer", "ceilometer-upgrade"), seconds=300),
        ),
    )
    yield Step(
        title="Ceilometer's agents run",
        node=node,
        live=True,
        actions=(Unit(names=("ceilometer-agent-notification", "ceilometer-agent-central"), seconds=90),),
    )
    yield Step(
        title="the notification agent listens",
        node=cloud.node("rabbitmq"),
        live=True,
        actions=(listens("notifications.info"),),
    )


@role(
    "ceilometer-compute",
    "Telemetry of instances",
    needs=("ceilometer", "compute"),
    fits=_fits,
    layer="telemetry",
)
def compute(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up the agent that asks a compute node's libvirt what each instance uses."""
    yield Step(
        title="Ceilometer's agent of the compute node runs",
        node=node,
        live=True,
        actions=(
            Packages(names=("ceilometer-agent-compute",)),
            *_configured(cloud),
            Wait(
                until=as_user("ceilometer", "virsh -r -c qemu:///system list >/dev/null"),
                what="libvirt answers Ceilometer's user",
            ),
            Unit(names=("ceilometer-agent-compute",), seconds=90),
        ),
    )


def _configured(cloud: Cloud) -> tuple[Action, ...]:
    """Write the files that all of Ceilometer's agents read: each takes the meters that it knows."""
    meters = "".join(f"        - {meter}\n" for role, names in _METERS.items() if cloud.nodes(role) for meter in names)
    source = (
        f"\n    - name: lab\n      interval: {cloud.seconds(60, 600)}\n      meters:\n{meters}" if meters else " []\n"
    )
    return (
        Ini(
            path="/etc/ceilometer/ceilometer.conf",
            values=merge(
                messaging(cloud),
                {
                    "service_credentials": cloud.credentials("ceilometer") | {"interface": "internal"},
                    "service_types": {"cinder": "block-storage"},
                    # Agents sign what they send to each other; the default is known to everybody.
                    "publisher": {"telemetry_secret": cloud.secret("ceilometer-signature")},
                },
            ),
        ),
        PutFile(path="/etc/ceilometer/polling.yaml", content=f"---\nsources:{source}"),
    )
