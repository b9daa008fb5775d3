"""X7: a stack with a server."""

from __future__ import annotations

from typing import Any

from labctl.checks import bench
from labctl.checks.log import Log, Wrong, cloud_check

_TEMPLATE = {
    "heat_template_version": "2018-08-31",
    "parameters": {"image": {"type": "string"}, "flavor": {"type": "string"}, "seconds": {"type": "number"}},
    "resources": {
        "network": {"type": "OS::Neutron::Net"},
        "subnet": {
            "type": "OS::Neutron::Subnet",
            "properties": {"network": {"get_resource": "network"}, "cidr": "192.168.250.0/24"},
        },
        "server": {
            "type": "OS::Nova::Server",
            "depends_on": "subnet",
            "properties": {
                "image": {"get_param": "image"},
                "flavor": {"get_param": "flavor"},
                "networks": [{"network": {"get_resource": "network"}}],
            },
        },
        "handle": {"type": "OS::Heat::WaitConditionHandle"},
        "condition": {
            "type": "OS::Heat::WaitCondition",
            "depends_on": "server",
            "properties": {"handle": {"get_resource": "handle"}, "timeout": {"get_param": "seconds"}},
        },
    },
    "outputs": {"said": {"value": {"get_attr": ["condition", "data"]}}},
}
_WORD = "the server is as it should be"
_WAITS = (60.0, 300.0)


@cloud_check(
    "X7",
    "A stack with a network and a server waits for a signal",
    exercises="Heat with Neutron and Nova; users of stacks, in their own domain; signals at Heat's API",
    needs=("C23", "C10"),
    named=True,
    limit=(300, 1800),
)
def stack(log: Log) -> None:
    """Make a stack of a network, a subnet, a server on it, and a wait condition. When the condition waits, signal it as
    demo; the stack must be complete then and tell what the signal said. Remove it. It takes as long as a server, so it
    only runs if it is named."""
    cloud, node = log.cloud, log.cloud.node("heat")
    if not node:
        log.skip("no node has the role heat")
    heat, wanted = cloud.demo.orchestration, bench.body(log)
    values = {
        "image": wanted["image_id"],
        "flavor": wanted["flavor_id"],
        "seconds": int(log.subject.scaled(*bench.ACTIVE)),
    }
    with cloud.made.scope(cloud):
        with log.step("create", node=node, suspect="heat"):
            made = cloud.made.make(
                "stack",
                "server",
                lambda name: heat.create_stack(name=name, template=_TEMPLATE, parameters=values),
            )
        with log.step("a user of the stack", node=node, suspect="heat: the stacks' domain and its admin"):
            log.until(lambda: _state(heat, made, "handle") == "CREATE_COMPLETE", "the handle was there", _WAITS)
        with log.step("server", node=cloud.node("compute"), suspect="nova-compute"):
            log.until(lambda: _state(heat, made, "server") == "CREATE_COMPLETE", "the server was there", bench.ACTIVE)
        with log.step("the condition waits", node=node, suspect="heat-engine"):
            log.until(lambda: _state(heat, made, "condition") == "CREATE_IN_PROGRESS", "it waited", _WAITS)
        with log.step("signal", node=node, suspect="heat"):
            path = f"/stacks/{made.name}/{made.id}/resources/handle/signal"
            answer = heat.post(path, json={"status": "SUCCESS", "reason": "checked", "data": _WORD})
            if answer.status_code >= 300:
                raise Wrong(f"HTTP {answer.status_code} to a signal")
        with log.step("complete", node=node, suspect="heat-engine"):
            done = log.status(lambda: heat.get_stack(made.id), "CREATE_COMPLETE", _WAITS, failures=["CREATE_FAILED"])
            said = {each["output_key"]: each.get("output_value") for each in done.outputs or ()}
            if _WORD not in str(said.get("said")):
                raise Wrong(f"the stack tells {said.get('said')!r} of the signal")
        with log.step("remove", node=node, suspect="heat-engine"):
            log.cleaned(cloud.made.remove(cloud, lambda each: each.kind == "stack"))


def _state(heat: Any, made: Any, resource: str) -> str:
    """Return the status of one of a stack's resources.

    Raises:
        Wrong: it failed.
    """
    found = {each.name: each for each in heat.resources(made)}
    status = str(found[resource].status) if resource in found else ""
    if status.endswith("FAILED"):
        raise Wrong(f"{resource}: {found[resource].status_reason}")
    return status
