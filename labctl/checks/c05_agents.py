"""C05: Neutron's agents, as admin sees them."""

from __future__ import annotations

from collections.abc import Iterable

from labctl.checks import reports
from labctl.checks.log import Log, Wrong, cloud_check
from labctl.checks.reports import ServiceReport

_GATEWAY = ("neutron-openvswitch-agent", "neutron-l3-agent", "neutron-dhcp-agent", "neutron-metadata-agent")


@cloud_check(
    "C05",
    "Neutron's agents report",
    exercises="Neutron's RPC server, the agents, queue",
    needs=("C03:neutron",),
    quick=True,
    limit=(20, 60),
)
def agents(log: Log) -> None:
    """Ask Neutron for its agents: on every gateway Open vSwitch, L3, DHCP and metadata, on every compute node Open
    vSwitch; enabled, and reported lately. The Open vSwitch agents must have the bridges or the tunnel address of the
    plan."""
    cloud = log.cloud
    wanted = [(binary, node) for node in cloud.nodes("gateway") for binary in _GATEWAY]
    wanted += [("neutron-openvswitch-agent", node) for node in cloud.nodes("compute")]
    if not wanted:
        log.skip("no node has the role gateway or compute")
    found: dict[str, dict[str, object]] = {}

    def ask() -> Iterable[ServiceReport]:
        for each in cloud.admin.network.agents():
            if each.binary == "neutron-openvswitch-agent":
                found[each.host] = dict(each.configuration or {})
            at = reports.moment(each.last_heartbeat_at)
            yield ServiceReport(binary=each.binary, node=each.host, at=at, on=bool(each.is_admin_state_up))

    reports.judge(log, wanted, ask, "agents")
    for node in sorted({node for _, node in wanted} & found.keys()):
        with log.step("configuration", node=node, suspect="neutron-openvswitch-agent", go_on=True):
            _configured(log, node, found[node])


def _configured(log: Log, node: str, said: dict[str, object]) -> None:
    spec = log.cloud.planned.spec
    networks = {nic.network for nic in log.cloud.planned.plan(node).nics}
    wanted = {"private"} if spec.private and spec.private in networks else set()
    if node in log.cloud.nodes("gateway") and spec.public in networks:
        wanted.add("external")
    mappings = said.get("bridge_mappings")
    if missing := wanted - set(mappings if isinstance(mappings, dict) else ()):
        raise Wrong(f"its bridge mappings lack {', '.join(sorted(missing))}")
    if not spec.private and not said.get("tunneling_ip"):
        raise Wrong("it has no tunnel address")
