"""The cloud as roles see it: who does what, at which address, with which secrets; and settings that services share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from netaddr import IPAddress

from labctl.changes import Action, Ini, Python, Run, Wait
from labctl.errors import InputError
from labctl.plan.model import LabPlan, NodePlan
from labctl.quoting import shell, sql, sql_name, url
from labctl.secret import Secret
from labctl.spec.topology import OpenStack

Values = dict[str, dict[str, object]]

_REPORTS = {
    "nova": ("nova.services", "last_seen_up"),
    "neutron": ("neutron.agents", "heartbeat_timestamp"),
    "cinder": ("cinder.services", "updated_at"),
}
"""Where services write that they are up, by the first word of their names: table and column."""


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """One lab's cloud.

    Attributes:
        lab: its plan.
        spec: its settings.
        secrets: passwords and keys by name.
        slow: whether nodes are emulated; services then get longer times.
        nested: virt_type of each compute node, kvm or qemu.
    """

    lab: LabPlan
    spec: OpenStack
    secrets: Mapping[str, str] = field(repr=False)
    slow: bool
    nested: Mapping[str, str]

    def nodes(self, role: str) -> list[str]:
        """Return the nodes that have a role, in the topology's order."""
        return [node.name for node in self.lab.nodes if role in node.roles]

    def node(self, role: str) -> str:
        """Return the first node that has a role.

        Raises:
            InputError: none has.
        """
        if found := self.nodes(role):
            return found[0]
        raise InputError(
            f"no node of topology {self.lab.topology} has the role {role}", remedy="Add it to a node's roles."
        )

    def near(self, role: str, node: str) -> str:
        """Return the node itself where it has the role, else the first one that has."""
        return node if node in self.nodes(role) else self.node(role)

    def clock(self) -> str:
        """Return the node whose clock the others follow: the first with an address between the services.

        Raises:
            InputError: none has.
        """
        inside = (node.name for node in self.lab.nodes if self._address(node.name, self.spec.internal))
        if found := next(inside, None):
            return found
        raise InputError(f"no node of topology {self.lab.topology} has an address on network {self.spec.internal}")

    def plan(self, node: str) -> NodePlan:
        """Return a node's plan."""
        return self.lab.node(node)

    def address(self, node: str) -> str:
        """Return a node's address between the services.

        Raises:
            InputError: it has none.
        """
        if found := self._address(node, self.spec.internal):
            return str(found)
        raise InputError(
            f"{node} has a role, but no address on network {self.spec.internal}", remedy="Give it a card there."
        )

    def internal(self, role: str) -> str:
        """Return the address of a role between the services."""
        return self.address(self.node(role))

    def public(self, role: str) -> str:
        """Return the public name of a role's node; its internal address where it is not on the public network."""
        node = self.node(role)
        address = self._address(node, self.spec.public)
        names = [name for entry in self.lab.hosts if entry.address == address for name in entry.names]
        return names[0] if names else str(address or self.address(node))

    def card(self, node: str, network: str) -> str | None:
        """Return the name of a node's network card on a network, None when it has none."""
        return next((nic.name for nic in self.plan(node).nics if nic.network == network), None)

    def secret(self, name: str) -> Secret:
        """Return a secret; people see its name."""
        return Secret(self.secrets[name], f"<{name}>")

    def auth_url(self) -> str:
        """Return Keystone's address between the services."""
        return f"http://{self.internal('keystone')}:5000/v3"

    def database_url(self, database: str) -> Secret:
        """Return the URL of a database for SQLAlchemy; its user bears the service's name."""
        user = database.split("_")[0]
        password = self.secret(f"{user}-db").map(url)
        return f"mysql+pymysql://{user}:" + password + f"@{self.internal('mariadb')}/{database}"

    def transport_url(self) -> Secret:
        """Return the URL of the message queue."""
        return "rabbit://openstack:" + self.secret("rabbitmq").map(url) + f"@{self.internal('rabbitmq')}:5672/"

    def seconds(self, usual: int, slow: int) -> int:
        """Choose a service's interval or time limit: the usual one, or that of emulated nodes."""
        return slow if self.slow else usual

    def database(self, *names: str) -> Action:
        """Make databases that belong to the user whose name they begin with; done on the database's node."""
        user = names[0].split("_")[0]
        account = f"{sql(user)}@'%'"
        password = self.secret(f"{user}-db").map(sql)
        made = f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY " + password + ";"
        lines = []
        for name in names:
            lines.append(f"CREATE DATABASE IF NOT EXISTS {sql_name(name)} CHARACTER SET utf8mb3;")
            lines.append(f"GRANT ALL PRIVILEGES ON {sql_name(name)}.* TO {account};")
        return Run(command="mariadb", stdin=made + "\n" + "\n".join(lines))

    def heard(self, node: str, *programs: str) -> Action:
        """Wait until services of a node have reported to the database, where others see whether they are up.

        It is done on the database's node. A unit that runs may be minutes away from its first report in an emulated
        node, and a cloud that went on from memory is back when its services have reported again.
        """
        recent = f"> UTC_TIMESTAMP() - INTERVAL {self.seconds(75, 600)} SECOND"
        lines = []
        for program in programs:
            table, seen = _REPORTS[program.partition("-")[0]]
            place = f"SUBSTRING_INDEX(host, '@', 1) = {sql(node)}"  # Cinder's end with @BACKEND
            which = f"`binary` = {sql(program)} AND {place} AND {seen} {recent}"
            lines.append(f"(SELECT 1 FROM {table} WHERE {which} LIMIT 1)")  # noqa: S608 - quoted above
        return Wait(
            until=f"[ $(mariadb -BNe {shell(' UNION ALL '.join(lines))} | wc -l) -eq {len(programs)} ]",
            what=f"{', '.join(programs)} of {node} report",
            seconds=180,
        )

    def unheard(self, node: str) -> str:
        """Return a shell line for the database's node: a node's services are down for the others until they report.

        It is for a node that goes on from older memory than the others. Neutron tells agents of changes alone; those
        that report after having been down read everything anew, and so learn what they missed.
        """
        updates = [
            f"UPDATE {table} SET {seen} = '2000-01-01' WHERE SUBSTRING_INDEX(host, '@', 1) = {sql(node)};"  # noqa: S608 - quoted
            for service, (table, seen) in _REPORTS.items()
            if self.nodes(service)
        ]
        return f"mariadb -e {shell(' '.join(updates))}"

    def listens(self, queue: str) -> Action:
        """Wait until somebody takes what is put into a queue; what is published before is lost.

        It is done on the message queue's node, by Erlang's own small client: `rabbitmqctl` starts a whole Erlang, nine
        seconds of an emulated node, for the same question.
        """
        count = f'{{ok, Q}} = rabbit_amqqueue:lookup({{resource, <<"/">>, queue, <<"{queue}">>}}), '
        count += "length(rabbit_amqqueue:consumers(Q))."
        ask = "HOME=/var/lib/rabbitmq erl_call -n rabbit@$(hostname -s) -e"  # the cookie is in its home
        return Wait(
            until=f"echo {shell(count)} | {ask} | grep -q '{{ok, [1-9]'", what=f"{queue} has a listener", seconds=180
        )

    def credentials(self, user: str) -> dict[str, object]:
        """Return the options with which a service logs in to Keystone."""
        return {
            "auth_type": "password",
            "auth_url": self.auth_url(),
            "username": user,
            "password": self.secret(user),
            "project_name": "service",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
            "region_name": self.spec.region,
        }

    def authtoken(self, user: str, node: str) -> Values:
        """Return the section with which a service checks its callers' tokens."""
        return {
            "keystone_authtoken": self.credentials(user)
            | {
                "www_authenticate_uri": f"http://{self.public('keystone')}:5000",
                "memcached_servers": f"{self.address(self.near('memcached', node))}:11211",
                "service_token_roles": "service",
                "service_token_roles_required": True,
            }
        }

    def messaging(self) -> Values:
        """Return the settings of the message queue.

        No heartbeats: APIs under uWSGI send none while nobody asks them anything, and lose the connection by which
        their answers come; a suspended or emulated node sends them late. TCP's keepalive notices a dead peer.
        """
        return {
            "DEFAULT": {
                "transport_url": self.transport_url(),
                "rpc_response_timeout": self.seconds(60, 300),
            },
            "oslo_messaging_rabbit": {"heartbeat_timeout_threshold": 0},
        }

    def endpoint(self, service: str, kind: str, title: str, port: int, path: str = "") -> Action:
        """Make a service's user and its entry in the catalog; done where Keystone is."""
        public, internal = (f"http://{host}:{port}{path}" for host in (self.public(service), self.internal(service)))
        return self.ensure(
            users=[{"name": service, "password": self.secret(service), "roles": {"service": ["admin", "service"]}}],
            services=[
                {
                    "name": service,
                    "type": kind,
                    "description": title,
                    "endpoints": {"public": public, "internal": internal, "admin": internal},
                }
            ],
        )

    def ensure(self, **wanted: Any) -> Action:
        """Make what is wanted in the cloud, as its admin; what is there stays."""
        login = {
            "auth_url": self.auth_url(),
            "username": "admin",
            "password": self.secret("admin"),
            "project_name": "admin",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        }
        data = {"login": login, "region": self.spec.region, "wanted": wanted}
        source = resources.files("labctl.roles.inside").joinpath("ensure.py").read_text()
        return Python(title=f"make {', '.join(wanted)}", source=source, data=data, seconds=120)

    def _address(self, node: str, network: str) -> IPAddress | None:
        own = (nic.address for nic in self.plan(node).nics if nic.network == network)
        return next((address for address in own if address is not None), None)


def merge(*parts: Values) -> Values:
    """Join the settings of several sections; a later one wins."""
    joined: Values = {}
    for part in parts:
        for section, options in part.items():
            joined[section] = joined.get(section, {}) | options
    return joined


def uwsgi(name: str, project: str | None = None, *, green: int = 0) -> Action:
    """Keep an API to few processes: a lab has few callers and little memory.

    It tells that it ends each connection, as Debian's files do for some: after an answer without a body (204) a client
    would send its next request by the same one, and find it reset.

    Args:
        green: how many processes, where its threads are eventlet's. These live in the system's thread that began them,
            and the one that receives the answers to remote calls runs only while that thread serves a request: each
            process must have one alone.
    """
    size = {"processes": green, "threads": 1} if green else {"processes": 1, "threads": 8}
    values = size | {"add-header": "Connection: close"}
    return Ini(path=f"/etc/{project or name}/{name}-uwsgi.ini", values={"uwsgi": values}, dialect="plain")


def as_user(user: str, command: str) -> str:
    """Return the shell line that runs a command as a service's user."""
    return f"runuser -u {user} -- {command}"
