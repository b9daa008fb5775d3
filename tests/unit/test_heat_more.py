"""Orchestration beside Heat's own API: CloudFormation's, and the dashboard's panel."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from labctl.changes import Ini, Packages, Python, Run, Unit, Wait
from labctl.installing.tasks import Task, plan_tasks
from labctl.roles import fit, heat_more
from labctl.roles.role import ROLES
from labctl.spec import topology
from tests.unit.test_roles import cloud


def actions(tasks: list[Task], kind: Any) -> list[Any]:
    return [each for task in tasks for step in task.steps for each in step.actions if isinstance(each, kind)]


def test_cloudformations_api_is_in_the_catalogue_and_heats_engine_knows_it() -> None:
    tasks = plan_tasks(cloud("icehouse"), only="heat-cfn")
    (made,) = actions(tasks, Python)
    (service,) = made.data["wanted"]["services"]
    assert service["type"] == "cloudformation"
    assert service["endpoints"]["public"] == "http://oscontroller.example.org:8000/v1"
    assert service["endpoints"]["internal"] == "http://10.0.100.145:8000/v1"
    assert "users" not in made.data["wanted"]  # it checks tokens as Heat does
    (conf,) = (each for each in actions(tasks, Ini) if each.path == "/etc/heat/heat.conf")
    assert conf.values["DEFAULT"]["heat_waitcondition_server_url"].endswith(":8000/v1/waitcondition")
    assert [each.names for each in actions(tasks, Unit)] == [("heat-api-cfn",), ("heat-engine",)]


def test_the_panel_of_stacks_is_there_when_the_dashboard_answers_and_the_panel_asks_for_a_login() -> None:
    (task,) = plan_tasks(cloud("icehouse"), only="heat-dashboard")
    (step,) = task.steps
    # Apache reads the manifest when it starts.
    assert [type(each) for each in step.actions] == [Packages, Run, Unit, Wait]
    wait = step.actions[-1]
    assert isinstance(wait, Wait)
    assert "curl -sf -o /dev/null http://10.0.100.149/horizon/auth/login/ && " in wait.until
    assert "http://10.0.100.149/horizon/project/stacks/" in wait.until
    assert wait.until.endswith("= 302 ]")


@pytest.mark.parametrize(
    ("manifest", "age", "whole"),
    [
        ("output.js angular_template_cache_preloads.js", 0, True),
        ("output.js angular_template_cache_preloads.js", 10, False),  # of the time before the panel
        ("output.js", 0, False),  # memcached did not answer
        (None, 0, False),
    ],
)
def test_the_manifest_of_the_dashboards_scripts_is_renewed_where_a_page_would_not_find_its_own(
    tmp_path: Path, manifest: str | None, age: float, whole: bool
) -> None:
    (run,) = actions(plan_tasks(cloud("icehouse"), only="heat-dashboard"), Run)
    made, unpacked = tmp_path / "manifest.json", tmp_path / "list"
    unpacked.touch()
    if manifest is not None:
        made.write_text(manifest)
        moment = unpacked.stat().st_mtime + 1 - age
        os.utime(made, (moment, moment))
    line = run.unless.replace(heat_more._MANIFEST, str(made)).replace(heat_more._UNPACKED, str(unpacked))
    assert (subprocess.run(["sh", "-c", line], capture_output=True).returncode == 0) is whole


@pytest.mark.parametrize(("name", "other"), [("heat-cfn", "heat"), ("heat-dashboard", "horizon")])
def test_parts_of_a_service_are_on_its_node(name: str, other: str) -> None:
    text = topology.load("icehouse").document()
    for node in text["nodes"].values():
        node["roles"] = [each for each in node["roles"] if each != name]
    text["nodes"]["osnetwork"]["roles"].append(name)
    messages = [each.message for each in fit.problems(topology.restore(text))]
    assert messages == [f"the role {name} is a part of {other}: give it to a node with this role"]


def test_only_topologies_that_ask_for_a_part_need_its_layer() -> None:
    assert ROLES["heat-cfn"].layer == "heat"
    assert ROLES["heat-dashboard"].layer == "heat-dashboard"  # images that have the other one lack this one
    shipped = {name: topology.load(name).nodes.values() for name in topology.shipped()}
    asking = {name for name, nodes in shipped.items() if any("heat-dashboard" in node.roles for node in nodes)}
    assert asking == {"icehouse"}
