"""The dashboard."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.actions import Packages, PutFile, Run, Unit, Wait
from labctl.roles.cloud import Cloud
from labctl.roles.role import Step, role

_SETTINGS = """OPENSTACK_HOST = {host!r}
OPENSTACK_KEYSTONE_URL = {url!r}
ALLOWED_HOSTS = ["*"]
WEBROOT = "/horizon/"
LOGIN_URL = "/horizon/auth/login/"
LOGOUT_URL = "/horizon/auth/logout/"
LOGIN_REDIRECT_URL = "/horizon/"
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
CACHES = {{
    "default": {{"BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache", "LOCATION": {cache!r}}},
}}
OPENSTACK_KEYSTONE_DEFAULT_ROLE = "member"
OPENSTACK_NEUTRON_NETWORK = {{"enable_router": True, "enable_fip_topology_check": True}}
"""


@role("horizon", "Dashboard", needs=("keystone", "memcached"))
def horizon(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up Horizon under /horizon with sessions in memcached."""
    address = cloud.address(node)
    settings = _SETTINGS.format(
        host=cloud.internal("keystone"),
        url=cloud.auth_url(),
        cache=f"{cloud.address(cloud.near('memcached', node))}:11211",
    )
    yield Step(
        title="Horizon answers",
        node=node,
        actions=(
            Packages(names=("openstack-dashboard-apache", "python3-pymemcache", "curl")),
            PutFile(path="/etc/openstack-dashboard/local_settings.d/_60_lab.py", content=settings),
            Run(command="a2dissite -q default-ssl", unless="test ! -e /etc/apache2/sites-enabled/default-ssl.conf"),
            Unit(names=("apache2",)),
            Wait(
                until=f"curl -sf -o /dev/null http://{address}/horizon/auth/login/", what="Horizon answers", seconds=90
            ),
        ),
    )
