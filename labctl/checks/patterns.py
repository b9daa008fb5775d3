"""From what is red to who is to blame: the catalogue's table of patterns, as data; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from labctl.checks import graph
from labctl.checks.check import Check
from labctl.checks.model import Result, Step, Suspect, Verdict
from labctl.plan.model import LabPlan


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """One row.

    Attributes:
        red: names of checks, one of which must be red and on the frontier; * stands for anything. It is accused.
        also: names that must be red, too, each.
        green: names that must not be red.
        step: what the first failing step's name must contain, as a regular expression.
        says: what its evidence must contain, as a regular expression.
        suspects: ranked, each SERVICE@ROLE: the node is the first that has the role. {part} is the accused check's
            part; @ alone is the node that the step names.
    """

    red: tuple[str, ...]
    suspects: tuple[str, ...]
    also: tuple[str, ...] = ()
    green: tuple[str, ...] = ()
    step: str = ""
    says: str = ""


_MIDDLEWARE = (
    "{part}: [keystone_authtoken], its user and roles@{part}",
    "keystone, as seen from there@keystone",
)

PATTERNS: tuple[Pattern, ...] = (
    Pattern(red=("C01",), says="^refused", suspects=("keystone: its unit and where it listens@keystone",)),
    Pattern(
        red=("C01",),
        says="^HTTP 50",
        suspects=("keystone: its database URL and keys@keystone", "mariadb@mariadb", "memcached@memcached"),
    ),
    Pattern(red=("C01",), step="expiry", suspects=("keystone: the tokens' lifetime@keystone",)),
    Pattern(
        red=("C01",),
        says="^HTTP 40[13]",
        step="demo|internal",
        suspects=("keystone: demo's role, user or project@keystone",),
    ),
    Pattern(red=("C01",), says="^HTTP 40[13]", suspects=("keystone: admin's role, user or project@keystone",)),
    Pattern(
        red=("C01",),
        says="^no (answer|route)",
        suspects=("keystone: its node or a firewall@keystone", "keystone@keystone"),
    ),
    Pattern(
        red=("C02:*",),
        step="endpoint",
        suspects=("keystone: the endpoint of {part}, disabled, or its URL, or its region@keystone",),
    ),
    Pattern(red=("C02:console",), suspects=("nova-novncproxy@nova",)),
    Pattern(red=("C02:dashboard",), suspects=("apache2@horizon",)),
    Pattern(
        red=("C02:*",),
        says="^refused",
        suspects=("{part}: its unit, inactive or failed@{part}", "{part}: its port and address@{part}"),
    ),
    Pattern(
        red=("C02:*",),
        says="^HTTP 5|did not load",
        suspects=("{part}: its application did not load; its log has a traceback@{part}", "mariadb@mariadb"),
    ),
    Pattern(
        red=("C02:*",),
        says="^no (answer|route)",
        suspects=("{part}: its worker dies and comes back@{part}", "a firewall, or the node@{part}"),
    ),
    Pattern(
        red=("C03:nova", "C03:neutron", "C03:cinder", "C03:heat"),
        also=("C03:nova", "C03:neutron", "C03:cinder"),
        says="^HTTP 503",
        suspects=("keystone: identity's internal endpoint@keystone", "keystone, as seen from the services@keystone"),
    ),
    Pattern(
        red=("C03:nova", "C03:neutron", "C03:cinder", "C03:glance", "C03:placement"),
        also=("C03:nova", "C03:neutron", "C03:cinder", "C03:glance"),
        says="^HTTP 500",
        suspects=("mariadb@mariadb", "{part}: its account in the database@{part}"),
    ),
    Pattern(
        red=("C03:detail",),
        suspects=("nova: [neutron], its account and endpoint@nova", "neutron: its internal endpoint@keystone"),
    ),
    Pattern(red=("C03:*",), step="nonsense", says="^HTTP 5|^no answer", suspects=_MIDDLEWARE),
    Pattern(red=("C03:*",), step="nonsense", suspects=("{part}: its pipeline checks no tokens@{part}",)),
    Pattern(
        red=("C03:*",),
        step=r"\d of \d",
        suspects=("{part}: one of its workers or connections@{part}", "a doubled address@{part}"),
    ),
    Pattern(
        red=("C03:nova", "C03:neutron", "C03:cinder", "C03:heat", "C03:placement"),
        says="^HTTP 503",
        suspects=_MIDDLEWARE,
    ),
    Pattern(red=("C03:glance",), says="^HTTP (401|503)", suspects=_MIDDLEWARE),
    Pattern(red=("C03:*",), says="^HTTP 401", suspects=("the clock of its node@{part}", *_MIDDLEWARE)),
    # Without a check of tokens, Glance takes everybody for nobody, whom its policy turns away.
    Pattern(
        red=("C03:glance",),
        green=("C03:nova",),
        says="^HTTP 403",
        suspects=("glance: its pipeline checks no tokens@glance", "glance: its policy@glance"),
    ),
    Pattern(red=("C03:nova", "C03:glance"), says="^HTTP 403", suspects=("keystone: demo's role@keystone",)),
    Pattern(
        red=("C03:heat",),
        green=("C03:nova", "C03:neutron", "C03:cinder"),
        suspects=("heat-engine@heat", "rabbitmq, as seen from heat@rabbitmq", "heat: its account in the database@heat"),
    ),
    Pattern(
        red=("C03:*",),
        says="^HTTP 500|no answer",
        suspects=("{part}: its account in the database@{part}", "mariadb@mariadb"),
    ),
    Pattern(
        red=("C07*", "C08*", "C09"),
        also=("C07*", "C08*", "C09"),
        says="HTTP 500",
        suspects=("mariadb: read-only, or its disk is full@mariadb",),
    ),
    # The broker's own words, which Cinder's API passes on as an answer of its own.
    Pattern(
        red=("C06", "C08*"),
        says="HTTP 403: Access was denied",
        suspects=("cinder: its account at the broker (transport_url)@cinder", "rabbitmq: its users@rabbitmq"),
    ),
    Pattern(
        red=("C04:services", "C05", "C06"),
        also=("C04:services", "C05", "C06"),
        suspects=("rabbitmq: the queue@rabbitmq", "the clock@"),
    ),
    Pattern(
        red=("C04:services",),
        also=("C04:services~nova-conductor", "C04:services~nova-compute"),
        suspects=("nova-conductor@nova", "rabbitmq, as seen from nova@rabbitmq"),
    ),
    Pattern(
        red=("C04:services",),
        step="nova-compute",
        suspects=("nova-compute: its unit@", "libvirt@", "rabbitmq, as seen from there@"),
    ),
    Pattern(
        red=("C04:providers",),
        says="Placement|no (VCPU|MEM|DISK)",
        suspects=("nova-compute: [placement], its account@", "placement@placement"),
    ),
    # Nova lists the hypervisors of the hosts that are mapped to a cell.
    Pattern(
        red=("C04:providers",),
        green=("C04:services",),
        says="Nova has no hypervisor",
        suspects=("nova: the host's mapping to its cell@nova", "nova-compute@"),
    ),
    Pattern(red=("C04:providers",), suspects=("placement@placement", "nova-compute@")),
    Pattern(
        red=("C10*",),
        says="[Nn]o valid host",
        suspects=(
            "nova: [placement], its account@nova",
            "nova: the cell's mapping, or a disabled host@nova",
            "placement: ratios and inventories@placement",
        ),
    ),
    Pattern(
        red=("C10*",),
        step="create",
        says="^HTTP",
        suspects=("nova: [neutron] or [glance], account and endpoint@nova", "nova: quota or policy@nova"),
    ),
    Pattern(
        red=("C10*",), says="scheduling", suspects=("nova-scheduler@nova", "nova-conductor@nova", "rabbitmq@rabbitmq")
    ),
    Pattern(
        red=("C10*",),
        says="not within|spawning|[Bb]inding|[Vv]irtual [Ii]nterface",
        suspects=(
            "neutron: [nova], its account@neutron",
            "neutron-openvswitch-agent@",
            "neutron-dhcp-agent@gateway",
        ),
    ),
    Pattern(red=("C10*",), suspects=("nova-compute: its disk, libvirt or its clients@", "neutron-openvswitch-agent@")),
    Pattern(
        red=("C11",),
        says="no lease|no network card",
        suspects=(
            "neutron-dhcp-agent and its dnsmasq@gateway",
            "neutron-openvswitch-agent@gateway",
            "neutron: the subnet@neutron",
        ),
    ),
    Pattern(
        red=("C11",),
        says="metadata.*403",
        suspects=("neutron-metadata-agent: the shared secret@gateway", "nova-api-metadata: the shared secret@nova"),
    ),
    Pattern(red=("C11",), says="metadata.*500", suspects=("nova-api-metadata@nova", "neutron-metadata-agent@gateway")),
    Pattern(
        red=("C11",),
        says="metadata",
        suspects=("neutron-metadata-agent@gateway", "nova-api-metadata@nova", "haproxy@gateway"),
    ),
    Pattern(red=("C12",), step="address", suspects=("neutron: the pool or the quota@neutron",)),
    Pattern(
        red=("C12",),
        suspects=(
            "neutron-l3-agent@gateway",
            "the external bridge@gateway",
            "neutron: the default group's rules@neutron",
        ),
    ),
    Pattern(red=("C13",), step="log in", suspects=("nova-api-metadata: the key@nova", "MTU@gateway")),
    Pattern(red=("C13",), suspects=("MTU@gateway", "the instance@")),
    Pattern(red=("C14",), suspects=("neutron-openvswitch-agent: the filter@compute",)),
    Pattern(red=("C16",), suspects=("neutron-l3-agent: routes and NAT@gateway",)),
    Pattern(
        red=("C17", "C18"),
        step="available",
        suspects=(
            "cinder-volume: LVM@cinder-volume",
            "cinder-scheduler@cinder",
            "rabbitmq, as seen from cinder@rabbitmq",
        ),
    ),
    Pattern(
        red=("C17",),
        step="detach",
        suspects=("nova-compute: [service_user], its token@compute", "cinder: service_token_roles@cinder"),
    ),
    Pattern(
        red=("C17",),
        step="its target",
        suspects=(
            "cinder-volume: what it exports@cinder-volume",
            "nova-compute: [cinder] and [service_user], its way to Cinder@compute",
        ),
    ),
    Pattern(
        red=("C17",),
        suspects=(
            "tgt: target, portal, port 3260@cinder-volume",
            "iscsid: the initiator@compute",
            "nova: [cinder] catalog_info@nova",
        ),
    ),
    Pattern(
        red=("C08*",),
        suspects=("cinder-volume@cinder-volume", "cinder-scheduler@cinder", "rabbitmq, as seen from cinder@rabbitmq"),
    ),
    Pattern(
        red=("C07*",),
        suspects=(
            "glance: its store, its folder's owner, a full disk@glance",
            "glance: its account in the database@glance",
        ),
    ),
    Pattern(red=("C18",), suspects=("cinder-volume: snapshots, room in the group@cinder-volume",)),
    Pattern(red=("C19",), suspects=("nova-compute: its way to glance@compute", "glance: its store@glance")),
    Pattern(
        red=("C22:alive", "C22:restart"),
        step="volume|marker",
        suspects=("tgt: the resident's target@cinder-volume", "iscsid: the resident's session@compute"),
    ),
    Pattern(
        red=("C22:alive", "C22:restart"),
        step="address|banner|log in",
        suspects=(
            "neutron: the resident's port, address or rules@neutron",
            "neutron-l3-agent@gateway",
            "nova-compute: the resident's domain@compute",
        ),
    ),
    Pattern(
        red=("C22:alive", "C22:restart"),
        suspects=("nova-compute: the resident's domain@compute", "nova: the resident's state@nova"),
    ),
    Pattern(
        red=("C20:*",),
        suspects=(
            "apache2: the dashboard's settings@horizon",
            "memcached@memcached",
            "names on the dashboard's node@horizon",
        ),
    ),
    Pattern(red=("C21",), suspects=("nova-novncproxy@nova", "nova-compute: [vnc]@compute")),
    Pattern(
        red=("C23",), green=("C03:heat",), suspects=("heat: the stacks' domain and its admin@heat", "heat-engine@heat")
    ),
)


def blamed(lab: LabPlan, checks: Sequence[Check], results: Sequence[Result]) -> list[Result]:
    """Return the results; those on the frontier name whom the first pattern that fits accuses."""
    front = set(graph.frontier(checks, results))
    red = {result.name: result for result in results if result.verdict is Verdict.FAIL}
    return [
        replace(result, blamed=suspects(lab, result, red)) if result.name in front and result.name in red else result
        for result in results
    ]


def services() -> set[str]:
    """Return all that a pattern may accuse, but what only says where a part of a check is wrong."""
    named = {suspect.rpartition("@")[0] for pattern in PATTERNS for suspect in pattern.suspects}
    return {service for service in named if not service.startswith("{part}")}


def suspects(lab: LabPlan, result: Result, red: Mapping[str, Result]) -> tuple[Suspect, ...]:
    """Return whom the first pattern that fits a red result accuses."""
    step = result.first
    if step is None:
        return ()
    pattern = next((each for each in PATTERNS if _fits(each, result, step, red)), None)
    return tuple(_suspect(lab, each, result, step) for each in pattern.suspects) if pattern else ()


def _fits(pattern: Pattern, result: Result, step: Step, red: Mapping[str, Result]) -> bool:
    return (
        any(fnmatchcase(result.name, each) for each in pattern.red)
        and all(_is_red(each, red) for each in pattern.also)
        and not any(_is_red(each, red) for each in pattern.green)
        and re.search(pattern.step, step.name) is not None
        and re.search(pattern.says, step.evidence) is not None
    )


def _is_red(wanted: str, red: Mapping[str, Result]) -> bool:
    """Say whether a check is red; CHECK~STEP: in that step."""
    name, _, step = wanted.partition("~")
    found = [result for key, result in red.items() if fnmatchcase(key, name)]
    return any(
        not step or any(each.name == step and each.verdict is Verdict.FAIL for each in result.steps) for result in found
    )


def _suspect(lab: LabPlan, text: str, result: Result, step: Step) -> Suspect:
    service, _, role = text.replace("{part}", result.part).rpartition("@")
    nodes = [node.name for node in lab.doing(role)]
    where = step.node if not role else next(iter(nodes), "")
    return Suspect(service=service, node=where, evidence=step.evidence)
