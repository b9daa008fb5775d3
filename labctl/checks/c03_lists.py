"""C03: a list from each service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labctl.checks.log import Log, Wrong, cloud_check

_TIMES = (10, 3)  # how often the list is asked for, on KVM and emulated
NONSENSE = "nonsense"
"""A token that nobody ever gave out."""
_LISTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "glance": ("images", lambda demo: demo.image.images(limit=1, paginated=False)),
    "nova": ("servers and flavors", lambda demo: [*demo.compute.flavors(), *demo.compute.servers(details=False)]),
    "neutron": ("networks", lambda demo: demo.network.networks()),
    "cinder": ("volumes", lambda demo: demo.block_storage.volumes(details=False)),
    "heat": ("stacks", lambda demo: demo.orchestration.stacks()),
}


def _list(name: str, what: str, ask: Callable[[Any], Any]) -> None:
    @cloud_check(
        f"C03:{name}",
        f"{name} lists its {what}",
        exercises=f"{name}'s check of tokens, its database" + ("; engine and queue" if name == "heat" else ""),
        needs=(f"C02:{name}",),
        quick=True,
        limit=(20, 120),
        about=(
            f"Ask {name} for its {what} as demo, several times over: one worker or connection that is broken shows in "
            "some of the answers only." + (" A nonsense token must be turned away." if name == "glance" else "")
        ),
    )
    def lists(log: Log) -> None:
        if not log.cloud.nodes(name):
            log.skip(f"no node has the role {name}")
        demo, node = log.cloud.demo, log.cloud.node(name)
        log.ask("list", lambda: list(ask(demo)), node=node, suspect=name)
        times = int(log.subject.scaled(*_TIMES))
        for number in range(2, times + 1):
            with log.step(f"list, {number} of {times}", node=node, suspect=name):
                list(ask(demo))
        if name == "glance":
            with log.step("list with a nonsense token", node=node, suspect=name):
                url = demo.image.get_endpoint()
                answer = log.cloud.http().get(
                    f"{url.rstrip('/')}/v2/images".replace("/v2/v2", "/v2"),
                    headers={"X-Auth-Token": NONSENSE},
                    timeout=log.cloud.seconds,
                )
                if answer.status_code != 401:
                    raise Wrong(f"HTTP {answer.status_code} to a nonsense token, not 401")


for _name, (_what, _ask) in _LISTS.items():
    _list(_name, _what, _ask)


@cloud_check(
    "C03:placement",
    "placement lists its resource providers",
    exercises="Placement's check of tokens, its database",
    needs=("C02:placement",),
    quick=True,
    limit=(20, 120),
)
def placement(log: Log) -> None:
    """Ask Placement for its resource providers as admin."""
    node = log.cloud.node("placement")
    log.ask("list", lambda: list(log.cloud.admin.placement.resource_providers()), node=node, suspect="placement")


@cloud_check(
    "C03:detail",
    "nova lists servers in detail",
    exercises="Nova's requests to Neutron, if there is any server",
    needs=("C03:nova", "C03:neutron"),
    quick=True,
    limit=(20, 120),
)
def detail(log: Log) -> None:
    """Ask Nova for all that it knows about demo's servers; for their security groups it asks Neutron."""
    node = log.cloud.node("nova")
    log.ask("list", lambda: list(log.cloud.demo.compute.servers()), node=node, suspect="nova: its way to neutron")
