"""C27: names."""

from __future__ import annotations

from typing import Any

from labctl.checks import bench
from labctl.checks.log import Log, cloud_check

_SECONDS = (60.0, 300.0)
_ADDRESS = "192.0.2.7"  # of RFC 5737: for documents


@cloud_check(
    "C27:record",
    "A name resolves",
    exercises="Designate's API, central, worker and mdns; BIND",
    needs=("C02:designate",),
    limit=(180, 600),
)
def record(log: Log) -> None:
    """Make a zone of demo with an address in it, see the zone active, ask BIND for the address from outside the nodes,
    and remove the zone."""
    cloud, node = log.cloud, log.cloud.node("designate")
    if not node:
        log.skip("no node has the role designate")
    with cloud.made.scope(cloud):
        made = zone(log, "record")
        with log.step("record", node=node, suspect="designate: its central service"):
            cloud.demo.dns.create_recordset(made, name=f"www.{made.name}", type="A", records=[_ADDRESS])
        resolved(log, f"www.{made.name}", _ADDRESS, suspect="designate: its mdns, or BIND")


@cloud_check(
    "C27:floating",
    "A floating address gets its name",
    exercises="Neutron's driver for names, Designate's API",
    needs=("C27:record", "C09"),
    limit=(180, 600),
)
def floating(log: Log) -> None:
    """Make a zone and a floating address with a name in it, ask BIND for the name, and remove both."""
    cloud, node = log.cloud, log.cloud.node("neutron")
    if not cloud.nodes("designate") or not cloud.nodes("tenant"):
        log.skip("no node has the roles designate and tenant")
    with cloud.made.scope(cloud):
        made = zone(log, "floating")
        with log.step("address", node=node, suspect="neutron: its driver for names"):
            address = cloud.made.make(
                "address",
                "named",
                lambda name: cloud.demo.network.create_ip(
                    floating_network_id=bench.pool(log).id,
                    description=name,
                    dns_name="www",
                    dns_domain=made.name,
                ),
            )
        resolved(log, f"www.{made.name}", address.floating_ip_address, suspect="neutron: its driver for names", at=node)


def zone(log: Log, what: str) -> Any:
    """Make a zone and wait until the name server has it."""
    cloud, node = log.cloud, log.cloud.node("designate")
    names, domain = cloud.demo.dns, log.subject.lab.domain
    with log.step("zone", node=node, suspect="designate: its central service"):
        made = cloud.made.make(
            "zone", what, lambda name: names.create_zone(name=f"{name}.{domain}.", email=f"hostmaster@{domain}", ttl=60)
        )
    with log.step("active", node=node, suspect="designate: its worker, or BIND"):
        log.status(lambda: names.get_zone(made.id), "ACTIVE", _SECONDS)
    return made


def resolved(log: Log, name: str, address: str, *, suspect: str, at: str = "") -> None:
    """See that BIND answers a question from outside the nodes."""
    from labctl.cloud.names import addresses

    cloud = log.cloud
    with log.step("resolve", node=at or cloud.node("designate"), suspect=suspect):
        log.until(
            lambda: address in addresses(cloud.dialer, cloud.public("designate"), name, timeout=cloud.seconds),
            f"BIND said that {name} was {address}",
            _SECONDS,
        )
