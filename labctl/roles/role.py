"""What a role is: it declares what it needs, and yields steps of actions for one node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from labctl.changes import Action, Unit
from labctl.cloud.cloud import Cloud
from labctl.registry import Registry
from labctl.spec.document import Problem
from labctl.spec.topology import Topology


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something that is done on one node, and proven at its end.

    Attributes:
        title: what it does, for people, a few words.
        node: where; a role's steps may be on other nodes, the database's for instance.
        live: whether it needs the node's own kernel: such a step cannot be done when disks are baked.
    """

    title: str
    node: str
    actions: tuple[Action, ...]
    live: bool = False


Steps = Callable[[Cloud, str], Iterator[Step]]
Fits = Callable[[Topology], Iterable[Problem]]


@dataclass(frozen=True)
class Password:
    """A password that a role reads, and that a topology may pin.

    Attributes:
        fits: a regular expression of what all its readers can carry.
        rule: the same in words, for people.
    """

    name: str
    fits: str = ".*"
    rule: str = ""


@dataclass(frozen=True)
class Reports:
    """Where a role's services write that they are up, whichever node they are on.

    Attributes:
        table: of the database, with the columns `host` and `binary`.
        seen: its column with the time.
    """

    table: str
    seen: str


@dataclass(frozen=True, kw_only=True)
class Role:
    """One kind of duty.

    Attributes:
        needs: roles that it cannot do without; their steps, on all their nodes, come before this one's.
        after: roles whose steps come before this one's where the cloud has them.
        chapter: its place in the tutorial, which orders roles that do not need each other; the others come later.
        excludes: roles that cannot be on the same node.
        networks: of internal, public and private: where its node has a card, with an address but on private. A cloud
            without a private network asks for none there.
        disks: how many data disks its node has at least.
        single: whether one node alone may have it: the others ask the first that has it.
        everywhere: whether every node has it without being told.
        passwords: those that are its own.
        keys: names of its own pairs of SSH keys: the secrets NAME and NAME-public.
        fits: yields what else in a topology does not fit the role: place and message.
        steps: yields the steps for one node that has the role.
        reports: where its services report; None where none does. Their programs' names begin with the role's.
        listens: programs of its own that need not report to be known as up, each with the topic on which it listens.
            The message queue is asked who listens; a program reports seldom.
        loses: what a reset of its node takes away while other nodes still speak of it; empty for nothing.
        clean: a shell line for that node which then makes the others forget it; empty where nothing can.
        nests: whether it runs virtual machines of its own.
        layer: the layer of the image `openstack` that its packages are in; empty for the image's own.
        instructions: what its programs need of an emulated processor, as QEMU names it, beyond what every node has.
    """

    name: str
    title: str
    steps: Steps
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    chapter: int = 100
    excludes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ("internal",)
    disks: int = 0
    single: bool = False
    everywhere: bool = False
    passwords: tuple[Password, ...] = ()
    keys: tuple[str, ...] = ()
    fits: Fits | None = None
    reports: Reports | None = None
    listens: Mapping[str, str] = field(default_factory=dict)
    loses: str = ""
    clean: str = ""
    nests: bool = False
    layer: str = ""
    instructions: tuple[str, ...] = ()

    @property
    def follows(self) -> tuple[str, ...]:
        """Roles whose steps come before this one's, as far as the cloud has them."""
        return self.needs + self.after


ROLES: Registry[Role] = Registry("labctl.roles", "role")


def units(cloud: Cloud) -> dict[str, tuple[str, ...]]:
    """Return the units that the cloud's roles run, by node."""
    found: dict[str, dict[str, None]] = {node.name: {} for node in cloud.lab.nodes}
    for each in ROLES:
        for node in list(found) if each.everywhere else cloud.nodes(each.name):
            for step in each.steps(cloud, node):
                for action in step.actions:
                    if isinstance(action, Unit) and action.on:
                        found[step.node] |= dict.fromkeys(action.names)
    return {node: tuple(names) for node, names in found.items()}


def role(name: str, title: str, **qualities: Any) -> Callable[[Steps], Steps]:
    """Register the function that yields the steps of a role.

    Args:
        qualities: see `Role`.
    """

    def register(steps: Steps) -> Steps:
        ROLES.add(Role(name=name, title=title, steps=steps, **qualities))
        return steps

    return register
