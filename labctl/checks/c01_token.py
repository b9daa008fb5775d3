"""C01: tokens."""

from __future__ import annotations

from labctl.checks.log import Log, Wrong, cloud_check

_LEAST = 30 * 60  # seconds that a new token is to be good for


@cloud_check(
    "C01",
    "Tokens for admin and demo",
    exercises="Keystone, its database, keys, roles",
    quick=True,
    limit=(20, 60),
)
def tokens(log: Log) -> None:
    """Log in as admin and as demo at Keystone's public address, and as demo at its internal one. The tokens must be
    good for half an hour yet. All later requests of the run use these two tokens: an API remembers one that it has
    seen for five minutes, and a token of an earlier run passes a door that is closed to all others."""
    cloud = log.cloud
    node = cloud.node("keystone")
    for user, connection in (("admin", cloud.admin), ("demo", cloud.demo)):
        log.ask(f"token of {user}", connection.authorize, node=node, suspect="keystone")
        with log.step(f"expiry of {user}'s token", node=node, suspect="keystone"):
            session = connection.session
            if session.auth.get_access(session).will_expire_soon(_LEAST):
                raise Wrong("the token is good for less than half an hour")
    log.ask("token at the internal address", cloud.internal().authorize, node=node, suspect="keystone")
