"""The node between the tenants' networks and the public one: Open vSwitch, routers, DHCP, metadata."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Ini, Packages, Unit
from labctl.cloud.cloud import Cloud
from labctl.roles import neutron
from labctl.roles.role import Step, role
from labctl.roles.shared import listens, wait_for_reports


@role(
    "gateway",
    "Network gateway",
    needs=("neutron", "nova"),
    networks=("internal", "public", "private"),
    instructions=("cx16",),  # haproxy's
)
def gateway(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up Neutron's agents that serve all instances."""
    yield Step(
        title="the network agents' configuration",
        node=node,
        actions=(
            Packages(names=("neutron-l3-agent", "neutron-dhcp-agent", "neutron-metadata-agent", "haproxy")),
            Ini(path="/etc/neutron/l3_agent.ini", values={"DEFAULT": {"agent_mode": "legacy"}}),
            Ini(
                path="/etc/neutron/dhcp_agent.ini",
                values={
                    "DEFAULT": {
                        "enable_isolated_metadata": True,
                        "num_sync_threads": 1,
                        "dnsmasq_local_resolv": False,
                    }
                },
            ),
            Ini(
                path="/etc/neutron/metadata_agent.ini",
                values={
                    "DEFAULT": {
                        "nova_metadata_host": cloud.internal("nova"),
                        "metadata_proxy_shared_secret": cloud.secret("metadata"),
                        "metadata_workers": 0,
                    }
                },
            ),
        ),
    )
    units = ("neutron-l3-agent", "neutron-dhcp-agent", "neutron-metadata-agent")
    yield Step(title="Open vSwitch and its agent run", node=node, live=True, actions=tuple(neutron.agent(cloud, node)))
    # Ports of the other agents can only be bound on a node whose Open vSwitch agent is known to be up.
    yield Step(
        title="the Open vSwitch agent reports",
        node=cloud.node("mariadb"),
        live=True,
        actions=(wait_for_reports(cloud, node, "neutron-openvswitch-agent"),),
    )
    yield Step(title="the network agents run", node=node, live=True, actions=(Unit(names=units, seconds=90),))
    # It reads all networks first and listens afterwards: of a port that is made in between it never hears.
    yield Step(
        title="the DHCP agent listens",
        node=cloud.node("rabbitmq"),
        live=True,
        actions=(listens(f"dhcp_agent.{node}"),),
    )
    yield Step(
        title="the network agents report",
        node=cloud.node("mariadb"),
        live=True,
        actions=(wait_for_reports(cloud, node, *units),),
    )
