"""The dashboard."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Packages, PutFile, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.quoting import python
from labctl.roles.role import Step, role

_SETTINGS = """OPENSTACK_HOST = {host}
OPENSTACK_KEYSTONE_URL = {url}
ALLOWED_HOSTS = ["*"]
WEBROOT = "/horizon/"
LOGIN_URL = "/horizon/auth/login/"
LOGOUT_URL = "/horizon/auth/logout/"
LOGIN_REDIRECT_URL = "/horizon/"
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
CACHES = {{
    "default": {{"BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache", "LOCATION": {cache}}},
}}
OPENSTACK_KEYSTONE_DEFAULT_ROLE = "member"
OPENSTACK_NEUTRON_NETWORK = {{"enable_router": True, "enable_fip_topology_check": True}}
"""

# The package's own site runs the dashboard in Apache's sub-interpreters, in which python3-cryptography cannot be loaded
# (PyO3 modules may only be initialized once per process): one process of its own, and its main interpreter.
_SITE = """WSGIDaemonProcess horizon user=www-data group=www-data processes=1 threads=8 display-name=horizon
WSGIScriptAlias /horizon /usr/share/openstack-dashboard/wsgi.py process-group=horizon application-group=%{GLOBAL}
Alias /horizon/static /var/lib/openstack-dashboard/static
Alias /static /var/lib/openstack-dashboard/static
RedirectMatch ^/$ /horizon/

<Directory /usr/share/openstack-dashboard>
    Require all granted
</Directory>
<Directory /var/lib/openstack-dashboard/static>
    Require all granted
</Directory>
"""
_OTHERS = "default-ssl openstack-dashboard-alias-only"


@role("horizon", "Dashboard", needs=("keystone", "memcached"))
def horizon(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up Horizon under /horizon with sessions in memcached."""
    address = cloud.address(node)
    settings = _SETTINGS.format(
        host=python(cloud.internal("keystone")),
        url=python(cloud.auth_url()),
        cache=python(f"{cloud.address(cloud.near('memcached', node))}:11211"),
    )
    yield Step(
        title="Horizon answers",
        node=node,
        actions=(
            Packages(names=("openstack-dashboard-apache", "python3-pymemcache", "curl")),
            PutFile(path="/etc/openstack-dashboard/local_settings.d/_60_lab.py", content=settings),
            PutFile(path="/etc/apache2/sites-available/horizon.conf", content=_SITE),
            Run(
                command=f"a2dissite -q {_OTHERS}; a2ensite -q horizon",
                unless="test -e /etc/apache2/sites-enabled/horizon.conf",
            ),
            Unit(names=("apache2",)),
            Wait(
                until=f"curl -sf -o /dev/null http://{address}/horizon/auth/login/", what="Horizon answers", seconds=90
            ),
        ),
    )
