"""The message queue between the parts of a service."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Packages, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles.role import Password, Step, role


# oslo.messaging hands the password to kombu with its slashes as they are, which ends the URL's part; rabbitmqctl cuts
# off the blanks around what it reads.
@role(
    "rabbitmq",
    "Message queue",
    chapter=3,
    single=True,
    passwords=(
        Password("rabbitmq", fits="(?! )[^/]*[^/ ]", rule="it may have no slash in it, and no blanks at its ends"),
    ),
)
def rabbitmq(cloud: Cloud, node: str) -> Iterator[Step]:
    """Give the services one user on the queue."""
    yield Step(
        title="RabbitMQ knows the user openstack",
        node=node,
        actions=(
            Packages(names=("rabbitmq-server",)),
            Unit(names=("epmd.socket", "rabbitmq-server"), seconds=180),
            Wait(until="bash -c 'exec 3<>/dev/tcp/127.0.0.1/5672'", what="RabbitMQ listens", seconds=120),
            Run(
                # Permissions come last and are looked for: an interrupted run leaves a user without any. Debian's
                # rabbitmqctl puts its arguments into another shell line: a password there would be executed. It reads
                # one from its input when the command and the user are its only arguments; with -q it waits for ever.
                command="IFS= read -r word && { printf '%s\\n' \"$word\" | rabbitmqctl add_user openstack || "
                "printf '%s\\n' \"$word\" | rabbitmqctl change_password openstack; } && "
                "rabbitmqctl -q set_permissions openstack '.*' '.*' '.*' </dev/null",
                stdin=cloud.secret("rabbitmq") + "\n",
                unless="rabbitmqctl -q list_user_permissions openstack --no-table-headers | grep -qF '.*'",
            ),
        ),
    )
