"""Checks: the graph, what is asked of nodes, and each check's judgement on recorded answers."""

from __future__ import annotations

import json
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from netaddr import IPAddress, IPNetwork

from labctl.checks import ask, graph
from labctl.checks import run as runner
from labctl.checks.b08_units import ENABLED, EXPECTED
from labctl.checks.check import CHECKS, Answer, Check, Subject, chosen
from labctl.checks.model import Report, Result, Step, Verdict
from labctl.errors import DeadlineError, InputError, RemoteError
from labctl.guest.fake import FakeGuest
from labctl.plan.lab import plan
from labctl.plan.model import Identity
from labctl.report import checks as views
from labctl.spec import topology

IDENTITY = Identity(team="team01", lab=UUID(int=1), owner=UUID(int=2), mgmt=IPNetwork("192.168.99.0/24"))


def subject(name: str = "mini", **changes: Any) -> Subject:
    lab = plan(topology.load(name), IDENTITY)
    return Subject(**({"lab": lab, "virt": "kvm", "guest": lambda node: FakeGuest(name=node)} | changes))


def told(text: str, check: str, *, node: str = "node-1", name: str = "mini", at: float | None = None) -> list[Step]:
    """Return the steps of a check for one node's answer."""
    answer = Answer(text=text, seconds=0.1, at=at or time.time())
    return list(CHECKS[check].steps(subject(name, answers={(node, check): answer})))


def red(steps: list[Step]) -> dict[str, str]:
    return {step.name: step.evidence for step in steps if step.verdict is Verdict.FAIL}


NAMES = (
    "nameserver 192.168.99.1\n10.0.0.3 STREAM node-1\n10.0.0.4 STREAM node-2\n172.16.0.3 STREAM node-1.example.org\n"
)
LAST = "172.16.0.4 STREAM node-2.example.org"
UNITS = "\n".join(["active"] * len(EXPECTED)) + "\n--\n{}--\n" + "\n".join(["enabled"] * len(ENABLED))


def cards(**changes: Any) -> str:
    def card(name: str, *addresses: tuple[str, int]) -> dict[str, Any]:
        info = [{"local": address, "prefixlen": prefix, "scope": "global"} for address, prefix in addresses]
        return {"ifname": name, "flags": ["UP"], "mtu": 1500, "addr_info": info}

    found = [card("eth0", ("192.168.99.10", 24)), card("eth1", ("10.0.0.3", 24)), card("eth2", ("172.16.0.3", 16))]
    routes = changes.pop("routes", [])
    found[1] |= changes
    return (
        json.dumps(found) + "\n\n" + json.dumps([{"dst": "10.0.0.0/24", "dev": "eth1", "protocol": "kernel"}, *routes])
    )


def disks(**changes: Any) -> str:
    disk = {"name": "vda", "size": 10 * 1024**3, "ro": False, "type": "disk"} | changes
    rom = {"name": "sr0", "size": 1, "ro": True, "type": "rom"}
    return json.dumps({"blockdevices": [disk, rom]}) + json.dumps({"blockdevices": [{"name": "vda", "children": [{}]}]})


def room(space: int = 9853992, inodes: int = 315292, closed: str = "") -> str:
    root, medium, other = f"{space} {inodes} /", "    0     0 /media/labctl", "650000     - /boot/efi"
    return "\n".join(["  Avail  IFree Mounted on", root, medium, other, "  Avail  IFree Mounted on", root, "", closed])


@pytest.mark.parametrize(
    ("check", "answer", "evidence"),
    [
        ("B02", NAMES + LAST, None),
        ("B02", NAMES, "node-2.example.org is unknown, not 172.16.0.4"),
        ("B02", NAMES.replace("10.0.0.4", "10.0.0.44") + LAST, "node-2 is 10.0.0.44, not 10.0.0.4"),
        ("B02", NAMES + LAST + "\n10.0.0.9 STREAM", "node-2.example.org is 172.16.0.4, 10.0.0.9, not 172.16.0.4"),
        ("B02", NAMES.replace("nameserver 192", "nameserver 10") + LAST, "it asks 10.168.99.1, not 192.168.99.1"),
        ("B03", "", None),
        ("B03", "10.0.0.4 2 packets transmitted, 0 received, 100% packet loss", "node-2 (10.0.0.4)"),
        ("B03", "10.0.0.4 1 packets transmitted, 1 received, 0% packet loss, time 497ms", None),
        ("B03", "172.16.0.4 ping: local error: message too long, mtu=1400", "mtu=1400"),
        ("B04", "", None),
        ("B04", "10.0.0.1\n172.16.0.1", "10.0.0.1, 172.16.0.1 answers"),
        ("B05", "{now}\nactive\nUTC", None),
        ("B05", "{late}\nactive\nUTC", "3600 s behind"),
        ("B05", "{now}\ninactive\nUTC", "chrony is inactive"),
        ("B06", disks(), None),
        ("B06", disks(name="vdc"), "there is no vda; vdc is not in the plan"),
        ("B06", disks(size=5), "vda has 5 bytes"),
        ("B06", disks(ro=True), "vda is read-only"),
        ("B07", room(), None),
        ("B07", room(space=0), "0 KiB left on /"),
        ("B07", room(inodes=3), "3 inodes left on /"),
        ("B07", room(closed="/run"), "/run cannot be written to"),
        ("B08", UNITS.format(""), None),
        ("B08", UNITS.format("cron.service loaded failed failed Cron\n"), "cron failed"),
        ("B08", UNITS.format("").replace("active", "inactive", 1), "chrony is inactive"),
        ("B08", UNITS.format("").replace("enabled", "masked", 1), "chrony is masked"),
        ("B10", cards(), None),
        ("B10", cards(flags=[]), "eth1 is down"),
        ("B10", cards(mtu=1400), "eth1 has MTU 1400, not 1500"),
        ("B10", cards(addr_info=[]), "eth1 has no address, not 10.0.0.3/24"),
        (
            "B10",
            cards(routes=[{"dst": "default", "gateway": "10.0.0.9", "dev": "eth1"}]),
            "default via 10.0.0.9 dev eth1",
        ),
        ("B10", cards(routes=[{"type": "unreachable", "dst": "10.9.0.0/16"}]), "unreachable 10.9.0.0/16"),
        ("B11", "", None),
        ("B11", "read: /etc/hosts cannot be read", "/etc/hosts cannot be read"),
        ("B12", "", None),
        ("B12", "E: Syntax error /etc/apt/apt.conf.d/00x:1", "Syntax error"),
    ],
)
def test_each_check_judges_what_a_node_says(check: str, answer: str, evidence: str | None) -> None:
    now = time.time()
    text = answer.replace("{now}", f"{now:.3f}").replace("{late}", f"{now - 3600:.3f}")
    steps = told(text, check, at=now)
    assert steps
    if evidence is None:
        assert red(steps) == {}
    else:
        (found,) = red(steps).values()
        assert evidence in found
        assert all(step.suspect and step.node == "node-1" for step in steps if step.verdict is Verdict.FAIL)


def test_a_data_disk_that_somebody_used_is_red() -> None:
    listed = {"blockdevices": [{"name": n, "size": 2**40, "ro": False, "type": "disk"} for n in ("vda", "vdb")]}
    used = {"blockdevices": [{"name": "vda"}, {"name": "vdb", "children": [{"name": "vdb1"}]}]}
    steps = told(json.dumps(listed) + json.dumps(used) + "\n512\n", "B06", node="volume-node", name="gridka")
    assert red(steps) == {"empty data disks": "vdb is not empty"}
    used["blockdevices"][1].pop("children")
    assert not red(told(json.dumps(listed) + json.dumps(used) + "\n0\n", "B06", node="volume-node", name="gridka"))


def test_a_card_that_the_tutorial_configures_must_have_no_address() -> None:
    lab = subject("gridka").lab
    node = next(node for node in lab.nodes if any(nic.address is None and not nic.dhcp for nic in node.nics))
    found = [
        {
            "ifname": nic.name,
            "flags": ["UP"],
            "mtu": 1500,
            "addr_info": [{"local": str(nic.address or "10.9.9.9"), "prefixlen": nic.prefix or 24, "scope": "global"}],
        }
        for nic in node.nics
    ]
    steps = told(json.dumps(found) + "[]", "B10", node=node.name, name="gridka")
    assert "10.9.9.9/24 and must be unconfigured" in red(steps)["compare"]


def test_the_medium_is_skipped_where_no_node_has_one() -> None:
    (step,) = told("none", "B09")
    assert step.verdict is Verdict.SKIPPED
    assert red(told("ext4\n  Candidate: 2:27.0.0-3", "B09")) == {}
    assert red(told("unmounted\n  Candidate: (none)", "B09")).keys() == {"mount", "apt"}


def test_a_medium_that_one_node_lacks_is_red() -> None:
    answers = {
        ("node-1", "B09"): Answer(text="ext4\n  Candidate: 2:27.0.0-3", seconds=0, at=0),
        ("node-2", "B09"): Answer(text="none", seconds=0, at=0),
    }
    steps = list(CHECKS["B09"].steps(subject(answers=answers)))
    assert {step.node for step in steps if step.verdict is Verdict.FAIL} == {"node-2"}


def test_addresses_of_nobody_and_of_other_labs_are_asked() -> None:
    lab = subject(strangers=(IPAddress("192.168.128.10"),))
    question = CHECKS["B04"].asks
    assert question is not None
    asked = question(lab, lab.lab.nodes[0])
    for address in ("10.0.0.1 ", "10.0.0.254 ", "172.16.0.1 ", "192.168.128.10 "):
        assert address in asked
    assert "10.0.0.4 " not in asked


@pytest.mark.parametrize("check", [check for check in CHECKS if check.asks], ids=lambda check: check.id)
def test_every_question_is_a_script_that_a_shell_understands(check: Check) -> None:
    for name in ("mini", "gridka"):
        lab = subject(name)
        for node in lab.lab.nodes:
            script = ask.script(lab, node, [check])
            assert subprocess.run(["sh", "-n"], input=script.encode(), check=False).returncode == 0


def test_answers_are_told_apart_with_their_times() -> None:
    lines = ["==> B02 10.00", "one", "two", "==> B03 10.50", "", "==> end 12.00"]
    found = ask.answers([(float(number), line) for number, line in enumerate(lines)])
    assert found["B02"] == Answer(text="one\ntwo", seconds=0.5, at=0.0)
    assert found["B03"].seconds == 1.5


@pytest.mark.parametrize(("clock", "says"), [(120.0, ""), (121.0, ""), (135.0, "13 s ahead"), (110.0, "10 s behind")])
def test_a_clock_is_not_blamed_for_an_answer_that_came_late(clock: float, says: str) -> None:
    came = [
        (110.0, "==> B02 10.00"),
        (129.0, "==> B05 20.00"),
        (129.0, f"{clock}\nactive\nUTC"),
        (131.0, "==> end 22.00"),
    ]
    lab = subject("mini", virt="qemu", answers={("node-1", "B05"): ask.answers(came)["B05"]})
    assert next(iter(CHECKS["B05"].steps(lab))).evidence == says


def test_a_node_that_is_lost_midway_has_answered_what_it_answered() -> None:
    assert set(ask.answers([(0.0, "==> B02 1.0"), (0.0, "x"), (1.0, "==> B03 2.0"), (1.0, "y")])) == {"B02"}


@pytest.mark.parametrize(("late", "red"), [(1, False), (2, True)])
def test_a_node_that_is_late_once_is_asked_once_more(late: int, red: bool) -> None:
    tries: list[str] = []

    def guest(node: str) -> FakeGuest:
        tries.append(node)
        if node == "node-2" and tries.count(node) <= late:
            raise DeadlineError("node-2: SSH did not answer")
        return FakeGuest(name=node, answers={"exec sh -s": "==> B01 1.0\n==> end 2.0\n"})

    report = run(CHECKS["B01"], guest=guest)
    assert (report.verdict("B01") is Verdict.FAIL) is red
    assert tries.count("node-2") == 2


def fake(name: str, *steps: Step, needs: tuple[str, ...] = (), quick: bool = True) -> Check:
    def said(subject: Subject) -> Iterator[Step]:
        yield from steps

    return Check(id=name, title=name, exercises="", steps=said, needs=needs, quick=quick)


def run(*checks: Check, **changes: Any) -> Report:
    return runner.run(subject(**changes), checks, mode="full", told=lambda result: None)


GOOD, BAD = Step(name="x"), Step(name="y", verdict=Verdict.FAIL, evidence="why", suspect="cinder", node="node-1")


def test_a_check_is_blocked_only_when_what_it_needs_is_red() -> None:
    report = run(
        fake("C01", GOOD), fake("C02", BAD, needs=("C01",)), fake("C03", GOOD, needs=("C02",)), fake("C04", GOOD)
    )
    assert [str(result.verdict) for result in report.results] == ["PASS", "FAIL", "BLOCKED", "PASS"]
    assert report.frontier == ("C02",)
    assert not report.green


def test_a_check_that_breaks_is_an_error_and_counts_against_nobody() -> None:
    def broken(subject: Subject) -> Iterator[Step]:
        yield GOOD
        raise RemoteError("lost")

    report = run(Check(id="C01", title="", exercises="", steps=broken))
    assert report.verdict("C01") is Verdict.ERROR
    assert report.results[0].suspects == ()


def test_a_node_that_lets_nobody_in_blocks_its_own_answers_and_no_others() -> None:
    def guest(node: str) -> FakeGuest:
        if node == "node-2":
            raise RemoteError("node-2: nobody answers")
        return FakeGuest(
            name=node, answers={"exec sh -s": "==> B01 1.0\n==> B02 1.0\n" + NAMES + LAST + "\n==> end 2.0\n"}
        )

    report = run(CHECKS["B01"], CHECKS["B02"], guest=guest)
    assert report.verdict("B01") is Verdict.FAIL
    second = next(result for result in report.results if result.id == "B02")
    assert second.verdict is Verdict.BLOCKED
    assert [(step.node, str(step.verdict)) for step in second.steps] == [
        ("node-2", "BLOCKED"),
        ("node-1", "PASS"),
        ("node-1", "PASS"),
    ]
    assert report.frontier == ("B01",)


def test_nothing_new_begins_after_an_interrupt() -> None:
    lab = subject()
    lab.cancelled.set()
    report = runner.run(lab, [fake("C01", GOOD)], mode="full", told=lambda result: None)
    assert report.verdict("C01") is Verdict.BLOCKED


def test_every_check_says_what_it_does_and_needs_only_what_there_is() -> None:
    ids = {check.id for check in CHECKS}
    for check in CHECKS:
        assert len(check.about) > 40, check.id
        assert set(check.needs) <= ids
        assert check.id in views.explained(check)
    graph.order(list(CHECKS))


def test_checks_are_chosen_by_stage_and_id() -> None:
    assert "B09" in {check.id for check in chosen("bare")}
    assert "B09" not in {check.id for check in chosen("installed")}
    assert [check.id for check in chosen("bare", ("B03", "B01"))] == ["B01", "B03"]
    with pytest.raises(InputError, match="no check B99"):
        chosen("bare", ("B99",))


def test_a_report_names_who_is_to_blame() -> None:
    report = run(fake("B02", BAD), fake("B03", GOOD))
    document = views.document(report)
    assert document["exit"] == 4
    assert document["frontier"] == ["B02"]
    first = document["checks"][0]
    assert (first["result"], first["step"], first["host"], first["evidence"]) == ("FAIL", "y", "node-1", "why")
    assert first["suspects"] == ["node-1: cinder"]
    assert "Look here first:\n  B02  node-1: cinder: why" in views.text(report)
    assert json.loads(json.dumps(document)) == document


def test_junit_has_a_case_for_each_check() -> None:
    report = run(fake("B02", replace(BAD, evidence='a "quoted" <word>')), fake("B03", GOOD))
    suite = ET.fromstring(views.junit([report]))[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert suite[0][0].get("message") == 'node-1: y: a "quoted" <word>'


def test_three_suspects_at_most_each_once() -> None:
    steps = tuple(replace(BAD, node=f"node-{number}") for number in (1, 1, 2, 3, 4))
    result = Result(id="B02", verdict=Verdict.FAIL, steps=steps, seconds=1, limit=2)
    assert [str(suspect) for suspect in result.suspects] == ["node-1: cinder", "node-2: cinder", "node-3: cinder"]


def inside(changed: dict[int, str] | None = None) -> dict[str, str]:
    """Return what X1 finds on a node of allinone whose answer differs from a good one in some of its parts."""
    units = {"allinone": ("nova-api", "mariadb")}
    ports = (5000, 9292, 8778, 8774, 9696, 8776, 8004, 3306, 5672, 11211, 80)
    good = ["active\nactive", "enabled\nenabled", "\n".join(f"0.0.0.0:{port}" for port in ports), "", ""]
    text = "\n--\n".join((changed or {}).get(number, part) for number, part in enumerate(good))
    answer = Answer(text=text.strip(), seconds=0.1, at=time.time())
    lab = subject("allinone", units=units, answers={("allinone", "X1"): answer})
    assert "systemctl is-active nova-api mariadb" in ask.script(lab, lab.lab.nodes[0], [CHECKS["X1"]])
    return red(list(CHECKS["X1"].steps(lab)))


@pytest.mark.parametrize(
    ("part", "says", "step", "evidence"),
    [
        (0, "active\nactivating", "units run", "mariadb is activating"),
        (1, "masked\nenabled", "units are enabled", "nova-api is masked"),
        (2, "*:5000\n[::]:9292", "listeners", "nothing listens for placement (8778)"),
        (3, "error: could not open network device tap1", "bridges", "tap1"),
        (4, "??5??????   /usr/lib/python3/dist-packages/nova/x.py", "program files", "nova/x.py"),
    ],
)
def test_nodes_are_looked_at_from_within(part: int, says: str, step: str, evidence: str) -> None:
    assert inside() == {}
    found = inside({part: says})
    assert list(found) == [step]
    assert evidence in found[step]


def test_a_check_for_organisers_only_runs_if_it_is_named() -> None:
    assert not {"X1"} & {check.id for check in chosen("installed")}
    assert [check.id for check in chosen("installed", ("X1",))] == ["X1"]
    assert "It only runs if you name it." in views.explained(CHECKS["X1"])


def test_a_check_that_was_slow_is_green_and_says_so() -> None:
    result = Result(id="B02", verdict=Verdict.PASS, steps=(), seconds=40, limit=30)
    report = Report(
        run="r", lab="team01", topology="mini", mode="full", started="", seconds=1, results=(result,), frontier=()
    )
    assert report.green
    assert "slow: the limit is 30 s" in views.text(report)
    assert views.document(report)["checks"][0]["slow"] is True
    assert views.document(replace(report, results=(replace(result, seconds=20),)))["checks"][0]["slow"] is False
