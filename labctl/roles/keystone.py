"""The identity service: who may do what, and where the other services are."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Action, Ini, Packages, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles import login
from labctl.roles.role import Password, Step, role
from labctl.roles.shared import as_user, database, ensure, uwsgi

# keystone-manage gives the database's URL to Python's ConfigParser as it is, which takes percent signs for its own
# (keystone.common.sql.upgrades._find_alembic_conf): the password must be one that a URL needs not quote.
_DATABASE = Password("keystone-db", fits=r"[A-Za-z0-9_.~-]+", rule="it may have letters, digits and _ . ~ - alone")


@role(
    "keystone",
    "Identity service",
    chapter=5,
    needs=("mariadb", "memcached"),
    single=True,
    passwords=(Password("admin"), Password("demo"), _DATABASE),
)
def keystone(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up Keystone with Fernet tokens, the user admin, and the users' project demo."""
    yield Step(title="Keystone's database", node=cloud.node("mariadb"), actions=(database(cloud, "keystone"),))
    address, public = cloud.address(node), cloud.public("keystone")
    yield Step(
        title="Keystone's configuration, tables and keys",
        node=node,
        actions=(
            Packages(names=("keystone", "python3-pymysql", "python3-openstackclient", "curl")),
            Ini(
                path="/etc/keystone/keystone.conf",
                values={
                    "database": {"connection": cloud.database_url("keystone")},
                    "token": {"provider": "fernet", "expiration": 86400},
                    "cache": {
                        "enabled": True,
                        "backend": "dogpile.cache.memcached",
                        "memcache_servers": f"{cloud.address(cloud.near('memcached', node))}:11211",
                    },
                    # bcrypt's usual effort takes seconds for each login under emulation.
                    "identity": {"password_hash_rounds": 4},
                },
            ),
            uwsgi("keystone"),
            Run(command=as_user("keystone", "keystone-manage db_sync"), seconds=300),
            _keys("fernet"),
            _keys("credential"),
            Run(
                command="IFS= read -r OS_BOOTSTRAP_PASSWORD && export OS_BOOTSTRAP_PASSWORD && "
                f"keystone-manage bootstrap --bootstrap-region-id {cloud.spec.region} "
                f"--bootstrap-public-url http://{public}:5000/v3/ "
                f"--bootstrap-internal-url http://{address}:5000/v3/ --bootstrap-admin-url http://{address}:5000/v3/",
                stdin=cloud.secret("admin") + "\n",
            ),
        ),
    )
    yield Step(
        title="Keystone answers; projects and users",
        node=node,
        actions=(
            Unit(names=("keystone",)),
            Wait(until=f"curl -sf -o /dev/null http://{address}:5000/v3", what="Keystone answers", seconds=90),
            ensure(
                cloud,
                projects=[{"name": "service"}, {"name": "demo", "description": "The team's own project"}],
                roles=[{"name": "service"}],
                users=[{"name": "demo", "password": cloud.secret("demo"), "roles": {"demo": ["member"]}}],
            ),
            *login.files(cloud, node),
        ),
    )


def _keys(kind: str) -> Action:
    """Make a repository of keys, whose first to be used is number 1.

    Keystone makes number 0 first, and takes a repository that has it for complete: a run that was interrupted in
    between has left no key to use.
    """
    folder = f"/etc/keystone/{kind}-keys"
    setup = f"keystone-manage {kind}_setup --keystone-user keystone --keystone-group keystone"
    return Run(command=f"rm -f {folder}/0 && {setup}", unless=f"ls {folder} 2>/dev/null | grep -qx '[1-9][0-9]*'")
