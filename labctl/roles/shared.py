"""What several roles share: settings of all services, and actions on what each stands on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

from labctl.changes import Action, Ini, Python, Run, Wait
from labctl.cloud.cloud import Cloud
from labctl.quoting import shell, sql, sql_name
from labctl.roles.role import ROLES, Reports

Values = dict[str, dict[str, object]]

_ERLANG = "HOME=/var/lib/rabbitmq erl_call -n rabbit@$(hostname -s) -e"  # the cookie is in its home


def database(cloud: Cloud, *names: str) -> Action:
    """Make databases that belong to the user whose name they begin with; done on the database's node."""
    user = names[0].split("_")[0]
    account = f"{sql(user)}@'%'"
    password = cloud.secret(f"{user}-db").map(sql)
    made = f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY " + password + ";"
    lines = []
    for name in names:
        lines.append(f"CREATE DATABASE IF NOT EXISTS {sql_name(name)} CHARACTER SET utf8mb3;")
        lines.append(f"GRANT ALL PRIVILEGES ON {sql_name(name)}.* TO {account};")
    return Run(command="mariadb", stdin=made + "\n" + "\n".join(lines))


def wait_for_reports(cloud: Cloud, node: str, *programs: str) -> Action:
    """Wait until services of a node have reported to the database, where others see whether they are up.

    It is done on the database's node. A unit that runs may be minutes away from its first report in an emulated
    node, and a cloud that went on from memory is back when its services have reported again.
    """
    recent = f"> UTC_TIMESTAMP() - INTERVAL {cloud.seconds(75, 600)} SECOND"
    lines = []
    for program in programs:
        reports = _reports(program.partition("-")[0])
        place = f"SUBSTRING_INDEX(host, '@', 1) = {sql(node)}"  # Cinder's end with @BACKEND
        which = f"`binary` = {sql(program)} AND {place} AND {reports.seen} {recent}"
        lines.append(f"(SELECT 1 FROM {reports.table} WHERE {which} LIMIT 1)")  # noqa: S608 - quoted above
    return Wait(
        until=f"[ $(mariadb -BNe {shell(' UNION ALL '.join(lines))} | wc -l) -eq {len(programs)} ]",
        what=f"{', '.join(programs)} of {node} report",
        seconds=180,
    )


def forget_reports(cloud: Cloud, node: str, *, besides: Iterable[str] = ()) -> str:
    """Return a shell line for the database's node: a node's services are down for the others until they report.

    It is for a node that goes on from older memory than the others. Neutron tells agents of changes alone; those
    that report after having been down read everything anew, and so learn what they missed.

    Args:
        besides: programs of which this is not wanted.
    """
    present = [role for role in ROLES if cloud.nodes(role.name)]
    which = f"SUBSTRING_INDEX(host, '@', 1) = {sql(node)}"
    if kept := ", ".join(map(sql, besides)):
        which += f" AND `binary` NOT IN ({kept})"
    updates = [
        f"UPDATE {table} SET {seen} = '2000-01-01' WHERE {which};"  # noqa: S608 - quoted
        for table, seen in ((role.reports.table, role.reports.seen) for role in present if role.reports)
    ]
    return f"mariadb -e {shell(' '.join(updates))}"


def drop_connections(cloud: Cloud, node: str) -> str:
    """Return a shell line for the message queue's node: it ends the connections of a node that is gone.

    The queue does not notice by itself that a node was powered off. It would count the node's listeners of that time,
    and give them messages, until the node's kernel refuses one. A connection's name begins with the client's address
    and port (rabbit_reader.erl).
    """
    ours = f'lists:prefix("{cloud.address(node)}:", binary_to_list(N))'
    known = f"case catch rabbit_networking:connection_info(P, [name]) of [{{name, N}}] -> {ours}; _ -> false end"
    close = 'catch rabbit_networking:close_connection(P, "its node was reset")'
    every = shell(f"[{close} || P <- rabbit_networking:connections(), {known}].")
    return f"said=$(echo {every} | {_ERLANG}); case $said in '{{ok,'*) ;; *) echo \"$said\" >&2; exit 1 ;; esac"


def listens(queue: str) -> Wait:
    """Wait until somebody takes what is put into a queue; what is published before is lost.

    It is done on the message queue's node, by Erlang's own small client: `rabbitmqctl` starts a whole Erlang, nine
    seconds of an emulated node, for the same question.
    """
    count = f'{{ok, Q}} = rabbit_amqqueue:lookup({{resource, <<"/">>, queue, <<"{queue}">>}}), '
    count += "length(rabbit_amqqueue:consumers(Q))."
    return Wait(
        until=f"echo {shell(count)} | {_ERLANG} | grep -q '{{ok, [1-9]'", what=f"{queue} has a listener", seconds=180
    )


def authtoken(cloud: Cloud, user: str, node: str) -> Values:
    """Return the section with which a service checks its callers' tokens."""
    return {
        "keystone_authtoken": cloud.credentials(user)
        | {
            "www_authenticate_uri": f"http://{cloud.public('keystone')}:5000",
            "memcached_servers": f"{cloud.address(cloud.near('memcached', node))}:11211",
            "service_token_roles": "service",
            "service_token_roles_required": True,
        }
    }


def messaging(cloud: Cloud) -> Values:
    """Return the settings of the message queue.

    No heartbeats: APIs under uWSGI send none while nobody asks them anything, and lose the connection by which
    their answers come; a suspended or emulated node sends them late. TCP's keepalive notices a dead peer.
    """
    return {
        "DEFAULT": {
            "transport_url": cloud.transport_url(),
            "rpc_response_timeout": cloud.seconds(60, 300),
        },
        "oslo_messaging_rabbit": {"heartbeat_timeout_threshold": 0},
    }


def notifications(cloud: Cloud) -> Values:
    """Return the settings with which a service tells what it does; none where nobody listens, for queues would fill.

    What cannot be delivered is tried a few times: a service does not stand still because the message queue does.
    """
    if not cloud.nodes("ceilometer"):
        return {}
    return {"oslo_messaging_notifications": {"driver": "messagingv2", "retry": 3}}


def endpoint(cloud: Cloud, service: str, kind: str, title: str, port: int, path: str = "") -> Action:
    """Make a service's user and its entry in the catalog; done where Keystone is."""
    public, internal = (f"http://{host}:{port}{path}" for host in (cloud.public(service), cloud.internal(service)))
    return ensure(
        cloud,
        users=[{"name": service, "password": cloud.secret(service), "roles": {"service": ["admin", "service"]}}],
        services=[
            {
                "name": service,
                "type": kind,
                "description": title,
                "endpoints": {"public": public, "internal": internal, "admin": internal},
            }
        ],
    )


def ensure(cloud: Cloud, **wanted: Any) -> Action:
    """Make what is wanted in the cloud, as its admin; what is there stays."""
    login = {
        "auth_url": cloud.auth_url(),
        "username": "admin",
        "password": cloud.secret("admin"),
        "project_name": "admin",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    data = {"login": login, "region": cloud.spec.region, "wanted": wanted}
    source = resources.files("labctl.roles.inside").joinpath("ensure.py").read_text()
    return Python(title=f"make {', '.join(wanted)}", source=source, data=data, seconds=120)


def merge(*parts: Values) -> Values:
    """Join the settings of several sections; a later one wins."""
    joined: Values = {}
    for part in parts:
        for section, options in part.items():
            joined[section] = joined.get(section, {}) | options
    return joined


def uwsgi(name: str, project: str | None = None, *, green: int = 0, more: Mapping[str, object] | None = None) -> Action:
    """Keep an API to few processes: a lab has few callers and little memory.

    It tells that it ends each connection, as Debian's files do for some: after an answer without a body (204) a client
    would send its next request by the same one, and find it reset.

    Args:
        green: how many processes, where its threads are eventlet's. These live in the system's thread that began them,
            and the one that receives the answers to remote calls runs only while that thread serves a request: each
            process must have one alone.
        more: what the file says besides, where no package has brought one.
    """
    size = {"processes": green, "threads": 1} if green else {"processes": 1, "threads": 8}
    values = size | {"add-header": "Connection: close"} | dict(more or {})
    return Ini(path=f"/etc/{project or name}/{name}-uwsgi.ini", values={"uwsgi": values}, dialect="plain")


def as_user(user: str, command: str) -> str:
    """Return the shell line that runs a command as a service's user."""
    return f"runuser -u {user} -- {command}"


def _reports(role: str) -> Reports:
    found = ROLES[role].reports
    assert found is not None, f"the role {role} does not say where its services report"
    return found
