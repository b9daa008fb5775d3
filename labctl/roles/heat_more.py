"""What the guides have of orchestration beside its own API: CloudFormation's."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Ini, Packages, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles.role import Step, role
from labctl.roles.shared import ensure, uwsgi
from labctl.spec.document import Problem
from labctl.spec.topology import Topology

_PORT = 8000


def _fits(topology: Topology) -> Iterator[Problem]:
    for name, node in topology.nodes.items():
        if "heat-cfn" in node.roles and "heat" not in node.roles:
            text = "the role heat-cfn is a part of heat: give it to a node with this role"
            yield Problem(("nodes", name, "roles", node.roles.index("heat-cfn")), text)


@role(
    "heat-cfn",
    "Orchestration, CloudFormation's API",
    needs=("heat",),
    single=True,
    fits=_fits,
    layer="heat",
)
def cfn(cloud: Cloud, node: str) -> Iterator[Step]:
    """Answer CloudFormation's requests, and tell Heat's engine where, for templates of that kind.

    Instances cannot signal there: Keystone tells about signatures only to services (OSSA-2025-002), and this API asks
    without a login. Wait conditions of Heat's own kind, OS::Heat::WaitCondition, signal at Heat's own API.
    """
    public, internal = (f"http://{host}:{_PORT}" for host in (cloud.public("heat-cfn"), cloud.internal("heat-cfn")))
    endpoints = {"public": f"{public}/v1", "internal": f"{internal}/v1", "admin": f"{internal}/v1"}
    title = "OpenStack CloudFormation"
    yield Step(
        title="the catalogue's entry of CloudFormation's API",
        node=cloud.node("keystone"),
        actions=(
            ensure(
                cloud,
                services=[{"name": "heat-cfn", "type": "cloudformation", "description": title, "endpoints": endpoints}],
            ),
        ),
    )
    places = {
        "heat_metadata_server_url": public,
        "heat_waitcondition_server_url": f"{public}/v1/waitcondition",
    }
    yield Step(
        title="CloudFormation's API answers",
        node=node,
        actions=(
            Packages(names=("heat-api-cfn", "curl")),
            Ini(path="/etc/heat/heat.conf", values={"DEFAULT": dict(places)}),
            uwsgi("heat-api-cfn", "heat"),
            Unit(names=("heat-api-cfn",)),
            Wait(until=f"curl -s -o /dev/null {internal}/", what="CloudFormation's API answers", seconds=90),
        ),
    )
    engine = Unit(names=("heat-engine",), seconds=120)
    yield Step(title="Heat's engine knows CloudFormation's API", node=node, live=True, actions=(engine,))
