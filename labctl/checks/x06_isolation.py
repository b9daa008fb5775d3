"""X6: isolation of projects."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from labctl.checks.log import Log, Wrong, cloud_check


@cloud_check(
    "X6",
    "A second project neither sees nor uses what is demo's",
    exercises="policies of Nova, Neutron and Glance; projects, users and roles of Keystone",
    needs=("C03:nova", "C03:neutron"),
    limit=(60, 300),
)
def isolated(log: Log) -> None:
    """Make a project with a member as admin. The member must see no server, network and port of demo's, neither in
    lists nor by ID, and must not make a port in demo's network."""
    cloud = log.cloud
    if not cloud.nodes("tenant"):
        log.skip("no node has the role tenant, which makes demo's network")
    servers = log.ask("demo's servers", lambda: list(cloud.demo.compute.servers(details=False)), suspect="nova")
    net1 = log.ask(
        "demo's network", lambda: cloud.demo.network.find_network("net1", ignore_missing=False), suspect="neutron"
    )
    ports = log.ask("demo's ports", lambda: list(cloud.demo.network.ports(network_id=net1.id)), suspect="neutron")
    with cloud.made.scope(cloud):
        other = _member(log)
        nova, neutron = cloud.node("nova"), cloud.node("neutron")
        with log.step("servers", node=nova, suspect="nova: its policy"):
            _unseen(log, "a server", lambda: other.compute.servers(details=False))
            for server in servers[:1]:
                _denied("demo's server", lambda: other.compute.get_server(server.id))  # noqa: B023 - used at once
        with log.step("networks and ports", node=neutron, suspect="neutron: its policy"):
            seen = {each.id for each in log.again(lambda: list(other.network.networks()))}
            if net1.id in seen:
                raise Wrong("it sees demo's network net1")
            _unseen(log, "a port", lambda: other.network.ports())
            for port in ports[:1]:
                _denied("demo's port", lambda: other.network.get_port(port.id))  # noqa: B023
        with log.step("a port in demo's network", node=neutron, suspect="neutron: its policy"):

            def make(name: str) -> Any:
                return other.network.create_port(name=name, network_id=net1.id)

            _denied("a new port in net1", lambda: cloud.made.make("port", "foreign", make))


def _member(log: Log) -> Any:
    """Make a project and a user who is its member; return the user's connection."""
    cloud = log.cloud
    identity, password = cloud.admin.identity, secrets.token_hex(16)
    with log.step("project and user", node=cloud.node("keystone"), suspect="keystone"):
        project = cloud.made.make("project", "project", lambda name: identity.create_project(name=name))
        user = cloud.made.make("user", "user", lambda name: identity.create_user(name=name, password=password))
        role = identity.find_role("member", ignore_missing=False)
        identity.assign_project_role_to_user(project, user, role)
    login = replace(cloud.login("demo"), username=user.name, password=password, project=project.name)
    other = cloud.fresh(login)
    log.ask("token", other.authorize, node=cloud.node("keystone"), suspect="keystone")
    return other


def _unseen(log: Log, what: str, ask: Callable[[], Any]) -> None:
    if found := log.again(lambda: list(ask())):
        raise Wrong(f"it sees {what} that is not its own: {found[0].id}")


def _denied(what: str, do: Callable[[], Any]) -> None:
    from openstack.exceptions import ForbiddenException, NotFoundException

    try:
        do()
    except (ForbiddenException, NotFoundException):
        return
    raise Wrong(f"it gets {what}")
