"""X1: the nodes of a cloud, from within."""

from __future__ import annotations

import re
from collections.abc import Iterator

from labctl.checks.check import Subject, check
from labctl.checks.cloud import SERVICES
from labctl.checks.model import Step, judged
from labctl.plan.model import NodePlan

_PORTS = {each.role: each.port for each in SERVICES.values()} | {
    "mariadb": 3306,
    "rabbitmq": 5672,
    "memcached": 11211,
    "horizon": 80,
}
_PORT = re.compile(r":(\d+)$")


def question(subject: Subject, node: NodePlan) -> str:
    """Tell the states of the units of a node's roles, what listens, what Open vSwitch complains about, and which files
    of the services' packages are not as they came."""
    units = " ".join(subject.units.get(node.name, ())) or "chrony"
    return "; echo --; ".join(
        (
            f"systemctl is-active {units}",
            f"systemctl is-enabled {units}",
            "ss -Hltn | while read -r _ _ _ here _; do echo $here; done",
            "! command -v ovs-vsctl >/dev/null || ovs-vsctl show | grep error",
            "dpkg -V $(dpkg-query -W -f '${db:Status-Abbrev}${Package}\\n' 'python3-*' 2>/dev/null"
            f" | sed -n 's/^ii *//p' | grep -xE 'python3-({'|'.join(SERVICES)})') | grep -E ' /usr/(lib|bin|sbin)/'",
        )
    )


@check(
    "X1",
    "Units, listeners, bridges and programs of the services are as they were installed",
    exercises="systemd's units of every role, their ports, Open vSwitch, the packages' files; as root",
    needs=("B01",),
    asks=question,
    stages=("installed",),
    named=True,
    limit=(60, 600),
)
def nodes(subject: Subject) -> Iterator[Step]:
    """Look at every node as root: the units of its roles run, are enabled, and none is still starting; its services
    listen; Open vSwitch tells no error; no program file of a service was changed since it was unpacked. It is for
    organisers, finds what no user notices yet, and only runs if it is named."""
    for node, answer in subject.said("X1"):
        active, enabled, listening, bridges, changed = (part.split("\n") for part in f"{answer.text}\n".split("--\n"))
        units = subject.units.get(node.name, ())
        yield _units(node.name, "units run", units, active, ("active",), seconds=answer.seconds)
        yield _units(node.name, "units are enabled", units, enabled, ("enabled", "enabled-runtime", "static"))
        ports = {int(found[1]) for line in listening if (found := _PORT.search(line.strip()))}
        missing = [f"{role} ({port})" for role, port in _PORTS.items() if role in node.roles and port not in ports]
        trouble = f"nothing listens for {', '.join(missing)}" if missing else ""
        yield judged(trouble, name="listeners", node=node.name, suspect=missing[0].split()[0] if missing else "")
        errors = [line.strip() for line in bridges if line.strip()]
        yield judged("; ".join(errors[:3]), name="bridges", node=node.name, suspect="openvswitch-switch")
        files = [line.split()[-1] for line in changed if line.strip()]
        trouble = f"changed or gone: {', '.join(files[:3])}" if files else ""
        yield judged(trouble, name="program files", node=node.name, suspect="packages")


def _units(
    node: str, name: str, units: tuple[str, ...], states: list[str], good: tuple[str, ...], *, seconds: float = 0.0
) -> Step:
    off = [f"{unit} is {state}" for unit, state in zip(units, states, strict=False) if state not in good]
    return judged("; ".join(off), name=name, node=node, suspect=off[0].split()[0] if off else "", seconds=seconds)
