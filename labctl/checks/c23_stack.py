"""C23: stacks."""

from __future__ import annotations

from labctl.checks.log import Log, cloud_check

_SECONDS = (60.0, 600.0)
_TEMPLATE = {
    "heat_template_version": "2018-08-31",
    "resources": {
        "text": {"type": "OS::Heat::RandomString", "properties": {"length": 8}},
        "network": {"type": "OS::Neutron::Net"},
    },
}


@cloud_check(
    "C23",
    "A stack is made and removed",
    exercises="Heat's API, engine and queue; Neutron from Heat",
    needs=("C03:heat", "C09"),
    limit=(60, 240),
)
def stack(log: Log) -> None:
    """Make a stack of a random string and a network, see it complete, and remove it."""
    cloud, node = log.cloud, log.cloud.node("heat")
    if not node:
        log.skip("no node has the role heat")
    heat = cloud.demo.orchestration
    with cloud.made.scope(cloud):
        with log.step("create", node=node, suspect="heat"):
            made = cloud.made.make("stack", "stack", lambda name: heat.create_stack(name=name, template=_TEMPLATE))
        with log.step("complete", node=node, suspect="heat-engine"):
            log.status(lambda: heat.get_stack(made.id), "CREATE_COMPLETE", _SECONDS, failures=["CREATE_FAILED"])
        with log.step("remove", node=node, suspect="heat-engine"):
            log.cleaned(cloud.made.remove(cloud, lambda each: each.kind == "stack"))
