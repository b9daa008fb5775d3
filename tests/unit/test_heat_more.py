"""Orchestration beside Heat's own API: CloudFormation's."""

from __future__ import annotations

from typing import Any

from labctl.changes import Ini, Python, Unit
from labctl.installing.tasks import Task, plan_tasks
from labctl.roles import fit
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


def test_parts_of_a_service_are_on_its_node() -> None:
    text = topology.load("icehouse").document()
    text["nodes"]["oscontroller"]["roles"].remove("heat-cfn")
    text["nodes"]["osnetwork"]["roles"].append("heat-cfn")
    messages = [each.message for each in fit.problems(topology.restore(text))]
    assert messages == ["the role heat-cfn is a part of heat: give it to a node with this role"]
    assert ROLES["heat-cfn"].layer == "heat"
