"""C14: a port that is open, and one that is not."""

from __future__ import annotations

from labctl.checks import bench
from labctl.checks.log import Log, Wrong, cloud_check
from labctl.errors import DeadlineError, RemoteError

_OPEN, _CLOSED = 4001, 4002


@cloud_check(
    "C14",
    "A security group opens one port and no other",
    exercises="Neutron's filter, both ways",
    needs=("C13",),
    limit=(60, 300),
)
def ports(log: Log) -> None:
    """Listen on two ports of the first server, and open one of them by a security group of its own. That one must
    answer from outside, the other must not."""
    cloud = log.cloud
    made = bench.first(log)
    guest, where = bench.shell(log, made), bench.address(log, made)
    neutron, node = cloud.demo.network, cloud.node("neutron")
    with log.step("listen", suspect="the instance"):
        for number in (_OPEN, _CLOSED):
            loop = f"while :; do echo check | nc -l -p {number}; done"
            guest.run(f"({loop}) >/dev/null 2>&1 </dev/null &", timeout=log.subject.scaled(30, 180))
    with cloud.made.scope(cloud):
        with log.step("group", node=node, suspect="neutron"):
            group = cloud.made.make("group", "open", lambda name: neutron.create_security_group(name=name))
            neutron.create_security_group_rule(
                security_group_id=group.id,
                direction="ingress",
                ethertype="IPv4",
                protocol="tcp",
                port_range_min=_OPEN,
                port_range_max=_OPEN,
            )
            port = bench.port(log, made)
            had = list(port.security_group_ids)
            cloud.made.make(
                "grouping",
                "grouping",
                lambda _: neutron.update_port(port, security_groups=[*had, group.id]),
                parent=f"{port.id}/{','.join(had)}",
            )
        with log.step("the open port", node=cloud.nodes("compute")[0], suspect="neutron-openvswitch-agent"):
            log.until(lambda: bench.answers(log, where, _OPEN), f"port {_OPEN} answered", bench.ANSWER)
        with log.step("the closed port", node=cloud.nodes("compute")[0], suspect="neutron-openvswitch-agent"):
            try:
                bench.answers(log, where, _CLOSED, patience=(5, 15))
            except DeadlineError:
                return
            except RemoteError as exc:
                raise Wrong(f"port {_CLOSED} is not filtered: {exc.details or exc.brief}") from exc
            raise Wrong(f"port {_CLOSED} answers, and no rule opens it")
