"""The store of measures: series of numbers with their times, by resource and name."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Ini, Packages, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles.role import Password, Step, role
from labctl.roles.shared import as_user, authtoken, database, endpoint, merge, uwsgi

_FOLDER = "/var/lib/gnocchi"
# Folders for what comes in; metricd looks into each of them. The package's own number is 32768: 128 MiB of empty
# folders, and more than half a second of a processor for every look.
_SACKS = 8


@role(
    "gnocchi",
    "Store of measures",
    needs=("keystone",),
    single=True,
    passwords=(Password("gnocchi"), Password("gnocchi-db")),
    loses="the measures that were taken since",
    layer="telemetry",
)
def gnocchi(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up Gnocchi's API, and the daemon that computes what is asked for from what came in; measures are files."""
    yield Step(title="Gnocchi's database", node=cloud.node("mariadb"), actions=(database(cloud, "gnocchi"),))
    yield Step(
        title="Gnocchi's user and endpoints",
        node=cloud.node("keystone"),
        actions=(endpoint(cloud, "gnocchi", "metric", "OpenStack Metrics", 8041),),
    )
    yield Step(
        title="Gnocchi's configuration and tables",
        node=node,
        actions=(
            Packages(names=("gnocchi-api", "gnocchi-metricd", "python3-gnocchiclient", "python3-pymysql", "curl")),
            Ini(
                path="/etc/gnocchi/gnocchi.conf",
                values=merge(
                    authtoken(cloud, "gnocchi", node),
                    {
                        "DEFAULT": {"coordination_url": f"file://{_FOLDER}/locks"},
                        "api": {"auth_mode": "keystone"},
                        "indexer": {"url": cloud.database_url("gnocchi")},
                        "storage": {"driver": "file", "file_basepath": _FOLDER},
                        "metricd": {
                            "workers": 1,
                            # Files tell nobody that they came: what is new is looked for.
                            "metric_processing_delay": cloud.seconds(5, 30),
                        },
                    },
                ),
            ),
            uwsgi("gnocchi-api", "gnocchi"),
            Run(command=as_user("gnocchi", f"gnocchi-upgrade --sacks-number {_SACKS}"), seconds=300),
        ),
    )
    yield Step(
        title="Gnocchi's API answers",
        node=node,
        actions=(
            Unit(names=("gnocchi-api",)),
            Wait(until=f"curl -sf -o /dev/null http://{cloud.address(node)}:8041/", what="Gnocchi answers", seconds=90),
        ),
    )
    yield Step(
        title="Gnocchi computes what comes in",
        node=node,
        live=True,
        actions=(Unit(names=("gnocchi-metricd",), seconds=90),),
    )
