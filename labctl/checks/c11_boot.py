"""C11: the first boot, as the console tells it."""

from __future__ import annotations

from labctl.checks import bench
from labctl.checks.log import Log, Wrong, cloud_check


@cloud_check(
    "C11",
    "Servers get a lease and their metadata",
    exercises="DHCP, metadata, disk; the console's output",
    needs=("C10",),
    limit=(180, 900),
)
def boots(log: Log) -> None:
    """Read the console of every server of C10 until its userspace is ready: it must tell a lease and metadata."""
    bench.first(log)
    for host in log.cloud.nodes("compute"):
        output = bench.console(log, bench.server(log, host))
        for line, suspect in (("lease ", "neutron-dhcp-agent"), ("metadata ok", "neutron-metadata-agent")):
            with log.step(line.strip(), node=log.cloud.node("gateway"), suspect=suspect):
                if f"instance: {line}" not in output:
                    raise Wrong(bench.trouble(output) or f"its console tells no {line.strip()}")
