"""The network service's control plane."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Action, Ini, Packages, PutFile, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles.role import Password, Reports, Step, role
from labctl.roles.shared import Values, as_user, authtoken, database, endpoint, merge, messaging, notifications, uwsgi

VLANS = "100:199"
"""Numbers for the tenants' networks on the private network."""
TUNNELS = "1:1000"
"""Numbers for the tenants' networks in tunnels."""

_NUMBERS = {"vxlan": "vni_ranges", "gre": "tunnel_id_ranges"}


def common(cloud: Cloud) -> Values:
    """Return the settings of neutron.conf that control plane and agents share."""
    return merge(
        messaging(cloud),
        {
            "DEFAULT": {"core_plugin": "ml2", "service_plugins": "router", "dhcp_agents_per_network": 1}
            | {"agent_down_time": cloud.seconds(75, 600)},
            "agent": {
                "report_interval": cloud.seconds(10, 60),
                "root_helper_daemon": "sudo neutron-rootwrap-daemon /etc/neutron/rootwrap.conf",
            },
            "oslo_concurrency": {"lock_path": "/var/lock/neutron"},
        },
    )


def agent(cloud: Cloud, node: str) -> tuple[Action, ...]:
    """Set up Open vSwitch and its agent on a node: br100 carries the tenants' networks, br-ex the public one."""
    carrier, bridged = cloud.spec.carrier, cloud.spec.firewall == "iptables_hybrid"
    bridges = {}
    if private := cloud.spec.private and cloud.card(node, cloud.spec.private):
        bridges["br100"] = private
    external = cloud.card(node, cloud.spec.public) if node in cloud.nodes("gateway") else None
    if external:
        bridges["br-ex"] = external
    physical = {"br100": "private", "br-ex": "external"}
    ports = [f"--may-exist add-br {bridge} -- --may-exist add-port {bridge} {card}" for bridge, card in bridges.items()]
    return (
        Packages(names=("neutron-openvswitch-agent", "openvswitch-switch")),
        Ini(path="/etc/neutron/neutron.conf", values=common(cloud)),
        Ini(
            path="/etc/neutron/plugins/ml2/openvswitch_agent.ini",
            values={
                "ovs": {
                    "bridge_mappings": ",".join(f"{physical[bridge]}:{bridge}" for bridge in bridges),
                    "local_ip": None if carrier == "vlan" else cloud.address(node),
                },
                "agent": {
                    "tunnel_types": "" if carrier == "vlan" else carrier,
                    "l2_population": False,
                    "polling_interval": cloud.seconds(2, 10),
                },
                "securitygroup": {"firewall_driver": cloud.spec.firewall, "enable_ipset": bridged},
            },
        ),
        *(_filtered() if bridged else ()),
        *_external(cloud, node, external),
        Unit(names=("openvswitch-switch",)),
        Run(
            # The agent talks to Open vSwitch's database by this port; to open it, it would start a helper as root.
            command=" -- ".join(["ovs-vsctl set-manager ptcp:6640:127.0.0.1", *ports]),
            unless=" && ".join(
                ["ovs-vsctl get-manager | grep -q 6640", *(f"ovs-vsctl br-exists {b}" for b in bridges)]
            ),
        ),
        *((Run(command="networkctl reload", unless="ip -br addr show br-ex | grep -q /"),) if external else ()),
        Unit(names=("neutron-openvswitch-agent",), seconds=90),
    )


def _filtered() -> tuple[Action, ...]:
    """Have iptables see what passes a Linux bridge: the kernel's part for it is a module, which nothing else loads."""
    return (
        PutFile(path="/etc/modules-load.d/labctl-bridges.conf", content="br_netfilter\n"),
        Run(command="modprobe br_netfilter", unless="test -e /proc/sys/net/bridge/bridge-nf-call-iptables"),
    )


def _external(cloud: Cloud, node: str, card: str | None) -> tuple[Action, ...]:
    """Move the node's public address from its card to the bridge that the card becomes a port of."""
    if card is None:
        return ()
    nic = next(nic for nic in cloud.plan(node).nics if nic.name == card)
    addresses = "" if nic.address is None else f"Address={nic.address}/{nic.prefix}\n"
    quiet = "LinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    return (
        PutFile(path=f"/etc/systemd/network/05-{card}.network", content=f"[Match]\nName={card}\n\n[Network]\n{quiet}"),
        PutFile(
            path="/etc/systemd/network/05-br-ex.network",
            content=f"[Match]\nName=br-ex\n\n[Network]\n{quiet}{addresses}ConfigureWithoutCarrier=yes\n",
        ),
    )


@role(
    "neutron",
    "Network service, control plane",
    chapter=10,
    needs=("keystone", "rabbitmq"),
    reports=Reports("neutron.agents", "heartbeat_timestamp"),
    single=True,
    passwords=(Password("neutron"), Password("neutron-db")),
)
def neutron(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up Neutron's API and RPC server with ML2 and Open vSwitch."""
    yield Step(title="Neutron's database", node=cloud.node("mariadb"), actions=(database(cloud, "neutron"),))
    yield Step(
        title="Neutron's user and endpoints",
        node=cloud.node("keystone"),
        actions=(endpoint(cloud, "neutron", "network", "OpenStack Networking", 9696),),
    )
    kind = cloud.spec.carrier
    notify = {"nova": cloud.credentials("nova")} if cloud.nodes("nova") else {}
    named = _named(cloud)
    yield Step(
        title="Neutron's configuration and tables",
        node=node,
        actions=(
            Packages(names=("neutron-api", "neutron-rpc-server", "python3-pymysql", "curl")),
            Ini(
                path="/etc/neutron/neutron.conf",
                values=merge(
                    common(cloud),
                    authtoken(cloud, "neutron", node),
                    {
                        "DEFAULT": {
                            "api_workers": 1,
                            "rpc_workers": 1,
                            "rpc_state_report_workers": 0,
                            "notify_nova_on_port_status_changes": bool(notify),
                            "notify_nova_on_port_data_changes": bool(notify),
                        },
                        "database": {"connection": cloud.database_url("neutron")},
                    },
                    notify,
                    notifications(cloud),
                    named,
                ),
            ),
            Ini(
                path="/etc/neutron/plugins/ml2/ml2_conf.ini",
                values={
                    "ml2": {
                        "type_drivers": "flat,vlan,vxlan,gre" if kind == "gre" else "flat,vlan,vxlan",
                        "tenant_network_types": kind,
                        "mechanism_drivers": "openvswitch",
                        "extension_drivers": "port_security,dns" if named else "port_security",
                    },
                    "ml2_type_flat": {"flat_networks": "external"},
                    # Neutron derives the MTU from what carries a network: 1500 for VLANs, 1450 VXLAN, 1458 GRE.
                    **({f"ml2_type_{kind}": {_NUMBERS[kind]: TUNNELS}} if kind in _NUMBERS else {}),
                    "ml2_type_vlan": {"network_vlan_ranges": f"private:{VLANS}" if kind == "vlan" else None},
                },
            ),
            uwsgi("neutron-api", "neutron"),
            Run(
                command=as_user(
                    "neutron",
                    "neutron-db-manage --config-file /etc/neutron/neutron.conf "
                    "--config-file /etc/neutron/plugins/ml2/ml2_conf.ini upgrade heads",
                ),
                seconds=600,
            ),
        ),
    )
    address = cloud.address(node)
    yield Step(
        title="Neutron answers",
        node=node,
        actions=(
            Unit(names=("neutron-api", "neutron-rpc-server"), seconds=90),
            Wait(until=f"curl -sf -o /dev/null http://{address}:9696/", what="Neutron answers", seconds=120),
        ),
    )


def _named(cloud: Cloud) -> Values:
    """Return the settings with which Neutron has Designate name floating addresses; none where a cloud has no names."""
    if not cloud.nodes("designate"):
        return {}
    return {
        "DEFAULT": {"external_dns_driver": "designate", "dns_domain": f"{cloud.lab.domain}."},
        "designate": cloud.credentials("designate")
        | {"url": f"http://{cloud.internal('designate')}:9001/v2", "allow_reverse_dns_lookup": False},
    }
