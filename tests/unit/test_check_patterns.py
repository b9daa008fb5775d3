"""The catalogue's table, row by row: from recorded results to the first suspect."""

from __future__ import annotations

from fnmatch import fnmatchcase
from uuid import UUID

import pytest
from netaddr import IPNetwork

from labctl.checks import patterns
from labctl.checks.check import CHECKS, chosen
from labctl.checks.model import Result, Step, Verdict
from labctl.plan.lab import plan
from labctl.plan.model import Identity
from labctl.roles.role import ROLES
from labctl.spec import topology

IDENTITY = Identity(team="team01", lab=UUID(int=1), owner=UUID(int=2), mgmt=IPNetwork("192.168.99.0/24"))
LAB = plan(topology.load("gridka"), IDENTITY)

REFUSED = "refused: 10.0.0.4 does not answer on port 5000"
LATE = "no answer in time: 10.0.0.6 does not answer on port 9696"


def red(name: str, says: str, *, step: str = "list", node: str = "", steps: tuple[Step, ...] = ()) -> Result:
    check, _, part = name.partition(":")
    failed = Step(name=step, verdict=Verdict.FAIL, evidence=says, node=node, suspect="own")
    return Result(id=check, part=part, verdict=Verdict.FAIL, steps=(failed, *steps), seconds=1, limit=2)


def dead(binary: str, node: str) -> Step:
    return Step(
        name=binary, node=node, verdict=Verdict.FAIL, evidence=f"{binary} reported last 900 s ago", suspect=binary
    )


def heard(name: str, *who: tuple[str, str]) -> Result:
    steps = tuple(dead(*each) for each in who)
    check, _, part = name.partition(":")
    return Result(id=check, part=part, verdict=Verdict.FAIL, steps=steps, seconds=1, limit=2)


def lists(says: str, *names: str) -> list[Result]:
    return [red(f"C03:{name}", says) for name in names]


OLD = [
    heard("C04:services", ("nova-conductor", "api-node"), ("nova-compute", "compute-1")),
    heard("C05", ("neutron-dhcp-agent", "network-node")),
    heard("C06", ("cinder-volume", "volume-node")),
]

ROWS = {
    "C01 refused": ([red("C01", REFUSED, step="token of admin")], "C01", "auth-node: keystone: its unit"),
    "C01 500": ([red("C01", "HTTP 500: x", step="token of admin")], "C01", "auth-node: keystone: its database URL"),
    "C01 expiry": ([red("C01", "good for less", step="expiry of demo's token")], "C01", "lifetime"),
    "C01 admin yes, demo no": (
        [red("C01", "HTTP 401: x", step="token of demo")],
        "C01",
        "demo's role, user or project",
    ),
    "C01 silent": ([red("C01", LATE, step="token of admin")], "C01", "its node or a firewall"),
    "C02 missing": (
        [red("C02:cinder", "the catalogue has no public endpoint", step="public endpoint")],
        "C02:cinder",
        "auth-node: keystone: the endpoint of cinder",
    ),
    "C02 refused": ([red("C02:glance", REFUSED, step="public door")], "C02:glance", "image-node: glance: its unit"),
    "C02 5xx": (
        [red("C02:nova", "HTTP 500: x: the application did not load", step="public door")],
        "C02:nova",
        "api-node: nova: its application did not load",
    ),
    "C02 hangs": ([red("C02:neutron", LATE, step="public door")], "C02:neutron", "neutron: its worker dies"),
    "C02 console": ([red("C02:console", REFUSED, step="door")], "C02:console", "api-node: nova-novncproxy"),
    "C02 dashboard": ([red("C02:dashboard", REFUSED, step="door")], "C02:dashboard", "api-node: apache2"),
    "C03 503 one": (lists("HTTP 503: x", "nova"), "C03:nova", "api-node: nova: [keystone_authtoken]"),
    "C03 503 all": (
        lists("HTTP 503: x", "nova", "neutron", "cinder", "heat"),
        "C03:nova",
        "auth-node: keystone: identity's internal endpoint",
    ),
    "C03 401 glance": (lists("HTTP 401: x", "glance"), "C03:glance", "image-node: glance: [keystone_authtoken]"),
    "C03 401 one service": (lists("HTTP 401: x", "cinder"), "C03:cinder", "volume-node: the clock"),
    "C03 403": (lists("HTTP 403: x", "nova", "glance"), "C03:nova", "demo's role"),
    "C03 403 glance": (
        lists("HTTP 403: x", "glance"),
        "C03:glance",
        "image-node: glance: its pipeline checks no tokens",
    ),
    "C03 500 one": (lists("HTTP 500: x", "neutron"), "C03:neutron", "neutron: its account in the database"),
    "C03 500 all": (lists("HTTP 500: x", "nova", "neutron", "cinder", "glance"), "C03:nova", "db-node: mariadb"),
    "C03 sometimes": (
        [red("C03:nova", "HTTP 500: x", step="list, 4 of 10")],
        "C03:nova",
        "api-node: nova: one of its workers",
    ),
    "C03 nonsense, unanswered": (
        [red("C03:cinder", "HTTP 503 to a nonsense token, not 401", step="list with a nonsense token")],
        "C03:cinder",
        "volume-node: cinder: [keystone_authtoken]",
    ),
    "C03 nonsense, no answer": (
        [red("C03:neutron", LATE, step="list with a nonsense token")],
        "C03:neutron",
        "neutron: [keystone_authtoken]",
    ),
    "C03:glance open to all": (
        [red("C03:glance", "HTTP 200 to a nonsense token", step="list with a nonsense token")],
        "C03:glance",
        "glance: its pipeline checks no tokens",
    ),
    "C03:detail alone": ([red("C03:detail", "HTTP 500: x")], "C03:detail", "api-node: nova: [neutron]"),
    "C03:heat alone": ([red("C03:heat", "HTTP 500: x")], "C03:heat", "heat-engine"),
    "C03 green, changes 500": (
        [red("C07:upload", "HTTP 500: x"), red("C08:blank", "HTTP 500: x"), red("C09", "HTTP 500: x")],
        "C09",
        "db-node: mariadb: read-only",
    ),
    "C04 C05 C06 old together": (OLD, "C04:services", "rabbitmq: the queue"),
    "C04 conductor and computes": (OLD[:1], "C04:services", "api-node: nova-conductor"),
    "C04 one host": (
        [heard("C04:services", ("nova-compute", "compute-2"))],
        "C04:services",
        "compute-2: nova-compute: its unit",
    ),
    "C04 providers": (
        [red("C04:providers", "Placement has no resource provider compute-1", step="known", node="compute-1")],
        "C04:providers",
        "compute-1: nova-compute: [placement]",
    ),
    "C04 host without a cell": (
        [red("C04:providers", "Nova has no hypervisor compute-1", step="known", node="compute-1")],
        "C04:providers",
        "api-node: nova: the host's mapping to its cell",
    ),
    "C05 one agent": (
        [heard("C05", ("neutron-dhcp-agent", "network-node"))],
        "C05",
        "network-node: neutron-dhcp-agent",
    ),
    "C06 turned away by the broker": (
        [red("C06", "HTTP 403: Access was denied to this resource.", step="room in the pool")],
        "C06",
        "volume-node: cinder: its account at the broker",
    ),
    "C06 volume service": ([heard("C06", ("cinder-volume", "volume-node"))], "C06", "volume-node: cinder-volume"),
    "C10 no valid host": (
        [red("C10", "ERROR: No valid host was found.", step="ACTIVE", node="compute-1")],
        "C10",
        "api-node: nova: [placement]",
    ),
    "C10 refused at once": (
        [red("C10", "HTTP 500: x", step="create", node="api-node")],
        "C10",
        "[neutron] or [glance]",
    ),
    "C10 scheduling": (
        [red("C10", "ACTIVE not within 1500 s; it is BUILD, scheduling", step="ACTIVE", node="compute-1")],
        "C10",
        "api-node: nova-scheduler",
    ),
    "C10 plug time-out": (
        [red("C10", "ACTIVE not within 1500 s; it is BUILD, spawning", step="ACTIVE", node="compute-1")],
        "C10",
        "neutron: [nova], its account",
    ),
    "C10 ERROR on one host": (
        [red("C10", "ERROR: disk", step="ACTIVE", node="compute-2")],
        "C10",
        "compute-2: nova-compute: its disk",
    ),
    "C11 no lease": (
        [red("C11", "no lease yet (eth0), asking again", step="boot", node="compute-1")],
        "C11",
        "network-node: neutron-dhcp-agent",
    ),
    "C11 metadata 403": (
        [red("C11", "metadata try 7 of 60: server returned error: HTTP/1.1 403 Forbidden", step="boot")],
        "C11",
        "network-node: neutron-metadata-agent: the shared secret",
    ),
    "C11 metadata 500": ([red("C11", "metadata try 7 of 60: HTTP/1.1 500", step="boot")], "C11", "nova-api-metadata"),
    "C11 metadata 503": (
        [red("C11", "metadata try 7 of 60: HTTP/1.1 503", step="boot")],
        "C11",
        "network-node: neutron-metadata-agent",
    ),
    "C12 none to be had": ([red("C12", "HTTP 409: no more", step="floating address")], "C12", "neutron: the pool"),
    "C12 silent": ([red("C12", "172.16.1.9 answered not within", step="it answers")], "C12", "neutron-l3-agent"),
    "C13 no key": ([red("C13", "refused", step="log in")], "C13", "nova-api-metadata: the key"),
    "C14 closed port answers": ([red("C14", "answers", step="the closed port")], "C14", "the filter"),
    "C16 alone": ([red("C16", "did not come about", step="to a public endpoint")], "C16", "neutron-l3-agent: routes"),
    "C17 portal": ([red("C17", "10.0.0.9:3260 answered not within", step="its portal")], "C17", "volume-node: tgt"),
    "C17 no target": ([red("C17", "x", step="its target")], "C17", "volume-node: cinder-volume: what it exports"),
    "C17 attach": ([red("C17", "x", step="in-use")], "C17", "volume-node: tgt"),
    "C17 no volume": ([red("C17", "its status is error", step="available")], "C17", "volume-node: cinder-volume: LVM"),
    "C17 detach 409": ([red("C17", "HTTP 409: x", step="detach")], "C17", "[service_user]"),
    "C20 alone": ([red("C20:login", "HTTP 500: x", step="login page")], "C20:login", "api-node: apache2"),
    "C21 alone": ([red("C21", "x", step="greeting")], "C21", "nova-novncproxy"),
    "C07 store": ([red("C07:upload", "HTTP 410: x", step="upload")], "C07:upload", "image-node: glance: its store"),
    "C18 alone": ([red("C18", "its status is error", step="snapshot")], "C18", "volume-node: cinder-volume: snapshots"),
    "C19 alone": ([red("C19", "killed", step="active")], "C19", "compute-1: nova-compute: its way to glance"),
    "C22 off": ([red("C22:alive", "the server is SHUTOFF, as", step="ACTIVE")], "C22:alive", "the resident's domain"),
    "C22 silent": ([red("C22:alive", "greeted not within", step="banner")], "C22:alive", "the resident's port"),
    "C22 marker": ([red("C22:alive", "exit code 1", step="read the marker")], "C22:alive", "volume-node: tgt"),
    "C23 alone": ([red("C23", "x", step="complete")], "C23", "heat: the stacks' domain"),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_the_table_names_its_first_suspect(row: str) -> None:
    results, name, suspect = ROWS[row]
    found = {result.name: result for result in patterns.blamed(LAB, list(CHECKS), results)}[name]
    assert suspect in str(found.suspects[0])
    assert len(found.suspects) <= 3
    assert all(each.evidence for each in found.suspects)


def test_a_check_that_is_blocked_by_a_red_one_accuses_nobody_by_a_pattern() -> None:
    results = [red("C02:cinder", REFUSED, step="public door"), red("C03:cinder", "HTTP 503: x")]
    second = patterns.blamed(LAB, list(CHECKS), results)[1]
    assert second.blamed == ()


def test_a_red_check_without_a_row_keeps_its_own_suspects() -> None:
    (found,) = patterns.blamed(LAB, list(CHECKS), [red("X2", "no room")])
    assert [str(each) for each in found.suspects] == ["own"]


def test_every_row_is_about_checks_and_roles_that_there_are() -> None:
    names = {check.id for check in chosen("installed")}
    roles = {*ROLES.names(), "{part}", ""}
    for pattern in patterns.PATTERNS:
        for wanted in (*pattern.red, *pattern.also, *pattern.green):
            assert any(fnmatchcase(name, wanted.partition("~")[0]) for name in names), wanted
        for suspect in pattern.suspects:
            assert suspect.rpartition("@")[2] in roles, suspect
            assert "@" in suspect
