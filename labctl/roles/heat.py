"""The orchestration service."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Ini, Packages, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles.role import Password, Step, role
from labctl.roles.shared import as_user, authtoken, database, endpoint, ensure, merge, messaging, notifications, uwsgi


@role(
    "heat",
    "Orchestration",
    needs=("keystone", "rabbitmq"),
    after=("nova", "neutron"),
    single=True,
    passwords=(Password("heat"), Password("heat-db"), Password("heat-domain")),
)
def heat(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up Heat's API and engine; stacks' users live in a domain of their own."""
    yield Step(title="Heat's database", node=cloud.node("mariadb"), actions=(database(cloud, "heat"),))
    yield Step(
        title="Heat's users, domain and endpoints",
        node=cloud.node("keystone"),
        actions=(
            endpoint(cloud, "heat", "orchestration", "OpenStack Orchestration", 8004, "/v1/%(project_id)s"),
            ensure(
                cloud,
                domains=[
                    {
                        "name": "heat",
                        "admin": {"name": "heat_domain_admin", "password": cloud.secret("heat-domain")},
                    }
                ],
                roles=[{"name": "heat_stack_owner"}, {"name": "heat_stack_user"}],
                users=[{"name": "demo", "password": cloud.secret("demo"), "roles": {"demo": ["heat_stack_owner"]}}],
            ),
        ),
    )
    trustee = {name: value for name, value in cloud.credentials("heat").items() if "project" not in name}
    yield Step(
        title="Heat's configuration and tables",
        node=node,
        actions=(
            Packages(names=("heat-api", "heat-engine", "python3-pymysql", "curl")),
            Ini(
                path="/etc/heat/heat.conf",
                values=merge(
                    messaging(cloud),
                    authtoken(cloud, "heat", node),
                    {
                        "DEFAULT": {
                            "stack_domain_admin": "heat_domain_admin",
                            "stack_domain_admin_password": cloud.secret("heat-domain"),
                            "stack_user_domain_name": "heat",
                            "num_engine_workers": 1,
                            "region_name_for_services": cloud.spec.region,
                        },
                        "database": {"connection": cloud.database_url("heat")},
                        "trustee": trustee,
                        "clients_keystone": {"auth_uri": f"http://{cloud.public('keystone')}:5000"},
                    },
                    notifications(cloud),
                ),
            ),
            uwsgi("heat-api", "heat"),
            Run(command=as_user("heat", "heat-manage db_sync"), seconds=300),
        ),
    )
    yield Step(
        title="Heat's API answers",
        node=node,
        actions=(
            Unit(names=("heat-api",)),
            Wait(until=f"curl -s -o /dev/null http://{cloud.address(node)}:8004/", what="Heat answers", seconds=90),
        ),
    )
    yield Step(title="Heat's engine runs", node=node, live=True, actions=(Unit(names=("heat-engine",), seconds=120),))
