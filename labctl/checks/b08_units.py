"""B08: units."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.checks.check import Subject, check
from labctl.checks.model import Step, judged
from labctl.plan.model import NodePlan

EXPECTED = (
    *("chrony", "dbus", "labctl-resolv.path", "qemu-guest-agent", "serial-getty@ttyS0", "ssh"),
    *("systemd-journald", "systemd-logind", "systemd-networkd", "systemd-udevd"),
)
"""Units that run in every node."""

ENABLED = ("chrony", "ssh", "systemd-networkd", "labctl-resolv.path")
"""Those of them that a boot starts by their own links."""


def question(subject: Subject, node: NodePlan) -> str:  # noqa: ARG001
    """Tell the states of the units that every node has, and those that failed."""
    return (
        f"systemctl is-active {' '.join(EXPECTED)}; echo --; "
        "systemctl list-units --failed --plain --no-legend; echo --; "
        f"systemctl is-enabled {' '.join(ENABLED)}"
    )


@check(
    "B08",
    "Units run and none has failed",
    exercises="systemd's units",
    needs=("B01",),
    asks=question,
    limit=(10, 60),
)
def units(subject: Subject) -> Iterator[Step]:
    """Look for failed units on every node. The units that every node needs must run, and start again after a
    reboot."""
    for node, answer in subject.said("B08"):
        states, failed, enabled = (part.strip() for part in answer.text.split("--\n"))
        off = [
            f"{name} is {state}"
            for name, state in zip(EXPECTED, states.split(), strict=False)
            if state not in ("active", "failed")
        ]
        broken = [line.split()[0].removesuffix(".service") for line in failed.splitlines() if line.strip()]
        trouble = f"{', '.join(broken)} failed" if broken else ""
        suspect = broken[0] if broken else "a unit"
        yield judged(trouble, name="failed units", node=node.name, suspect=suspect, seconds=answer.seconds)
        yield judged("; ".join(off), name="running units", node=node.name, suspect=off[0].split()[0] if off else "")
        lost = [
            f"{name} is {state}" for name, state in zip(ENABLED, enabled.split(), strict=False) if state != "enabled"
        ]
        yield judged("; ".join(lost), name="after a reboot", node=node.name, suspect=lost[0].split()[0] if lost else "")
