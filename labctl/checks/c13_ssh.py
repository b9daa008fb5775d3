"""C13: SSH into a server."""

from __future__ import annotations

from labctl.checks import bench
from labctl.checks.log import Log, cloud_check

_COMMAND = (60.0, 180.0)


@cloud_check(
    "C13",
    "SSH with the injected key",
    exercises="metadata, the default group, the guest",
    needs=("C11", "C12"),
    limit=(120, 600),
)
def ssh(log: Log) -> None:
    """Log in to the first server at its floating address as its user, with the key that metadata brought it; its host
    key must be the one that its console showed. Greeting, login and a command are steps of their own."""
    guest = bench.shell(log, bench.first(log))
    with log.step("true", suspect="the instance"):
        guest.run("true", timeout=log.subject.scaled(*_COMMAND))
