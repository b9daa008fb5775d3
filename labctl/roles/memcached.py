"""The cache of tokens and of dashboard sessions."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Packages, PutFile, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles.role import Step, role


@role("memcached", "Cache", chapter=4)
def memcached(cloud: Cloud, node: str) -> Iterator[Step]:
    """Listen on the internal network."""
    address = cloud.address(node)
    yield Step(
        title="memcached listens on the internal network",
        node=node,
        actions=(
            Packages(names=("memcached",)),
            PutFile(
                path="/etc/memcached.conf",
                content=f"-d\nlogfile /var/log/memcached.log\n-m 64\n-p 11211\n-u memcache\n-l 127.0.0.1,{address}\n"
                "-P /var/run/memcached/memcached.pid\n",
            ),
            Unit(names=("memcached",)),
            Wait(until=f"bash -c 'exec 3<>/dev/tcp/{address}/11211'", what="memcached listens"),
        ),
    )
