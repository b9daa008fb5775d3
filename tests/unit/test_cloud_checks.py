"""Checks of clouds against a cloud that is broken one door at a time: results, parts, suspects, residue."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import pytest
import requests
from openstack.compute.v2.server import Server
from openstack.exceptions import ConflictException, NotFoundException

from labctl.checks import bench, c17_attach, c20_dashboard, c25_measures, c26_alarm, c27_names
from labctl.checks import log as logs
from labctl.checks import run as runner
from labctl.checks.canary import Canary
from labctl.checks.check import Check, Subject, chosen
from labctl.checks.limits import Limits
from labctl.checks.log import Log
from labctl.checks.made import KINDS, Kind, Made, Thing, ec2_access
from labctl.checks.model import Report, Result, Verdict
from labctl.cloud import http
from labctl.errors import DeadlineError, RemoteError
from labctl.guest.fake import FakeGuest
from tests.unit import fake_cloud
from tests.unit.fake_cloud import FakeCloud

QUICK = ("C01", "C02", "C03", "C04", "C05", "C06")
REFUSED = RemoteError("10.0.0.3 does not answer on port 9292", details="[Errno 111] Connection refused")


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCloud]:
    monkeypatch.setattr(logs, "_PAUSE", (0.0, 0.0))
    monkeypatch.setattr(logs, "_STILL", (0.5, 0.5))
    with fake_cloud.running() as made:
        yield made


def check(cloud: FakeCloud, *ids: str, **changes: Any) -> Report:
    return runner.run(
        cloud.subject(**changes), chosen("installed", ids or QUICK), mode="full", told=lambda result: None
    )


def of(report: Report, name: str) -> Result:
    return next(result for result in report.results if result.name == name)


def test_a_healthy_cloud_is_green_and_asked_for_nothing_odd(cloud: FakeCloud) -> None:
    report = check(cloud)
    bad = {result.name: result.first for result in report.results if result.verdict is not Verdict.PASS}
    assert bad.keys() == {"C02:ceph-rgw"}  # a cloud has one object store, and this one has Swift
    assert of(report, "C02:ceph-rgw").verdict is Verdict.SKIPPED
    assert cloud.unknown == []
    assert {"C02:glance", "C03:detail", "C04:providers", "C05", "C06"} <= {result.name for result in report.results}


def test_what_a_cloud_does_not_have_is_not_asked_for(cloud: FakeCloud) -> None:
    cloud.roles = ("mariadb", "memcached", "keystone", "swift", "swift-storage")
    cloud.absent = {"glance", "placement", "nova", "neutron", "cinder", "heat"}
    report = check(cloud)
    bad = [each.name for each in report.results if each.verdict not in (Verdict.PASS, Verdict.SKIPPED)]
    assert bad == []
    assert of(report, "C02:swift").verdict is Verdict.PASS


def test_a_door_that_is_shut_blocks_what_stands_behind_it_and_nothing_else(cloud: FakeCloud) -> None:
    cloud.broken[9292] = REFUSED
    report = check(cloud)
    assert of(report, "C02:glance").verdict is Verdict.FAIL
    assert of(report, "C03:glance").verdict is Verdict.BLOCKED
    others = [result for result in report.results if "glance" not in result.name and "rgw" not in result.name]
    assert {result.verdict for result in others} == {Verdict.PASS}
    assert report.frontier == ("C02:glance",)
    assert "its unit, inactive or failed" in str(of(report, "C02:glance").suspects[0])


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (REFUSED, "refused"),
        (RemoteError("it does not answer", details="[Errno 113] No route to host"), "no route"),
        (DeadlineError("it does not answer", details="timed out"), "no answer in time"),
        (503, "HTTP 503"),
    ],
)
def test_doors_that_are_shut_are_told_apart(cloud: FakeCloud, broken: Any, says: str) -> None:
    cloud.broken[8776] = broken
    first = of(check(cloud, "C01", "C02:cinder"), "C02:cinder").first
    assert first is not None
    assert first.evidence.startswith(says)


def test_a_red_request_is_named_with_status_id_and_address(cloud: FakeCloud) -> None:
    cloud.answers["GET", 9696, "/v2.0/networks"] = (503, {"message": "no token could be checked"})
    report = check(cloud)
    first = of(report, "C03:neutron").first
    assert first is not None
    assert (first.http, first.request_id, first.node, first.name) == (503, "req-1", "allinone", "list")
    assert first.url is not None
    assert ":9696/v2.0/networks" in first.url
    assert of(report, "C05").verdict is Verdict.BLOCKED
    assert "[keystone_authtoken]" in str(of(report, "C03:neutron").suspects[0])


def test_a_login_that_is_turned_away_is_told_with_its_status(cloud: FakeCloud) -> None:
    cloud.answers["POST", 5000, "/v3/auth/tokens"] = (401, {"error": {"message": "The request needs authentication."}})
    result = of(check(cloud, "C01"), "C01")
    assert result.first is not None
    assert result.first.http == 401
    assert result.first.evidence.startswith("HTTP 401: ")
    assert "admin's role, user or project" in str(result.suspects[0])


def test_an_endpoint_that_is_not_in_the_catalogue_is_keystones_affair(cloud: FakeCloud) -> None:
    cloud.absent.add("heat")
    first, *_ = of(check(cloud), "C02:heat").suspects
    assert "the endpoint of heat" in first.service


def test_an_answer_that_fails_once_is_asked_for_again(cloud: FakeCloud) -> None:
    failed: list[int] = []

    def once(_: bytes) -> tuple[int, Any]:
        failed.append(1)
        return (500, {}) if len(failed) == 1 else (200, {"networks": []})

    cloud.answers["GET", 9696, "/v2.0/networks"] = once
    assert of(check(cloud), "C03:neutron").verdict is Verdict.PASS


@pytest.mark.parametrize("service", ["glance", "nova", "neutron", "cinder", "heat", "placement"])
def test_a_service_that_takes_nonsense_for_a_token_is_red(
    cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    monkeypatch.setattr("labctl.checks.c03_lists.NONSENSE", "anything")
    report = check(cloud, "C01", f"C02:{service}", f"C03:{service}")
    first = of(report, f"C03:{service}").first
    assert first is not None
    assert first.evidence == "HTTP 200 to a nonsense token, not 401"
    assert "checks no tokens" in str(of(report, f"C03:{service}").suspects[0])


@pytest.mark.parametrize(
    ("program", "name"),
    [("nova-compute", "C04:services"), ("neutron-dhcp-agent", "C05"), ("cinder-volume", "C06")],
)
def test_a_service_whose_last_report_is_old_is_dead_whatever_its_state(
    cloud: FakeCloud, program: str, name: str
) -> None:
    cloud.age[program] = 3600
    report = check(cloud)
    assert report.frontier == (name,)
    assert program in str(of(report, name).suspects[0])
    cloud.age, cloud.absent = {}, {program}
    first = of(check(cloud), name).first
    assert first is not None
    assert first.evidence == f"the cloud knows no {program} on allinone"


def test_each_back_end_of_volumes_reports_for_itself_and_what_is_free_in_ceph_is_not_judged(cloud: FakeCloud) -> None:
    cloud.roles = (*(role for role in cloud.subject().lab.nodes[0].roles), "ceph-mon")
    path = ("GET", 8776, "/v3/p/os-services")
    _, known = cloud.answer(*path, b"")
    (volume,) = (each for each in known["services"] if each["binary"] == "cinder-volume")
    stored = volume | {"host": "allinone@ceph"}
    cloud.answers[path] = (200, {"services": [*known["services"], stored]})
    pools = [("lvm", 19.0), ("ceph", "unknown")]
    cloud.answers["GET", 8776, "/v3/p/scheduler-stats/get_pools"] = (
        200,
        {
            "pools": [
                {"name": f"allinone@{name}#{name}", "capabilities": {"free_capacity_gb": free}} for name, free in pools
            ]
        },
    )
    assert of(check(cloud), "C06").verdict is Verdict.PASS
    stored["updated_at"] = "2020-01-01T00:00:00"
    first = of(check(cloud), "C06").first
    assert first is not None
    assert (first.name, first.node) == ("cinder-volume (ceph)", "allinone")
    assert "reported last" in first.evidence


def test_a_report_that_is_late_is_waited_for(cloud: FakeCloud) -> None:
    cloud.age["nova-compute"] = 40

    class Waits:
        def wait(self, seconds: float) -> bool:
            cloud.age.clear()
            return False

        def is_set(self) -> bool:
            return False

    assert of(check(cloud, "C04:services", cancelled=Waits()), "C04:services").verdict is Verdict.PASS


@pytest.mark.parametrize(("slowest", "verdict"), [(2.0, Verdict.FAIL), (5.0, Verdict.PASS), (100.0, Verdict.PASS)])
def test_a_report_may_be_older_in_a_lab_that_is_starved(cloud: FakeCloud, slowest: float, verdict: Verdict) -> None:
    cloud.age["nova-compute"] = 70
    assert of(check(cloud, "C04:services"), "C04:services").verdict is Verdict.FAIL
    limits = Limits(virt="kvm", slowest=slowest)
    assert of(check(cloud, "C04:services", limits=limits), "C04:services").verdict is verdict
    cloud.age["nova-compute"] = 190  # dead is dead
    assert of(check(cloud, "C04:services", limits=limits), "C04:services").verdict is Verdict.FAIL


def test_no_room_on_any_compute_node_is_told(cloud: FakeCloud) -> None:
    cloud.answers["GET", 8778, "/resource_providers/r/usages"] = (200, {"usages": {"DISK_GB": 20}})
    first = of(check(cloud), "C04:providers").first
    assert first is not None
    assert first.evidence == "allinone has no DISK_GB"


CANARY = Canary(server="s", volume="v", address="172.16.1.9", host_key="ssh-ed25519 AAAA", marker="a1b2")
SERVER = {"id": "s", "name": "canary", "status": "ACTIVE"}


@pytest.fixture
def canary(cloud: FakeCloud) -> FakeCloud:
    """Return a cloud with a canary that lives."""
    cloud.canary = CANARY
    cloud.answers["GET", 8774, "/v2.1/servers/s"] = (200, {"server": SERVER})
    address = {"id": "f", "floating_ip_address": CANARY.address, "port_id": "p", "status": "ACTIVE"}
    cloud.answers["GET", 9696, "/v2.0/floatingips"] = (200, {"floatingips": [address]})
    cloud.answers["GET", 9696, "/v2.0/ports"] = (200, {"ports": [{"id": "p", "device_id": "s"}]})
    cloud.answers["GET", 8776, "/v3/p/volumes/v"] = (200, {"volume": {"id": "v", "status": "in-use"}})
    cloud.says = "a1b2\n"
    return cloud


def test_a_canary_that_lives_is_green(canary: FakeCloud) -> None:
    result = of(check(canary, "C22:alive"), "C22:alive")
    assert result.verdict is Verdict.PASS, result.first
    assert canary.unknown == []


def test_a_lab_without_a_canary_is_not_red_for_that(cloud: FakeCloud) -> None:
    first = of(check(cloud, "C22:alive"), "C22:alive").first
    assert first is not None
    assert (first.verdict, first.evidence) == (Verdict.SKIPPED, "the lab has no canary yet; C22:make makes one")


@pytest.mark.parametrize(
    ("path", "port", "answer", "step"),
    [
        ("/v2.1/servers/s", 8774, (404, {}), "ACTIVE"),
        ("/v2.1/servers/s", 8774, (200, {"server": SERVER | {"status": "SHUTOFF"}}), "ACTIVE"),
        ("/v2.0/floatingips", 9696, (200, {"floatingips": []}), "its address"),
        ("/v2.0/ports", 9696, (200, {"ports": [{"id": "another"}]}), "its address"),
        ("/v3/p/volumes/v", 8776, (200, {"volume": {"id": "v", "status": "available"}}), "its volume"),
    ],
    ids=["gone", "off", "without its address", "another port", "without its volume"],
)
def test_a_canary_that_is_not_as_it_was_is_red(canary: FakeCloud, path: str, port: int, answer: Any, step: str) -> None:
    canary.answers["GET", port, path] = answer
    result = of(check(canary, "C22:alive"), "C22:alive")
    assert result.first is not None
    assert (result.verdict, result.first.name) == (Verdict.FAIL, step)


def test_a_canary_that_is_off_says_how_it_is_started(canary: FakeCloud) -> None:
    canary.answers["GET", 8774, "/v2.1/servers/s"] = (200, {"server": SERVER | {"status": "SHUTOFF"}})
    first = of(check(canary, "C22:alive"), "C22:alive").first
    assert first is not None
    assert first.evidence == "the server is SHUTOFF, as after its node was off: openstack server start canary"


def test_a_canary_whose_file_changed_is_red(canary: FakeCloud) -> None:
    canary.says = "something else"
    first = of(check(canary, "C22:alive"), "C22:alive").first
    assert first is not None
    assert first.evidence == "the marker file holds 'something else', which nobody wrote"


def test_each_run_logs_in_anew_and_knows_nothing_of_an_earlier_one(cloud: FakeCloud) -> None:
    lab, known = cloud.subject(), []

    def steps(lab: Subject) -> Any:
        assert lab.cloud is not None
        known.append(dict(lab.cloud.bench))
        lab.cloud.bench["server allinone"] = "removed at the end of the run"
        yield from ()

    checks = [*chosen("installed", ("C01",)), Check(id="C99", title="", exercises="", steps=steps)]
    for _ in range(2):
        cloud.asked.clear()
        runner.run(lab, checks, mode="full", told=lambda result: None)
        assert cloud.asked.count(("POST", 5000, "/v3/auth/tokens")) == 3
    assert known == [{}, {}]


def test_a_server_that_a_killed_run_stopped_is_started(cloud: FakeCloud) -> None:
    lab = cloud.subject().cloud
    assert lab is not None
    states = [("ACTIVE", "powering-off"), ("SHUTOFF", None), ("SHUTOFF", None), ("ACTIVE", None), ("ACTIVE", None)]

    def server(_: bytes) -> tuple[int, Any]:
        status, task = states.pop(0) if len(states) > 1 else states[0]
        return 200, {"server": SERVER | {"status": status, "OS-EXT-STS:task_state": task}}

    def start(_: bytes) -> tuple[int, Any]:
        starts.append(1)
        return (409, {"conflictingRequest": {"message": "powering-off"}}) if len(starts) == 1 else (202, {})

    starts: list[int] = []
    cloud.answers["GET", 8774, "/v2.1/servers/s"] = server
    cloud.answers["POST", 8774, "/v2.1/servers/s/action"] = start
    lab.made.make("stop", "stop", lambda _: SimpleNamespace(id="s"), parent="s")
    assert lab.made.remove(lab) == []
    assert len(starts) == 2


def test_a_service_that_hangs_is_told_from_a_slow_one_by_the_times_of_the_healthy_lab(
    cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    @contextmanager
    def patience(seconds: float, cancelled: threading.Event) -> Iterator[None]:
        waited.append(seconds)
        yield

    def hangs() -> None:
        raise requests.ReadTimeout("no answer")

    monkeypatch.setattr(http, "patience", patience)
    subject = cloud.subject(virt="qemu")
    assert subject.cloud is not None
    lab = replace(subject, cloud=replace(subject.cloud, seconds=240.0))
    for times in ({"C03:heat list": [9.0, 12.5]}, {}):
        log = Log(replace(lab, limits=Limits(virt="qemu", times=times)), "C03:heat")
        with pytest.raises(logs._Ended):
            log.ask("list", hangs)
    assert waited == [50.0, 120.0, 240.0, 240.0]


def test_the_admin_joins_a_project_before_his_first_request_there(cloud: FakeCloud) -> None:
    grant = ("PUT", 5000, "/v3/projects/p/users/u/roles/r")

    def token(body: bytes) -> tuple[int, Any]:
        asked = json.loads(body)["auth"]
        user, project = asked["identity"]["password"]["user"]["name"], asked["scope"]["project"]["name"]
        if user != project and grant not in cloud.asked:
            return 401, {"error": {"message": "The request you have made requires authentication."}}
        return 201, {"token": cloud.token()}

    cloud.answers["POST", 5000, "/v3/auth/tokens"] = token
    cloud.answers["GET", 5000, "/v3/roles"] = (200, {"roles": [{"id": "r", "name": "admin"}]})
    cloud.answers[grant] = (204, {})
    cloud.answers["GET", 9292, "/v2/images"] = (200, {"images": [{"id": "i", "name": "instance"}]})
    cloud.answers["GET", 8774, "/v2.1/flavors/detail"] = (200, {"flavors": [{"id": "f", "name": "m1.tiny"}]})
    cloud.answers["GET", 9696, "/v2.0/networks"] = (200, {"networks": [{"id": "n", "name": "net1"}]})
    cloud.answers["POST", 8774, "/v2.1/os-keypairs"] = (201, {"keypair": {"name": "k"}})
    server = {"id": "s", "name": "s", "status": "ACTIVE", "OS-EXT-SRV-ATTR:host": "compute-2"}
    cloud.answers["POST", 8774, "/v2.1/servers"] = (202, {"server": server})
    cloud.answers["GET", 8774, "/v2.1/servers/s"] = (200, {"server": server})
    assert bench.boot(Log(cloud.subject(), "C10"), "compute-2", "server").id == "s"


@pytest.mark.parametrize(
    ("info", "status", "code", "fails"),
    [
        ({"target_portal": "10.0.0.3:3260"}, "attaching", 0, ""),
        ({"target_portal": "10.0.0.9:3260"}, "attaching", 1, "its portal"),
        ({"target_portal": "10.0.0.9:3260"}, "attaching", 124, "its portal"),
        ({"hosts": ["10.0.0.3"]}, "attaching", None, ""),  # in Ceph
        ({}, "error_attaching", None, ""),  # which the next step tells
        ({}, "attaching", None, "its target"),
    ],
)
def test_a_target_that_does_not_answer_is_told_at_once(
    cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch, info: dict[str, Any], status: str, code: int | None, fails: str
) -> None:
    monkeypatch.setattr(logs, "_POLL", (0.01, 0.01))
    monkeypatch.setattr(bench, "ANSWER", (0.1, 0.1))
    monkeypatch.setattr(c17_attach, "_STATUS", (0.1, 0.1))
    attachment = {"id": "a", "connection_info": info}
    cloud.answers["GET", 8776, "/v3/p/attachments/detail"] = (200, {"attachments": [attachment]})
    cloud.answers["GET", 8776, "/v3/p/volumes/v"] = (200, {"volume": {"id": "v", "status": status}})
    answers = {} if code is None else {f"timeout 5 bash -c .*/dev/tcp/{info['target_portal'][:-5]}/3260.*": code}
    guest = FakeGuest(name="compute-1", answers=answers)
    log = Log(cloud.subject(guest=lambda node: guest), "C17")
    with contextlib.suppress(logs._Ended):
        c17_attach._portal(log, "compute-1", SimpleNamespace(id="v"), "volume-node")
    assert [step.name for step in log.steps if step.verdict is not Verdict.PASS] == [fails] * bool(fails)


@pytest.mark.parametrize(
    ("tries", "why", "ready", "seen"),
    [(5, "403 Forbidden", "", 1), (4, "403 Forbidden", "instance: ready", 2), (9, "404 None", "instance: ready", 2)],
)
def test_a_server_whose_metadata_are_refused_again_and_again_is_not_waited_for(
    cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch, tries: int, why: str, ready: str, seen: int
) -> None:
    monkeypatch.setattr(logs, "_POLL", (0.01, 0.01))
    said = "\n".join(f"instance: metadata try {number} of 60: HTTP/1.1 {why}" for number in range(1, tries + 1))
    shown = iter([said, f"{said}\n{ready}"])
    cloud.answers["POST", 8774, "/v2.1/servers/s/action"] = lambda _: (200, {"output": next(shown)})
    log = Log(cloud.subject(), "C11")
    log.cloud.bench["host s"] = "compute-1"
    with contextlib.nullcontext() if ready else pytest.raises(logs._Ended):
        bench.console(log, Server(id="s"))
    assert cloud.asked.count(("POST", 8774, "/v2.1/servers/s/action")) == seen
    assert ready or log.steps[-1].evidence.startswith(f"metadata try 5 of 60: HTTP/1.1 {why}")


def test_an_image_that_was_made_is_removed_and_off_the_record(cloud: FakeCloud) -> None:
    store: dict[str, bytes] = {}

    def put(body: bytes) -> tuple[int, Any]:
        store["content"] = body
        return 204, {}

    image = {"id": "i", "name": "n", "status": "queued"}
    cloud.answers["POST", 9292, "/v2/images"] = (201, image)
    cloud.answers["PUT", 9292, "/v2/images/i/file"] = put
    cloud.answers["GET", 9292, "/v2/images/i"] = lambda _: (
        (404, {}) if ("DELETE", 9292, "/v2/images/i") in cloud.asked else (200, image | {"status": "active"})
    )
    cloud.answers["GET", 9292, "/v2/images/i/file"] = lambda _: (200, store["content"])
    cloud.answers["DELETE", 9292, "/v2/images/i"] = (204, {})
    report = check(cloud, "C07:upload")
    assert of(report, "C07:upload").verdict is Verdict.PASS, of(report, "C07:upload").first
    assert ("DELETE", 9292, "/v2/images/i") in cloud.asked
    assert json.loads(cloud.record[0])[0]["id"] is None
    assert json.loads(cloud.record[-1]) == []
    assert report.leftovers == ()


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize(("store", "place"), [("swift", "/v1"), ("ceph-rgw", "/swift/v1")])
def test_an_object_that_comes_back_is_green_and_removed_with_its_container(
    cloud: FakeCloud, store: str, place: str, lost: bool
) -> None:
    box = f"{place}/AUTH_p/labctl-check-run1-objects"
    held: dict[str, bytes] = {}
    roles = cloud.subject().lab.nodes[0].roles
    cloud.roles = (*(role for role in roles if not role.startswith("swift")), store)
    cloud.absent = {"swift", "ceph-rgw"} - {store}

    def put(body: bytes) -> tuple[int, Any]:
        held["thing"] = body[:-1] if lost else body
        return 201, {}

    cloud.answers["PUT", 8080, box] = (201, {})
    cloud.answers["PUT", 8080, f"{box}/thing"] = put
    cloud.answers["GET", 8080, box] = lambda _: (200, [{"name": each, "bytes": 1} for each in held])
    cloud.answers["GET", 8080, f"{box}/thing"] = lambda _: (200, held["thing"])
    cloud.answers["DELETE", 8080, f"{box}/thing"] = lambda _: (held.clear(), (204, {}))[1]
    cloud.answers["DELETE", 8080, box] = (204, {})
    result = of(report := check(cloud, "C24"), "C24")
    assert result.verdict is (Verdict.FAIL if lost else Verdict.PASS), result.first
    assert held == {}
    assert ("DELETE", 8080, box) in cloud.asked
    assert report.leftovers == ()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((200, b'<table id="stacks"></table></html>'), ""),
        ((200, b"</html>"), 'the page has no id="stacks"'),
        ((404, b""), "HTTP 404"),
        ((500, b""), "HTTP 500"),
    ],
)
def test_the_dashboards_list_of_stacks_is_opened_where_a_node_has_the_panel(
    cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch, answer: tuple[int, bytes], says: str
) -> None:
    root = f"http://{fake_cloud.PUBLIC}/horizon/"
    monkeypatch.setattr(c20_dashboard, "_enter", lambda log: (log.cloud.http(), root))
    cloud.answers["GET", 80, "/horizon/project/stacks"] = answer
    assert of(check(cloud, "C20:stacks"), "C20:stacks").verdict is Verdict.SKIPPED  # allinone has no such role
    assert cloud.asked == []
    cloud.roles = ("keystone", "horizon", "heat", "heat-dashboard")
    result = of(check(cloud, "C20:stacks"), "C20:stacks")
    assert result.verdict is (Verdict.FAIL if says else Verdict.PASS), result.first
    if says:
        assert result.first is not None
        assert says in result.first.evidence
        assert (result.first.node, result.first.suspect) == ("allinone", "apache2: Heat's panel")


@pytest.mark.parametrize("broken", ["", "handle", "signal"])
def test_a_stack_with_a_server_waits_for_its_signal(
    cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setattr(logs, "_POLL", (0.01, 0.01))
    name, state = "labctl-check-run1-server", {"condition": "CREATE_IN_PROGRESS"}
    resources = f"/v1/p/stacks/{name}/s1/resources"

    def signal(body: bytes) -> tuple[int, Any]:
        if broken == "signal":
            return 403, {}
        state["condition"] = f"CREATE_COMPLETE {json.loads(body)['data']}"
        return 200, {}

    def every(_: bytes) -> tuple[int, Any]:
        found = {"handle": "CREATE_FAILED" if broken == "handle" else "CREATE_COMPLETE", "server": "CREATE_COMPLETE"}
        found["condition"] = state["condition"].split()[0]
        return 200, {
            "resources": [
                {"resource_name": key, "resource_status": value, "resource_status_reason": "who are you?"}
                for key, value in found.items()
            ]
        }

    def stack(_: bytes) -> tuple[int, Any]:
        if ("DELETE", 8004, "/v1/p/stacks/s1") in cloud.asked:
            return 404, {}
        status, _, said = state["condition"].partition(" ")
        outputs = [{"output_key": "said", "output_value": json.dumps({"1": said})}]
        return 200, {"stack": {"id": "s1", "stack_name": name, "stack_status": status, "outputs": outputs}}

    for port, path, kind in (
        (9292, "/v2/images/instance", {"id": "i", "name": "instance"}),
        (8774, "/v2.1/flavors/m1.tiny", {"flavor": {"id": "f", "name": "m1.tiny"}}),
        (9696, "/v2.0/networks/net1", {"network": {"id": "n", "name": "net1"}}),
    ):
        cloud.answers["GET", port, path] = (200, kind)
    cloud.answers["POST", 8004, "/v1/p/stacks"] = (201, {"stack": {"id": "s1", "links": []}})
    cloud.answers["GET", 8004, "/v1/p/stacks/s1"] = stack
    cloud.answers["GET", 8004, resources] = every
    cloud.answers["POST", 8004, f"{resources}/handle/signal"] = signal
    cloud.answers["DELETE", 8004, "/v1/p/stacks/s1"] = (204, {})
    result = of(report := check(cloud, "X7"), "X7")
    assert result.verdict is (Verdict.FAIL if broken else Verdict.PASS), result.first
    if broken == "handle":
        assert result.first is not None
        assert result.first.suspect == "heat: the stacks' domain and its admin"
        assert "who are you?" in result.first.evidence
    assert ("DELETE", 8004, "/v1/p/stacks/s1") in cloud.asked
    assert report.leftovers == ()


@pytest.mark.parametrize(
    ("told", "computed", "blamed"), [(True, True, ""), (False, False, "glance"), (True, False, "gnocchi")]
)
def test_a_download_that_is_not_measured_is_blamed_on_who_lost_it(
    cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch, told: bool, computed: bool, blamed: str
) -> None:
    monkeypatch.setattr(c25_measures, "_SECONDS", (0.2, 0.2))
    store: dict[str, bytes] = {}
    image, resource = {"id": "i", "name": "n", "status": "active"}, "/v1/resource/image/i"

    def put(body: bytes) -> tuple[int, Any]:
        store["content"] = body
        return 204, {}

    cloud.answers["POST", 9292, "/v2/images"] = (201, image | {"status": "queued"})
    cloud.answers["PUT", 9292, "/v2/images/i/file"] = put
    cloud.answers["GET", 9292, "/v2/images/i"] = lambda _: (
        (404, {}) if ("DELETE", 9292, "/v2/images/i") in cloud.asked else (200, image)
    )
    cloud.answers["GET", 9292, "/v2/images/i/file"] = lambda _: (200, store["content"])
    cloud.answers["DELETE", 9292, "/v2/images/i"] = (204, {})
    cloud.answers["GET", 8041, resource] = (200, {"id": "i"})
    metric = f"{resource}/metric/image.download"
    if told:
        cloud.answers["GET", 8041, metric] = (200, {"id": "m"})
    cloud.answers["GET", 8041, f"{metric}/measures"] = lambda _: (
        200,
        [["2026-11-26T10:00:00", 300.0, float(len(store["content"]))]] if computed else [],
    )
    report = check(cloud, "C25")
    found = of(report, "C25")
    assert found.verdict is (Verdict.FAIL if blamed else Verdict.PASS), found.first
    assert blamed in (found.first.suspect if found.first else "")
    assert report.leftovers == ()


@pytest.mark.parametrize("state", ["alarm", "insufficient data"])
def test_an_alarm_that_fires_is_green_and_removed_with_its_metric(
    cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setattr(c26_alarm, "_SECONDS", (0.2, 0.2))
    sent: list[Any] = []

    def send(body: bytes) -> tuple[int, Any]:
        sent.extend(json.loads(body))
        return 202, {}

    cloud.answers["POST", 8041, "/v1/metric"] = (201, {"id": "m"})
    cloud.answers["POST", 8041, "/v1/metric/m/measures"] = send
    cloud.answers["GET", 8041, "/v1/metric/m/measures"] = (200, [["2026-11-26T10:00:00", 300.0, 42.0]])
    cloud.answers["DELETE", 8041, "/v1/metric/m"] = (204, {})
    cloud.answers["POST", 8042, "/v2/alarms"] = (201, {"alarm_id": "a"})
    cloud.answers["GET", 8042, "/v2/alarms/a/state"] = (200, state)
    cloud.answers["DELETE", 8042, "/v2/alarms/a"] = (204, {})
    report = check(cloud, "C26")
    assert of(report, "C26").verdict is (Verdict.PASS if state == "alarm" else Verdict.FAIL), of(report, "C26").first
    assert sent[0]["value"] == 42
    assert {("DELETE", 8041, "/v1/metric/m"), ("DELETE", 8042, "/v2/alarms/a")} <= set(cloud.asked)
    assert report.leftovers == ()


@pytest.mark.parametrize(("told", "says"), [("192.0.2.7", ""), ("192.0.2.8", "BIND said that"), ("", "NXDOMAIN")])
def test_a_name_is_asked_for_where_people_would_ask(
    cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch, told: str, says: str
) -> None:
    monkeypatch.setattr(c27_names, "_SECONDS", (0.2, 0.2))
    name = "labctl-check-run1-record.example.org."
    zone = {"id": "z", "name": name, "status": "ACTIVE"}
    if told:
        cloud.names[f"www.{name}"] = told
    cloud.answers["POST", 9001, "/v2/zones"] = (202, zone | {"status": "PENDING"})
    cloud.answers["GET", 9001, "/v2/zones/z"] = lambda _: (
        (404, {}) if ("DELETE", 9001, "/v2/zones/z") in cloud.asked else (200, zone)
    )
    cloud.answers["POST", 9001, "/v2/zones/z/recordsets"] = (202, {"id": "r", "name": f"www.{name}"})
    cloud.answers["DELETE", 9001, "/v2/zones/z"] = (202, zone)
    report = check(cloud, "C27:record")
    found = of(report, "C27:record")
    assert found.verdict is (Verdict.FAIL if says else Verdict.PASS), found.first
    assert says in (found.first.evidence if found.first else "")
    assert ("DELETE", 9001, "/v2/zones/z") in cloud.asked
    assert report.leftovers == ()


class World:
    """Things of one kind, by name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.things: dict[str, str] = {}
        self.removed: list[str] = []
        self.stuck: set[str] = set()
        self.record: list[str] = []
        monkeypatch.setitem(
            KINDS,
            "thing",
            Kind(
                find=lambda _, thing: [self.things[thing.name]] if thing.name in self.things else [],
                remove=self._remove,
            ),
        )

    def _remove(self, _: Any, thing: Any) -> None:
        if thing.id in self.stuck:
            raise ConflictException("in use")
        self.things = {name: each for name, each in self.things.items() if each != thing.id}
        self.removed.append(thing.id)

    def create(self, name: str) -> Any:
        self.things[name] = f"id-{len(self.things)}"
        return SimpleNamespace(id=self.things[name])

    def made(self) -> Made:
        """A run that begins with what the last one wrote down."""
        return Made(
            f"run{len(self.record)}",
            read=lambda: self.record[-1] if self.record else None,
            write=self.record.append,
            patience=1,
        )


@pytest.fixture
def things(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_things_go_in_reverse_order(things: World) -> None:
    made = things.made()
    with made.scope(None):
        for what in ("a", "b", "c"):
            made.make("thing", what, things.create)
    assert things.removed == ["id-2", "id-1", "id-0"]
    assert made.things == ()


def test_what_a_killed_run_made_is_found_by_the_name_that_it_wrote_down_before(things: World) -> None:
    class KilledError(BaseException):
        pass

    def killed(name: str) -> Any:
        things.create(name)
        raise KilledError

    with pytest.raises(KilledError):
        things.made().make("thing", "a", killed)
    after = things.made()
    assert [each.id for each in after.things] == [None]
    assert after.remove(None) == []
    assert things.things == {}


def test_what_was_never_made_is_no_leftover(things: World) -> None:
    def refused(_: str) -> Any:
        exc = ConflictException("quota")
        exc.status_code = 409
        raise exc

    made = things.made()
    with pytest.raises(ConflictException):
        made.make("thing", "a", refused)
    assert made.things == ()


def test_what_cannot_be_removed_is_told_and_tried_again_by_the_next_run(things: World) -> None:
    made = things.made()
    made.make("thing", "a", things.create)
    made.make("thing", "b", things.create)
    things.stuck.add("id-0")
    (left,) = made.remove(None)
    assert "in use" in left
    assert things.removed == ["id-1"]
    things.stuck.clear()
    assert things.made().remove(None) == []
    assert things.removed == ["id-1", "id-0"]


def test_what_is_still_being_made_is_removed_once_it_may_be(things: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = things.made()
    made.make("thing", "a", things.create)
    things.stuck.add("id-0")
    monkeypatch.setattr(threading.Event, "wait", lambda *_: things.stuck.clear())
    assert made.remove(None) == []
    assert things.removed == ["id-0"]


def test_gone_already_is_well(cloud: FakeCloud) -> None:
    lab = cloud.subject().cloud
    assert lab is not None
    cloud.answers["DELETE", 9696, "/v2.0/networks/n"] = (404, {})
    lab.made.make("network", "network", lambda _: SimpleNamespace(id="n"))
    assert lab.made.remove(lab) == []
    with pytest.raises(NotFoundException):
        lab.demo.network.delete_network("n", ignore_missing=False)


def test_the_group_that_neutron_made_for_a_project_goes_with_it(cloud: FakeCloud) -> None:
    cloud.answers["GET", 9696, "/v2.0/security-groups"] = (200, {"security_groups": [{"id": "g", "name": "default"}]})
    cloud.answers["DELETE", 9696, "/v2.0/security-groups/g"] = (204, {})
    cloud.answers["DELETE", 5000, "/v3/projects/p"] = (204, {})
    lab = cloud.subject().cloud
    assert lab is not None
    lab.made.make("project", "project", lambda _: SimpleNamespace(id="p"))
    assert lab.made.remove(lab) == []
    deleted = [path for method, _, path in cloud.asked if method == "DELETE"]
    assert deleted == ["/v2.0/security-groups/g", "/v3/projects/p"]


@pytest.mark.parametrize(("failures", "left"), [(2, 0), (3, 1)])
def test_a_removal_at_which_the_cloud_failed_is_asked_for_again(cloud: FakeCloud, failures: int, left: int) -> None:
    deletions: list[str] = []

    def delete(_: bytes) -> tuple[int, Any]:
        deletions.append("s")
        return 204, {}

    failed = {"server": SERVER | {"status": "ERROR", "OS-EXT-STS:task_state": None}}
    cloud.answers["DELETE", 8774, "/v2.1/servers/s"] = delete
    cloud.answers["GET", 8774, "/v2.1/servers/s"] = lambda _: (404, {}) if len(deletions) > failures else (200, failed)
    lab = cloud.subject().cloud
    assert lab is not None
    lab.made.make("server", "server", lambda _: SimpleNamespace(id="s"))
    found = lab.made.remove(lab)
    assert (len(deletions), len(found)) == (3, left)
    assert all("its removal failed: it is ERROR" in each for each in found)


def changing(cloud: FakeCloud, things: World, order: list[str]) -> tuple[Subject, list[Check]]:
    """A lab whose record has a thing of a killed run, and a check that makes another."""

    def steps(lab: Subject) -> Any:
        order.append("check")
        assert lab.cloud is not None
        lab.cloud.made.make("thing", "new", things.create)
        yield from ()

    things.made().make("thing", "old", things.create)
    cloud.record = list(things.record)
    return cloud.subject(), [Check(id="C07", title="", exercises="", steps=steps, quick=False)]


def test_a_run_sweeps_before_and_after(cloud: FakeCloud, things: World) -> None:
    lab, checks = changing(cloud, things, order := [])
    report = runner.run(lab, checks, mode="full", told=lambda result: None)
    assert order == ["check"]
    assert things.things == {}
    assert len(things.removed) == 2
    assert report.leftovers == ()


def test_a_leftover_is_a_finding_of_its_own(cloud: FakeCloud, things: World) -> None:
    lab, checks = changing(cloud, things, [])
    things.stuck.add("id-0")
    report = runner.run(lab, checks, mode="full", told=lambda result: None)
    assert len(report.leftovers) == 1
    assert not report.green


@pytest.mark.parametrize(
    ("lacks", "step", "suspect"),
    [
        ("", "", ""),
        ("images", "images", "ec2"),
        ("instance", "the image instance", "ec2"),
        ("doubt", "a wrong signature", "ec2: it does not have signatures checked"),
    ],
)
def test_ec2s_api_is_asked_by_signed_requests_and_the_key_is_removed(
    cloud: FakeCloud, lacks: str, step: str, suspect: str
) -> None:
    image, made, asked = UUID(int=7), {}, []

    def credentials(body: bytes) -> tuple[int, Any]:
        made.update(json.loads(body)["credential"])
        key = hashlib.sha256(json.loads(made["blob"])["access"].encode()).hexdigest()
        cloud.answers["DELETE", 5000, f"/v3/credentials/{key}"] = (204, {})
        return 201, {"credential": made | {"id": key}}

    def ec2(body: bytes) -> tuple[int, Any]:
        action = parse_qs(body.decode())["Action"][0]
        asked.append(action)
        if action == "DescribeImages" and lacks == "images":
            return 500, b"<Response><Errors><Error><Code>InternalError</Code></Error></Errors></Response>"
        if asked.count("DescribeInstances") == 2 and lacks != "doubt":
            return 401, b"<Response><Errors><Error><Code>AuthFailure</Code></Error></Errors></Response>"
        listed = "" if lacks == "instance" else f"<item><imageId>ami-{image.hex}</imageId></item>"
        space = "http://ec2.amazonaws.com/doc/2016-11-15/"
        return 200, f'<{action}Response xmlns="{space}">{listed}</{action}Response>'.encode()

    cloud.answers["POST", 5000, "/v3/credentials"] = credentials
    cloud.answers["POST", 8773, "/services/Cloud"] = ec2
    cloud.answers["GET", 9292, "/v2/images"] = (200, {"images": [{"id": str(image), "name": "instance"}]})
    found = of(check(cloud, "C01", "C02", "C03", "X3"), "X3")
    assert (found.first.name if found.first else "", found.first.suspect if found.first else "") == (step, suspect)
    assert (made["type"], made["user_id"], made["project_id"]) == ("ec2", "u", "p")
    assert any(method == "DELETE" and path.startswith("/v3/credentials/") for method, _, path in cloud.asked)
    assert json.loads(cloud.record[-1]) == []
    assert cloud.unknown == []


def test_where_no_node_has_the_role_ec2_its_check_says_why_it_is_skipped(cloud: FakeCloud) -> None:
    cloud.roles = ("mariadb", "memcached", "keystone")
    found = of(check(cloud, "X3"), "X3")
    assert found.verdict is Verdict.SKIPPED
    assert "no node has the role ec2" in str(found.steps[0].evidence)


def test_ec2_credentials_of_a_killed_run_are_found_by_the_name_that_it_wrote_down() -> None:
    (found,) = KINDS["credentials"].find(None, Thing(kind="credentials", name="labctl-check-run1-ec2"))
    assert found == hashlib.sha256(ec2_access("labctl-check-run1-ec2").encode()).hexdigest()
