"""The alarm service: it compares measures with thresholds, and tells somebody."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Ini, Packages, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles.role import Password, Step, role
from labctl.roles.shared import as_user, authtoken, database, endpoint, listens, merge, messaging, uwsgi


@role(
    "aodh",
    "Alarms",
    needs=("gnocchi", "rabbitmq"),
    single=True,
    passwords=(Password("aodh"), Password("aodh-db")),
    layer="telemetry",
)
def aodh(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up Aodh's API, the evaluator that looks at measures, and the notifier that carries out an alarm's actions."""
    yield Step(title="Aodh's database", node=cloud.node("mariadb"), actions=(database(cloud, "aodh"),))
    yield Step(
        title="Aodh's user and endpoints",
        node=cloud.node("keystone"),
        actions=(endpoint(cloud, "aodh", "alarming", "OpenStack Alarming", 8042),),
    )
    yield Step(
        title="Aodh's configuration and tables",
        node=node,
        actions=(
            Packages(
                names=("aodh-api", "aodh-evaluator", "aodh-notifier", "python3-aodhclient", "python3-pymysql", "curl")
            ),
            Ini(
                path="/etc/aodh/aodh.conf",
                values=merge(
                    messaging(cloud),
                    authtoken(cloud, "aodh", node),
                    {
                        "database": {"connection": cloud.database_url("aodh")},
                        "service_credentials": cloud.credentials("aodh") | {"interface": "internal"},
                        "evaluator": {"workers": 1, "evaluation_interval": cloud.seconds(30, 120)},
                        "notifier": {"workers": 1},
                    },
                ),
            ),
            uwsgi("aodh-api", "aodh"),
            Run(command=as_user("aodh", "aodh-dbsync"), seconds=300),
        ),
    )
    yield Step(
        title="Aodh's API answers",
        node=node,
        actions=(
            Unit(names=("aodh-api",)),
            # Without a token it refuses, which is an answer.
            Wait(until=f"curl -s -o /dev/null http://{cloud.address(node)}:8042/", what="Aodh answers", seconds=90),
        ),
    )
    yield Step(
        title="Aodh's evaluator and notifier run",
        node=node,
        live=True,
        actions=(Unit(names=("aodh-evaluator", "aodh-notifier"), seconds=90),),
    )
    yield Step(
        title="Aodh's notifier listens",
        node=cloud.node("rabbitmq"),
        live=True,
        actions=(listens("alarming.sample"),),
    )
