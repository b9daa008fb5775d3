"""What the guides have of orchestration beside its own API: CloudFormation's, and a panel of the dashboard."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Ini, Packages, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles.role import Step, role
from labctl.roles.shared import ensure, uwsgi
from labctl.spec.document import Problem
from labctl.spec.topology import Topology

_PORT = 8000

# Every page of the dashboard answers 500 where the manifest of its compressed scripts lacks a block of the page. A
# trigger of the package openstack-dashboard renews it. While memcached does not answer, the trigger leaves out the
# block with Angular's templates and ends well: Horizon asks its cache after this block, and django-compressor (4.5.1)
# drops what its threads raise.
_MANIFEST = "/var/lib/openstack-dashboard/static/dashboard/manifest.json"
_UNPACKED = "/var/lib/dpkg/info/python3-heat-dashboard.list"
_WHOLE = f"[ {_MANIFEST} -nt {_UNPACKED} ] && grep -q angular_template_cache_preloads {_MANIFEST}"
_RENEW = "dpkg-trigger --no-await openstack-dashboard-rebuild-static && dpkg --configure openstack-dashboard"


def _beside(topology: Topology, name: str, other: str) -> Iterator[Problem]:
    for node, machine in topology.nodes.items():
        if name in machine.roles and other not in machine.roles:
            text = f"the role {name} is a part of {other}: give it to a node with this role"
            yield Problem(("nodes", node, "roles", machine.roles.index(name)), text)


@role(
    "heat-cfn",
    "Orchestration, CloudFormation's API",
    needs=("heat",),
    single=True,
    fits=lambda topology: _beside(topology, "heat-cfn", "heat"),
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


@role(
    "heat-dashboard",
    "Orchestration in the dashboard",
    needs=("heat", "horizon"),
    fits=lambda topology: _beside(topology, "heat-dashboard", "horizon"),
    layer="heat-dashboard",
)
def panel(cloud: Cloud, node: str) -> Iterator[Step]:
    """Show stacks, resource types and a generator of templates in the dashboard."""
    root = f"http://{cloud.address(node)}/horizon"
    login = f"curl -sf -o /dev/null {root}/auth/login/"
    stacks = f"curl -s -o /dev/null -w '%{{http_code}}' {root}/project/stacks/"
    yield Step(
        title="the dashboard has a panel for stacks",
        node=node,
        actions=(
            Packages(names=("python3-heat-dashboard", "curl")),
            Run(command=_RENEW, unless=_WHOLE, seconds=300),
            Unit(names=("apache2",)),
            Wait(
                until=f'{login} && [ "$({stacks})" = 302 ]',
                what="the dashboard answers, and its panel for stacks asks for a login",
                seconds=90,
            ),
        ),
    )
