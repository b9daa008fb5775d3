"""What faults know of a cloud's services: files, units, sections; and repairs as people type them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from labctl.changes import Change, Ini, Line, Respell, Thing, UnitState
from labctl.plan.model import NodePlan
from labctl.quoting import shell
from labctl.sabotage.fault import Break, Drawn, Scene, Typed


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service as its role sets it up.

    Attributes:
        conf: its main file.
        api: the unit that answers requests.
        daemons: its other units that read the file.
        database: section and option with the URL of its database.
        schema: name of its database.
        type: in the catalogue.
    """

    conf: str
    api: str
    daemons: tuple[str, ...] = ()
    database: tuple[str, str] = ("database", "connection")
    schema: str
    type: str

    @property
    def units(self) -> tuple[str, ...]:
        """All units that read the file."""
        return (self.api, *self.daemons)


SERVICES = {
    "keystone": Service(conf="/etc/keystone/keystone.conf", api="keystone", schema="keystone", type="identity"),
    "glance": Service(conf="/etc/glance/glance-api.conf", api="glance-api", schema="glance", type="image"),
    "placement": Service(
        conf="/etc/placement/placement.conf",
        api="placement-api",
        database=("placement_database", "connection"),
        schema="placement",
        type="placement",
    ),
    "nova": Service(
        conf="/etc/nova/nova.conf",
        api="nova-api",
        daemons=("nova-scheduler", "nova-conductor"),
        database=("api_database", "connection"),
        schema="nova_api",
        type="compute",
    ),
    "neutron": Service(
        conf="/etc/neutron/neutron.conf",
        api="neutron-api",
        daemons=("neutron-rpc-server",),
        schema="neutron",
        type="network",
    ),
    "cinder": Service(
        conf="/etc/cinder/cinder.conf",
        api="cinder-api",
        daemons=("cinder-scheduler", "cinder-volume"),
        schema="cinder",
        type="block-storage",
    ),
    "heat": Service(
        conf="/etc/heat/heat.conf", api="heat-api", daemons=("heat-engine",), schema="heat", type="orchestration"
    ),
}


def at(scene: Scene, name: str) -> Service:
    """Return a service as it is on the first node of its role: without daemons that have nodes of their own."""
    node = scene.nodes(name)[0]
    daemons = tuple(unit for unit in SERVICES[name].daemons if node in scene.running(unit, name))
    return replace(SERVICES[name], daemons=daemons)


SWITCH_AGENT = "/etc/neutron/plugins/ml2/openvswitch_agent.ini"
"""What the Open vSwitch agents of all nodes read."""

BASE = ("B01", "C01")
"""Green in every fault that leaves Keystone alone."""


def listed(scene: Scene, *but: str) -> tuple[str, ...]:
    """Return the checks of lists of all services that a lab has but some."""
    return tuple(f"C03:{name}" for name in SERVICES if name not in ("keystone", *but) and scene.nodes(name))


def every(*but: str) -> tuple[str, ...]:
    """Return the checks of lists of all services there are but some."""
    return tuple(f"C03:{name}" for name in SERVICES if name not in ("keystone", *but))


def in_cloud(scene: Scene, name: str, **qualities: Any) -> Break:
    """Return the change of a thing of the cloud's APIs; it stands in the database, and ends when that is reset.

    Args:
        qualities: see `Thing`.
    """
    return Break(node=scene.nodes("mariadb")[0].name, change=Thing(name=name, **qualities))


def stopped(
    node: NodePlan,
    *units: str,
    service: str,
    explanation: str,
    masked: bool = False,
    variant: str = "",
    red: Sequence[str] = (),
    green: Sequence[str] = (),
) -> Drawn:
    """Return the fault of units that are stopped, and masked where a neighbour on their node would start them again.

    Args:
        masked: whether a program on the node would start them, whatever else it runs.
    """
    words = " ".join(units)
    # nearly every unit of OpenStack wants the database, the broker and Keystone, and agents want what they work with
    crowded = masked or len(node.roles) > 1
    start = f"systemctl unmask --runtime {words}; systemctl start {words}" if crowded else f"systemctl start {words}"
    return Drawn(
        node=node.name,
        service=service,
        variant=variant,
        red=tuple(red),
        green=tuple(green),
        breaks=tuple(
            Break(
                node=node.name,
                change=UnitState(name=unit, active=False, enabled="masked-runtime" if crowded else None),
            )
            for unit in units
        ),
        explanation=explanation,
        repair=(Typed(node=node.name, line=start),),
    )


def changed(
    node: str,
    change: Change,
    *units: str,
    explanation: str,
    repair: Sequence[Typed],
    waits: bool = True,
    **more: Any,
) -> Drawn:
    """Return the fault of one change in one node, whose readers are restarted; the first of them is to blame.

    Args:
        more: other attributes of `Drawn`.
    """
    return Drawn(
        node=node,
        breaks=(Break(node=node, change=change, restart=units, waits=waits),),
        explanation=explanation,
        repair=tuple(repair),
        **{"service": units[0], **more},
    )


def misset(
    node: str, change: Ini | Respell, sed: str, *units: str, wrong: str, waits: bool = True, **more: Any
) -> Drawn:
    """Return the fault of one option that is set wrongly; it is repaired with sed, within its section.

    Args:
        wrong: the rest of the sentence that begins with the option and its file.
        more: other attributes of `Drawn`.
    """
    if isinstance(change, Respell):
        section, option = change.section, change.option
    else:
        ((section, options),) = change.values.items()
        (option,) = options
    return changed(
        node,
        change,
        *units,
        explanation=f"[{section}] {option} in {change.path} of {node} {wrong}",
        repair=(corrected(node, change.path, section, sed, units),),
        waits=waits,
        **more,
    )


SETTINGS = "/etc/openstack-dashboard/local_settings.d/_60_lab.py"
"""The dashboard's settings that are read last."""


def dashboard(scene: Scene, random: Random, change: Line, sed: str, explanation: str) -> Drawn:
    """Return the fault of a line of the dashboard's files; a restart of the web server alone is no repair.

    Args:
        explanation: with `{where}` for the file and its node.
    """
    node = scene.pick(random, "horizon").name
    again = restart("apache2")
    return changed(
        node,
        change,
        "apache2",
        explanation=explanation.format(where=f"{change.path} of {node}"),
        repair=(Typed(node=node, line=f"sed -i {shell(sed)} {change.path}; {again}"),),
        cheat=(Typed(node=node, line=again),),
    )


def corrected(node: str, path: str, section: str, sed: str, units: Sequence[str]) -> Typed:
    """Return the line that corrects an option with sed within its section, and restarts who reads it."""
    words = shell(f"/^\\[{section}\\]/,/^\\[/ {sed}")
    return Typed(node=node, line="; ".join((f"sed -i {words} {path}", *([restart(*units)] if units else ()))))


def copied(node: str, path: str, source: str, section: str, units: Sequence[str]) -> Typed:
    """Return the line that copies a password from another section of the same file, where it is right."""
    right = f"right=$(sed -n '/^\\[{source}\\]/,/^\\[/ s/^password *= *//p' {path})"
    put = f'sed -i "/^\\[{section}\\]/,/^\\[/ s|^password *=.*|password = $right|" {path}'
    return Typed(node=node, line=f"{right}; {put}; {restart(*units)}")


def endpoint(kind: str, interface: str = "public") -> str:
    """Return the line that prints the ID of an endpoint."""
    return f"openstack endpoint list --service {kind} --interface {interface} -f value -c ID"


def restart(*units: str) -> str:
    """Return the line that restarts units, also those that gave up."""
    words = " ".join(units)
    return f"systemctl reset-failed {words} 2>/dev/null; systemctl restart {words}"


def openstack(node: str, *lines: str) -> Typed:
    """Return lines that are typed after logging in as the administrator."""
    return Typed(node=node, line="; ".join((". /root/admin-openrc", *lines)))
