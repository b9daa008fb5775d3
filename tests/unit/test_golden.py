"""What is known about golden sets, and what is asked of a cloud before it becomes one."""

from __future__ import annotations

import json
import shlex
import subprocess
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from labctl.errors import DeadlineError, InputError, RemoteError
from labctl.guest import Result
from labctl.installing import probe
from labctl.lab import proving
from labctl.lab.proving import Proving
from labctl.pace import pace
from labctl.plan.model import LabPlan
from labctl.report import golden as report
from labctl.roles import shared
from labctl.sets import capture
from labctl.sets.manifest import GoldenDisk, GoldenMachine, GoldenManifest, GoldenMemory, disk_key
from labctl.site.together import Cancelled
from tests.unit.test_roles import cloud

DISK = GoldenDisk(volume="golden-a-0123456789ab-db-node.qcow2", size=3, virtual_size=10, sha256="d")
MEMORY = GoldenMemory(
    volume="golden-a-0123456789ab-db-node.memory", size=5, sha256="m", document="<domain/>", cookie="", room=4096
)
BAKED = GoldenManifest(
    name="a",
    id="0123456789ab",
    topology="gridka",
    digest="t",
    stage="installed",
    image="image-openstack.qcow2",
    os_info="",
    created="2026-11-21T08:00:00+00:00",
    disks={"db-node": DISK},
    secrets={"admin": "top-secret-word"},
    done=("x",),
)
CAPTURED = replace(
    BAKED,
    memory={"db-node": MEMORY},
    machine=GoldenMachine(virt="qemu", qemu="7.2.0", processor=""),
    probes=("db-node: MariaDB answers",),
)


@pytest.mark.parametrize("manifest", [BAKED, CAPTURED])
def test_a_manifest_is_read_as_it_was_written(manifest: GoldenManifest) -> None:
    assert GoldenManifest.from_json(manifest.to_json()) == manifest


def test_a_manifest_of_an_earlier_labctl_is_read() -> None:
    values = json.loads(BAKED.to_json())
    for newer in ("kind", "spec", "memory", "machine", "probes", "nested"):
        del values[newer]
    assert GoldenManifest.from_json(json.dumps(values)) == BAKED


def test_a_set_names_its_volumes_and_adds_up_their_sizes() -> None:
    assert CAPTURED.volumes == [DISK.volume, MEMORY.volume]
    assert (BAKED.size, CAPTURED.size) == (3, 8)


def test_data_disks_have_keys_of_their_own(gridka: LabPlan) -> None:
    node = gridka.node("volume-node")
    assert [disk_key(node, disk) for disk in node.disks] == ["volume-node", "volume-node/vdb"]
    assert CAPTURED.copies(node) == {}
    assert CAPTURED.copies(gridka.node("db-node")) == {"team01-db-node.qcow2": DISK.volume}


def test_reports_hold_no_secret() -> None:
    texts = [json.dumps(report.document(CAPTURED)), report.details(CAPTURED, ""), report.lines([CAPTURED])]
    assert not any("top-secret-word" in text for text in texts)
    assert "can be restored here" in texts[1]
    assert "another QEMU" in report.details(CAPTURED, "another QEMU")


def test_every_node_of_a_cloud_is_asked_what_its_roles_wait_for() -> None:
    gridka = cloud("gridka")
    probes = probe.probes(gridka)
    asked = {node.name: [each.what for each in probes if each.node == node.name] for node in gridka.lab.nodes}
    assert all(asked.values())
    assert "Glance answers" in asked["image-node"]
    assert "Keystone answers" in asked["auth-node"]
    assert "nova-compute" in asked["compute-1"][0]


def test_whether_services_report_is_asked_of_the_database_about_their_node() -> None:
    (reports,) = [
        each
        for each in probe.probes(cloud("gridka"))
        if each.what.startswith("nova-compute") and "compute-1" in each.what and each.what.endswith("report")
    ]
    assert (reports.node, reports.about) == ("db-node", "compute-1")


@pytest.mark.parametrize(("line", "code", "said"), [("true", 0, ""), ("false", 1, "it's late\n")])
def test_the_script_waits_for_what_it_is_asked(line: str, code: int, said: str) -> None:
    questions = [("fine", "exit 0"), ("it's late", line)]
    text = probe.script([probe.Probe(node="a", about="a", what=what, line=each) for what, each in questions], 0)
    done = subprocess.run(["sh", "-s"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, said)


@pytest.mark.parametrize(("busy", "patience", "said"), [(0, 9, ""), (3, 9, "waiting"), (99, 0, "captured as they are")])
def test_a_capture_waits_until_the_nodes_are_at_rest(
    gridka: LabPlan, monkeypatch: pytest.MonkeyPatch, busy: int, patience: float, said: str
) -> None:
    monkeypatch.setattr(capture, "_WINDOW", 0.001)
    asked, told = Counter[UUID](), list[str]()

    def processor_time(node: UUID) -> float:
        asked[node] += 1
        return min(asked[node], busy) if node == gridka.node("db-node").uuid else 0

    site: Any = SimpleNamespace(
        pace=replace(pace("kvm"), rest=patience), hypervisor=SimpleNamespace(processor_time=processor_time)
    )
    progress = SimpleNamespace(say=told.append)
    work: Any = SimpleNamespace(site=site, progress=progress, cancelled=threading.Event())
    capture.rest(work, gridka)
    assert len(told) == bool(said)
    assert all(said in line and "db-node" in line for line in told)


def test_a_capture_does_not_wait_for_a_lab_that_becomes_no_quieter(
    gridka: LabPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "_WINDOW", 0.01)
    told = list[str]()
    site: Any = SimpleNamespace(
        pace=replace(pace("kvm"), rest=60.0),
        hypervisor=SimpleNamespace(processor_time=lambda node: clock()),  # a whole processor, always
    )
    real = time.monotonic
    monkeypatch.setattr(capture.time, "monotonic", clock := lambda: real() * 100)
    progress = SimpleNamespace(say=told.append)
    work: Any = SimpleNamespace(site=site, progress=progress, cancelled=threading.Event())
    began = clock()
    capture.rest(work, gridka)
    assert clock() - began < 45
    assert "captured as they are" in told[-1]


def test_a_capture_that_waits_can_be_given_up(gridka: LabPlan) -> None:
    site: Any = SimpleNamespace(pace=pace("kvm"), hypervisor=SimpleNamespace(processor_time=lambda node: 0.0))
    cancelled = threading.Event()
    cancelled.set()
    work: Any = SimpleNamespace(site=site, cancelled=cancelled)
    with pytest.raises(Cancelled):
        capture.rest(work, gridka)


@pytest.mark.parametrize(
    "hostile",
    [
        {"name": "../a"},
        {"id": "012345678!ab"},
        {"kind": "snapshot"},
        {"disks": {"db-node": replace(DISK, volume="image-openstack-0123456789ab.qcow2")}},
        {"disks": {"db-node": replace(DISK, volume="golden-a-0123456789ab-../../x")}},
        {"disks": {"db-node": DISK, "api-node": DISK}},
        {"memory": {"db-node": replace(MEMORY, volume="team01-db-node.qcow2")}},
    ],
)
def test_a_set_from_elsewhere_that_claims_other_volumes_is_refused(hostile: dict[str, Any]) -> None:
    CAPTURED.check()
    with pytest.raises(InputError):
        replace(CAPTURED, **hostile).check()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Result(exit_code=0, stdout="", stderr=""), ""),
        (Result(exit_code=1, stdout="", stderr="Can't connect\n"), "team01-db-node: Can't connect"),
        (DeadlineError("its agent did not answer"), "its agent did not answer"),
        (RemoteError("its guest agent's answer cannot be understood"), "its guest agent's answer cannot be understood"),
    ],
)
def test_a_ruined_cloud_does_not_keep_a_node_back(gridka: LabPlan, answer: Result | Exception, why: str) -> None:
    asked = []

    def run_inside(uuid: UUID, line: str, **_: object) -> Result:
        asked.append((uuid, line))
        if isinstance(answer, Exception):
            raise answer
        return answer

    made, database = cloud("gridka"), gridka.node("db-node")
    site: Any = SimpleNamespace(pace=pace("kvm"), hypervisor=SimpleNamespace(run_inside=run_inside))
    line = shared.forget_reports(made, "compute-1")
    assert proving.told(site, database, line, threading.Event()) == why
    assert asked == [(database.uuid, line)]


class Asked:
    """A host whose guests answer everything well, but those whose word is in `fails`; notes what they were asked."""

    def __init__(self, *fails: str) -> None:
        self.lines: list[tuple[UUID, str]] = []
        self._fails = fails

    def run_inside(self, uuid: UUID, line: str, *, stdin: bytes = b"", **_: object) -> Result:
        self.lines.append((uuid, line if not stdin else stdin.decode()))
        failed = any(word in line for word in self._fails)
        return Result(exit_code=int(failed), stdout="", stderr="no answer" if failed else "")


def alone(gridka: LabPlan, name: str, asked: Asked) -> tuple[Proving, list[str]]:
    """Return the proving of a cloud in which one node goes on alone, and what is said meanwhile."""
    said: list[str] = []
    site: Any = SimpleNamespace(pace=pace("kvm"), hypervisor=asked)
    progress = SimpleNamespace(say=said.append)
    work: Any = SimpleNamespace(site=site, cancelled=threading.Event(), progress=progress)
    lab: Any = SimpleNamespace(site=site, work=work, plan=gridka, restored={name}, whole=False, failed=set())
    lab.tell = lambda *_: None
    made = Proving(lab)
    made._cloud = cloud("gridka")
    made._probes = probe.probes(made._cloud)
    return made, said


def test_a_control_plane_that_comes_back_alone_is_asked_for_its_listeners_not_for_reports(gridka: LabPlan) -> None:
    asked = Asked()
    made, said = alone(gridka, "api-node", asked)
    node, queue, database = (gridka.node(made._cloud.node(role)) for role in ("nova", "rabbitmq", "mariadb"))
    assert node.name == "api-node"
    made.before_release(node)
    (first, dropped), (second, forgotten) = asked.lines
    assert (first, second) == (queue.uuid, database.uuid)
    assert f'lists:prefix("{made._cloud.address("api-node")}:"' in dropped
    assert "NOT IN ('nova-conductor', 'nova-scheduler')" in shlex.split(forgotten)[-1]
    asked.lines.clear()
    made.ask(node)
    questions = "".join(text for uuid, text in asked.lines if uuid == queue.uuid)
    assert "conductor.api-node" in questions
    assert "scheduler.api-node" in questions
    assert said == []


@pytest.mark.parametrize(("answer", "said"), [("{ok, [ok]}", ""), ("{error, badarg}", "{error, badarg}"), ("", "")])
def test_the_message_queue_is_told_whose_connections_end_and_says_why_it_does_not(
    tmp_path: Path, answer: str, said: str
) -> None:
    (tmp_path / "erl_call").write_text(f"#!/bin/sh\ncat >{tmp_path}/told; echo '{answer}'\n")
    (tmp_path / "erl_call").chmod(0o755)
    line = shared.drop_connections(cloud("gridka"), "api-node")
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (int(not answer.startswith("{ok")), said)
    told = (tmp_path / "told").read_text()
    assert told.startswith("[catch rabbit_networking:close_connection(P, ")
    assert f'lists:prefix("{cloud("gridka").address("api-node")}:", binary_to_list(N))' in told
    assert told.endswith("].\n")  # without the full stop, Erlang waits for more


def test_where_the_message_queue_is_ruined_all_services_report_as_before(gridka: LabPlan) -> None:
    asked = Asked("erl_call")
    made, said = alone(gridka, "api-node", asked)
    made.before_release(gridka.node("api-node"))
    assert asked.lines[-1][1] == shared.forget_reports(cloud("gridka"), "api-node")
    assert "no answer" in said[0]
    asked.lines.clear()
    made.ask(gridka.node("api-node"))
    assert not any("conductor.api-node" in text for _, text in asked.lines)


def test_agents_of_a_node_that_comes_back_alone_report_before_it_is_ready(gridka: LabPlan) -> None:
    asked = Asked()
    made, _ = alone(gridka, "compute-1", asked)
    made.before_release(gridka.node("compute-1"))
    assert asked.lines[-1][1] == shared.forget_reports(cloud("gridka"), "compute-1")
    asked.lines.clear()
    made.ask(gridka.node("compute-1"))
    assert any("nova-compute" in text and "last_seen_up" in text for _, text in asked.lines)
