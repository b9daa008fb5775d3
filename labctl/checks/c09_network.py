"""C09: Neutron's objects."""

from __future__ import annotations

from labctl.checks.log import Log, cloud_check

_CIDR = "10.98.0.0/24"


@cloud_check(
    "C09",
    "A network with all that belongs to it is made and removed",
    exercises="Neutron's API, database, quota; no agent",
    needs=("C03:neutron",),
    limit=(60, 180),
)
def objects(log: Log) -> None:
    """Make a network, a subnet, a router with an interface to it, a port, a security group and a rule as demo, and
    remove them all."""
    cloud, node = log.cloud, log.cloud.node("neutron")
    if not node:
        log.skip("no node has the role neutron")
    neutron, made = cloud.demo.network, cloud.made
    with made.scope(cloud):
        with log.step("network and subnet", node=node, suspect="neutron"):
            network = made.make("network", "network", lambda name: neutron.create_network(name=name))
            subnet = made.make(
                "subnet",
                "subnet",
                lambda name: neutron.create_subnet(name=name, network_id=network.id, ip_version=4, cidr=_CIDR),
            )
        with log.step("router and interface", node=node, suspect="neutron"):
            router = made.make("router", "router", lambda name: neutron.create_router(name=name))

            def plug(_: str) -> object:
                neutron.add_interface_to_router(router, subnet.id)
                return subnet

            made.make("interface", "interface", plug, parent=router.id)
        with log.step("port", node=node, suspect="neutron"):
            made.make("port", "port", lambda name: neutron.create_port(name=name, network_id=network.id))
        with log.step("group and rule", node=node, suspect="neutron"):
            group = made.make("group", "group", lambda name: neutron.create_security_group(name=name))
            neutron.create_security_group_rule(
                security_group_id=group.id,
                direction="ingress",
                ethertype="IPv4",
                protocol="tcp",
                port_range_min=8080,
                port_range_max=8080,
            )
        with log.step("remove them", node=node, suspect="neutron"):
            log.cleaned(made.remove(cloud, lambda each: each.name.startswith(made.name("")) and each.kind in _KINDS))


_KINDS = ("network", "subnet", "router", "interface", "port", "group")
