"""X5: restarting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labctl import quoting
from labctl.checks.log import Log, Wrong, cloud_check

_RESTART = (180.0, 900.0)
_UP = (120.0, 900.0)


@cloud_check(
    "X5",
    "The cloud comes back after a restart of its services",
    exercises="what a service reads when it starts: its files, its units, its way to database and broker",
    needs=("C01",),
    named=True,
    limit=(600, 3600),
)
def restart(log: Log) -> None:
    """Restart the units of every role on every node, and wait until each runs and its API answers: a repair that is for
    good outlives that. Run the other checks afterwards. It interrupts the cloud for learners, so it only runs if it is
    named."""
    subject, cloud = log.subject, log.cloud
    for node, units in subject.units.items():
        if not units:
            continue
        words = quoting.shell_line(units)
        line = f"systemctl reset-failed {words} 2>/dev/null; systemctl --quiet restart {words}"
        with log.step("restart", node=node, suspect=units[0], go_on=True):
            guest, seconds = subject.guest(node), log.limit(_RESTART)
            states = guest.run(f"{line}; systemctl is-active {words}", timeout=seconds, check=False).stdout.split()
            if off := [f"{unit} is {state}" for unit, state in zip(units, states, strict=False) if state != "active"]:
                raise Wrong("; ".join(off))
    with log.step("token", node=cloud.node("keystone"), suspect="keystone"):
        log.until(lambda: cloud.internal().authorize(), "Keystone gave a token", _UP)
    lists: dict[str, Callable[[], Any]] = {
        "glance": lambda: list(cloud.demo.image.images(limit=1)),
        "nova": lambda: list(cloud.demo.compute.servers(details=False)),
        "neutron": lambda: list(cloud.demo.network.networks()),
        "cinder": lambda: list(cloud.demo.block_storage.volumes(details=False)),
        "heat": lambda: list(cloud.demo.orchestration.stacks()),
    }
    for name, ask in lists.items():
        if cloud.nodes(name):
            with log.step(f"list of {name}", node=cloud.node(name), suspect=name, go_on=True):
                log.until(lambda: [ask()], f"{name} answered", _UP)  # noqa: B023 - used at once
