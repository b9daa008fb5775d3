"""The service that counts what the compute nodes have left."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Ini, Packages, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles.role import Password, Step, role
from labctl.roles.shared import as_user, authtoken, database, endpoint, merge, uwsgi


@role(
    "placement",
    "Placement",
    chapter=8,
    needs=("keystone",),
    single=True,
    passwords=(Password("placement"), Password("placement-db")),
)
def placement(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up Placement."""
    yield Step(title="Placement's database", node=cloud.node("mariadb"), actions=(database(cloud, "placement"),))
    yield Step(
        title="Placement's user and endpoints",
        node=cloud.node("keystone"),
        actions=(endpoint(cloud, "placement", "placement", "OpenStack Placement", 8778),),
    )
    yield Step(
        title="Placement's configuration and tables",
        node=node,
        actions=(
            Packages(names=("placement-api", "python3-pymysql", "curl")),
            Ini(
                path="/etc/placement/placement.conf",
                values=merge(
                    authtoken(cloud, "placement", node),
                    {"placement_database": {"connection": cloud.database_url("placement")}},
                ),
            ),
            uwsgi("placement-api", "placement"),
            Run(command=as_user("placement", "placement-manage db sync"), seconds=180),
        ),
    )
    yield Step(
        title="Placement answers",
        node=node,
        actions=(
            Unit(names=("placement-api",)),
            Wait(
                until=f"curl -sf -o /dev/null http://{cloud.address(node)}:8778/", what="Placement answers", seconds=90
            ),
        ),
    )
