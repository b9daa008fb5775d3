"""Logs in to a lab's cloud with openstacksdk, in labctl's own process."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import openstack
from keystoneauth1.adapter import Adapter
from keystoneauth1.identity import v3
from keystoneauth1.session import Session

from labctl.cloud import http
from labctl.cloud.http import Dialer

for _library in ("keystoneauth", "openstack"):  # what they warn of becomes evidence; the terminal is not theirs
    logging.getLogger(_library).addHandler(logging.NullHandler())


@dataclass(frozen=True, kw_only=True)
class Login:
    """Who logs in, and where.

    Attributes:
        auth_url: Keystone's, with its version: http://auth-node.example.org:5000/v3.
        interface: the kind of endpoints to use: public or internal.
    """

    auth_url: str
    username: str
    password: str = field(repr=False)
    project: str
    region: str
    interface: str = "public"
    domain: str = "Default"


def connect(dialer: Dialer, login: Login, *, timeout: float, straight: bool = False) -> openstack.connection.Connection:
    """Return a connection to the cloud, all of whose requests go into the lab. Nothing is asked yet.

    Neither clouds.yaml nor variables of the environment count.

    Args:
        timeout: seconds that a request may take.
        straight: whether Keystone is found at the address of the login, whatever the catalogue says.
    """
    auth = v3.Password(
        auth_url=login.auth_url,
        username=login.username,
        password=login.password,
        project_name=login.project,
        user_domain_name=login.domain,
        project_domain_name=login.domain,
    )
    session = Session(auth=auth, session=http.session(dialer), timeout=timeout)
    known: dict[str, Any] = {"identity_endpoint_override": login.auth_url} if straight else {}
    return openstack.connection.Connection(
        session=session, region_name=login.region, interface=login.interface, **known
    )


def requests_to(service_type: str, connection: openstack.connection.Connection, *, region: str) -> Adapter:
    """Return a connection's way to a service that openstacksdk does not know: its requests take paths."""
    return Adapter(connection.session, service_type=service_type, interface="public", region_name=region)
