"""The database server."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Ini, Packages, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles.role import Step, role


@role(
    "mariadb",
    "Database",
    chapter=2,
    single=True,
    loses="every record since, of users, images, volumes, networks, instances; what they stand for stays on its nodes",
)
def mariadb(cloud: Cloud, node: str) -> Iterator[Step]:
    """Let every service of the lab reach its database. Root logs in on the node itself, by the socket."""
    settings = {
        "bind-address": cloud.address(node),
        "character-set-server": "utf8mb3",
        "max_connections": 500,
        "innodb_buffer_pool_size": "128M",
        "innodb_log_file_size": "32M",
        # A lab loses at most a second's work when its power fails, and gains a disk flush for every statement.
        "innodb_flush_log_at_trx_commit": 2,
        "skip-name-resolve": 1,
        # The services do not try again where it reports that somebody else changed a record (error 1020), and a server
        # stays in ERROR then: https://bugs.launchpad.net/nova/+bug/2116186
        "innodb_snapshot_isolation": "OFF",
    }
    yield Step(
        title="MariaDB listens on the internal network",
        node=node,
        actions=(
            Packages(names=("mariadb-server", "python3-pymysql")),
            Ini(path="/etc/mysql/mariadb.conf.d/60-lab.cnf", values={"mysqld": settings}, dialect="plain"),
            Unit(names=("mariadb",)),
            Wait(until="mariadb -e 'SELECT 1' >/dev/null", what="MariaDB answers"),
        ),
    )
