"""Munin: whom the master asks, who lets it, how often, and what the checks say of graphs that end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

import pytest
from netaddr import IPNetwork

from labctl.changes import Packages, PutFile, Run, Unit, Wait
from labctl.checks import c28_graphs
from labctl.checks import log as logs
from labctl.checks import run as runner
from labctl.checks.check import Answer, chosen
from labctl.checks.model import Result, Verdict
from labctl.cloud import graphs
from labctl.cloud.cloud import Cloud
from labctl.installing.passwords import complete
from labctl.installing.tasks import plan_tasks
from labctl.plan.lab import INSTALLED, plan
from labctl.plan.model import Identity
from labctl.roles import fit
from labctl.roles.role import Step
from labctl.spec import topology
from tests.unit import fake_cloud
from tests.unit.fake_cloud import FakeCloud

IDENTITY = Identity(team="team01", lab=UUID(int=1), owner=UUID(int=2), mgmt=IPNetwork("192.168.99.0/24"))
PATH = "/munin/example.org/allinone/load-day.png"
PICTURE = b"\x89PNG\r\n\x1a\n..."


def grizzly(*, slow: bool = True) -> Cloud:
    lab = plan(topology.load("grizzly"), IDENTITY, stage=INSTALLED)
    return Cloud.of(lab, complete({}, lab), slow=slow, nested={node.name: "qemu" for node in lab.nodes})


def steps(made: Cloud, role: str, node: str) -> list[Step]:
    return [step for task in plan_tasks(made, only=role) for step in task.steps if step.node == node]


def files(found: list[Step]) -> dict[str, str]:
    return {each.path: str(each.content) for step in found for each in step.actions if isinstance(each, PutFile)}


def test_the_master_alone_may_ask_and_asks_every_node() -> None:
    made = grizzly()
    asked = files(steps(made, "munin", "controller"))["/etc/munin/munin.conf"]
    assert asked.endswith(
        "[cloud.example.org;controller]\n    address 10.10.10.1\n    use_node_name yes\n"
        "[cloud.example.org;compute1]\n    address 10.10.10.11\n    use_node_name yes\n"
        "[cloud.example.org;compute2]\n    address 10.10.10.12\n    use_node_name yes\n"
    )
    for name in ("controller", "compute1", "compute2"):
        told = files(steps(made, "munin-node", name))["/etc/munin/munin-node.conf"].splitlines()
        assert f"host_name {name}" in told
        assert "host 0.0.0.0" in told
        assert [line for line in told if line.startswith("allow")] == [
            r"allow ^127\.0\.0\.1$",
            r"allow ^10\.10\.10\.1$",
        ]


def test_compute_nodes_tell_of_their_instances_and_every_node_of_its_cards() -> None:
    for name, virtual in (("controller", False), ("compute1", True)):
        found = steps(grizzly(), "munin-node", name)
        (links,) = (each for step in found for each in step.actions if isinstance(each, Run))
        assert "ln -s /usr/share/munin/plugins/if_ if_eth2" in links.command
        assert "ln -s /usr/share/munin/plugins/load load" in links.command
        assert ("libvirt-mem" in links.command) == virtual
        assert ("/etc/munin/plugin-conf.d/libvirt" in files(found)) == virtual
        (packages,) = (each for step in found for each in step.actions if isinstance(each, Packages))
        assert ("munin-libvirt-plugins" in packages.names) == virtual
    order = [task.role for task in plan_tasks(grizzly())]
    assert order.index("compute") < order.index("munin-node") < order.index("munin")


def test_rounds_are_seldom_where_they_are_dear_and_values_are_kept_for_as_long() -> None:
    for slow, minutes, seconds in ((False, 5, ""), (True, 30, "update_rate 1800\n")):
        found = files(steps(grizzly(slow=slow), "munin", "controller"))
        assert f"OnCalendar=*:0/{minutes}\n" in found["/etc/systemd/system/munin-cron.timer"]
        assert ("update_rate" in found["/etc/munin/munin.conf"]) == slow
        assert seconds in found["/etc/munin/munin.conf"]


def test_the_first_round_is_not_waited_for_while_disks_are_baked() -> None:
    made = steps(grizzly(), "munin", "controller")
    (first,) = (step for step in made if any(isinstance(each, Wait) for each in step.actions))
    assert first.live
    (wait,) = (each for each in first.actions if isinstance(each, Wait))
    assert wait.until.count("load-day.png") == 3
    (units,) = (each for step in made for each in step.actions if isinstance(each, Unit))
    assert units.names == ("apache2", "munin-cron.timer")


def test_a_node_that_tells_needs_somebody_who_asks() -> None:
    text = topology.load("grizzly").document()
    text["nodes"]["controller"]["roles"].remove("munin")
    problems = list(fit.problems(topology.restore(text)))
    assert [each.location[1] for each in problems] == ["controller", "compute1", "compute2"]
    assert all("there is none" in each.message for each in problems)


def test_the_master_is_where_the_dashboards_web_server_is() -> None:
    text = topology.load("grizzly").document()
    text["nodes"]["controller"]["roles"].remove("munin")
    text["nodes"]["compute1"]["roles"].append("munin")
    (problem,) = fit.problems(topology.restore(text))
    assert problem.message.endswith("give it to a node with the role horizon")


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCloud]:
    monkeypatch.setattr(logs, "_PAUSE", (0.0, 0.0))
    with fake_cloud.running() as made:
        made.roles = ("mariadb", "memcached", "keystone", "munin", "munin-node")
        made.answers["GET", 80, PATH] = (200, PICTURE)
        yield made


def judged(cloud: FakeCloud, name: str, said: str | None = None) -> Result:
    """Run a check; on the question of the master's node it says `said`."""
    subject = cloud.subject()
    if said is not None:
        answer = Answer(text=said, seconds=1.0, at=0.0)
        (check,) = chosen("installed", (name,))
        steps = list(check.steps(replace(subject, answers={("allinone", name): answer})))
        first = next((step for step in steps if step.verdict is not Verdict.PASS), None)
        verdict = first.verdict if first else Verdict.PASS
        return Result(id="C28", part="values", verdict=verdict, steps=tuple(steps), seconds=1.0, limit=30)
    report = runner.run(subject, chosen("installed", (name,)), mode="full", told=lambda result: None)
    return next(result for result in report.results if result.name == name)


def test_a_picture_that_was_drawn_lately_is_green(cloud: FakeCloud) -> None:
    cloud.old = 300
    assert judged(cloud, "C28:graphs").verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("answer", "old", "says"),
    [
        ((200, PICTURE), 3600, "drawn 60 minutes ago"),
        ((403, {}), 0, "HTTP 403"),
        ((200, b"<html>"), 0, "no picture"),
    ],
)
def test_a_picture_that_is_old_forbidden_or_none_is_red(
    cloud: FakeCloud, answer: tuple[int, bytes], old: float, says: str
) -> None:
    cloud.answers["GET", 80, PATH] = answer
    cloud.old = old
    result = judged(cloud, "C28:graphs")
    assert result.verdict is Verdict.FAIL
    assert result.first is not None
    assert says in result.first.evidence


@pytest.mark.parametrize(
    ("said", "step", "says"),
    [
        ("active\nallinone load.value 0.25", "", ""),
        ("inactive\nallinone load.value 0.25", "timer", "munin-cron.timer is inactive"),
        ("active\nallinone", "load of allinone", "it hangs up"),
        ("active\nallinone bash: connect: Connection refused", "load of allinone", "Connection refused"),
        ("", "timer", "not there"),
    ],
)
def test_who_does_not_answer_the_master_is_named(cloud: FakeCloud, said: str, step: str, says: str) -> None:
    result = judged(cloud, "C28:values", said)
    first = result.first
    assert (first.name if first else "") == step
    assert says in (first.evidence if first else "")


def test_a_cloud_without_munin_is_not_asked(cloud: FakeCloud) -> None:
    cloud.roles = ("mariadb", "memcached", "keystone")
    assert judged(cloud, "C28:graphs").verdict is Verdict.SKIPPED
    assert judged(cloud, "C28:values", ":").verdict is Verdict.SKIPPED
    subject = cloud.subject()
    assert c28_graphs.question(subject, subject.lab.nodes[0]) == ":"


def test_a_node_is_asked_in_its_own_words() -> None:
    line = graphs.question("10.10.10.11")
    assert "/dev/tcp/10.10.10.11/4949" in line
    assert "fetch load" in line
