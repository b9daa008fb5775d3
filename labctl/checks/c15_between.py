"""C15: from host to host."""

from __future__ import annotations

from labctl.checks import bench
from labctl.checks.log import Log, cloud_check

_ICMP = 28  # bytes of IP's and ICMP's headers


@cloud_check(
    "C15",
    "Servers on two compute nodes reach each other, with packets of full size",
    exercises="bridges, VLAN or tunnel between the compute nodes, MTU",
    needs=("C13",),
    limit=(60, 180),
)
def between(log: Log) -> None:
    """Ping the second compute node's server from the first one's, once small and once as large as the interface takes.
    With one compute node it is SKIPPED."""
    hosts = log.cloud.nodes("compute")
    if len(hosts) < 2:
        log.skip("the lab has one compute node alone")
    guest, other = bench.shell(log, bench.first(log)), bench.server(log, hosts[1])
    target = bench.port(log, other).fixed_ips[0]["ip_address"]
    seconds = log.subject.scaled(30, 120)
    with log.step("ping", node=hosts[1], suspect="neutron-openvswitch-agent"):
        guest.run(f"sudo ping -c 3 {target}", timeout=seconds)
    with log.step("ping of full size", node=hosts[1], suspect="neutron-openvswitch-agent: MTU"):
        guest.run(
            f"read -r mtu </sys/class/net/eth0/mtu; sudo ping -c 3 -s $((mtu - {_ICMP})) {target}", timeout=seconds
        )
