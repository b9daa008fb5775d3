"""What a fault is: what teams may see of it, what it changes, which checks turn red, and how people mend it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeVar

from netaddr import IPAddress

from labctl.changes import Change
from labctl.plan.model import LabPlan, NicPlan, NodePlan
from labctl.registry import Registry

T = TypeVar("T")

Lasts = Literal["file", "runtime", "data"]
"""What ends it but a repair: nothing; a restart or reboot; nothing, for it is in a database."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The lab that a fault is drawn for: pure, so that a draw is the same wherever it is made.

    Attributes:
        service: whose faults alone are wanted, by the name of its role; empty for all.
        only: variants of the fault that may be drawn; None for all.
    """

    lab: LabPlan
    service: str = ""
    only: frozenset[str] | None = None

    def nodes(self, role: str | None = None) -> list[NodePlan]:
        """Return the nodes that do what a role is for; all of them where none is named."""
        return list(self.lab.nodes) if role is None else self.lab.doing(role)

    def running(self, unit: str, role: str) -> list[NodePlan]:
        """Return the nodes that run a unit of a role; a unit whose name is a role, too, may have nodes of its own."""
        return self.nodes(unit) or self.nodes(role)

    def pick(self, random: Random, role: str | None = None) -> NodePlan:
        """Choose a node by its role.

        Raises:
            IndexError: no node has it.
        """
        return random.choice(self.nodes(role))

    def choose(self, random: Random, variants: Mapping[str, T], fits: Callable[[str], object] = bool) -> tuple[str, T]:
        """Choose among the variants of a fault that the lab can have, and return its name and what belongs to it.

        Args:
            variants: name to anything. A name begins with the role whose service breaks.
            fits: raises LookupError for a name whose variant the lab cannot have, though it has the role.

        Raises:
            LookupError: the lab can have none of them.
        """
        found = [
            name
            for name in variants
            if self.nodes(name.split()[0])
            and self.service in ("", name.split()[0])
            and (self.only is None or name in self.only)
            and _succeeds(fits, name)
        ]
        name = random.choice(found)
        return name, variants[name]

    def alone(self, random: Random, role: str) -> NodePlan:
        """Choose a node of a role that has neither the database nor the broker, whose ills everybody would feel.

        Raises:
            IndexError: no node has it without them.
        """
        return self.apart(random, role, "mariadb", "rabbitmq")

    def library(self, random: Random, *others: str) -> NodePlan:
        """Choose a node with a folder of images.

        Args:
            others: roles that it must not have.

        Raises:
            IndexError: there is none, or images are elsewhere.
        """
        kept = self.lab.openstack is not None and self.lab.openstack.images == "file"
        nodes = self.nodes("glance") if kept else []
        return random.choice([node for node in nodes if not {*others} & {*node.roles}])

    def apart(self, random: Random, role: str, *others: str) -> NodePlan:
        """Choose a node of a role that has none of others.

        Raises:
            IndexError: no node has it without them.
        """
        return random.choice([node for node in self.nodes(role) if not {*others} & {*node.roles}])

    def first(self, role: str, *others: str) -> NodePlan:
        """Return the first node of a role, on which checks look at what they do not try on every one.

        Args:
            others: roles that it must not have.

        Raises:
            LookupError: no node has it, or the first one has one of the others.
        """
        return _found(node for node in self.nodes(role)[:1] if not {*others} & {*node.roles})

    def inward(self, random: Random, role: str) -> NodePlan:
        """Choose a node of a role that is not on the network of the public endpoints.

        Raises:
            IndexError: there is none.
        """
        spec = self.lab.openstack
        return random.choice(
            [node for node in self.nodes(role) if spec and spec.public not in {nic.network for nic in node.nics}]
        )

    def wire(self, node: NodePlan) -> NicPlan:
        """Return the card by which a node's servers reach those of other nodes without tunnels.

        Raises:
            LookupError: it has none.
        """
        spec = self.lab.openstack
        return self.card(node, spec.private if spec and spec.carrier == "vlan" else None)

    def card(self, node: NodePlan, network: str | None) -> NicPlan:
        """Return a node's card on a network.

        Raises:
            LookupError: it has none.
        """
        return _found(nic for nic in node.nics if nic.network == network)

    def address(self, role: str, node: str = "") -> str:
        """Return the address between the services of a node, or of the first node of a role.

        Raises:
            LookupError: the lab has no such node, or it no such address.
        """
        spec = self.lab.openstack
        nodes = [each for each in self.nodes(role) if node in ("", each.name)]
        nics = [nic for each in nodes for nic in each.nics if spec and nic.network == spec.internal]
        return str(nics[0].address)

    def region(self) -> str:
        """Return the region of the lab's cloud."""
        assert self.lab.openstack is not None
        return self.lab.openstack.region

    def floating(self) -> tuple[IPAddress, IPAddress]:
        """Return the first and the last floating address."""
        assert self.lab.openstack is not None
        public = self.lab.network(self.lab.openstack.public).subnet
        assert public is not None
        return self.lab.openstack.pool(public)

    def free_address(self, random: Random) -> str:
        """Return an address between the services that nobody has."""
        assert self.lab.openstack is not None
        subnet = self.lab.network(self.lab.openstack.internal).subnet
        assert subnet is not None
        taken = {nic.address for node in self.lab.nodes for nic in node.nics}
        return str(random.choice([each for each in subnet[200:250] if each not in taken]))

    def named(self, name: str) -> IPAddress:
        """Return the address that a name means in the lab.

        Raises:
            LookupError: no node knows the name.
        """
        return _found(entry.address for entry in self.lab.hosts if name in entry.names)

    def unused(self, address: IPAddress) -> IPAddress:
        """Return an address near another one that no name of the lab means."""
        taken = {entry.address for entry in self.lab.hosts}
        return next(each for each in (address + step for step in range(90, 100)) if each not in taken)

    def cards(self, node: NodePlan) -> list[NicPlan]:
        """Return a node's cards that have an address and are not the way in for labctl."""
        return [nic for nic in node.nics if not nic.dhcp and nic.address is not None]

    def wired(self, random: Random) -> tuple[NodePlan, NicPlan, NodePlan, NicPlan]:
        """Choose a node, a card of it, and another node with its card on the same network.

        Raises:
            IndexError: no two nodes share a network.
        """
        pairs = [
            (node, card, other, far)
            for node in self.lab.nodes
            for card in self.cards(node)
            for other in self.lab.nodes
            for far in self.cards(other)
            if other.name != node.name and far.network == card.network
        ]
        return random.choice(pairs)


def _succeeds(do: Callable[[str], object], name: str) -> bool:
    try:
        do(name)
    except LookupError:
        return False
    return True


def _found(some: Iterable[T]) -> T:
    for each in some:
        return each
    raise LookupError("the lab has none")


@dataclass(frozen=True, kw_only=True)
class Break:
    """One change in one node, and the units that read what it changes.

    Attributes:
        node: where; for things of the cloud's APIs the database's node, for they end when that is reset.
        waits: whether the units come up all the same; a restart that never ends is not waited for.
    """

    node: str
    change: Change
    restart: tuple[str, ...] = ()
    waits: bool = True


@dataclass(frozen=True, kw_only=True)
class Typed:
    """A line that somebody types in a node's shell."""

    node: str
    line: str

    def restarts(self, unit: str) -> bool:
        """Whether it restarts a unit."""
        return re.search(rf"systemctl restart [^;&|]*\b{re.escape(unit)}\b", self.line) is not None


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A fault with its parameters: everything about it, for one lab.

    Attributes:
        node: where it is to be found.
        service: which service is to blame; in a cloud its role's name comes first.
        variant: which of the fault's variants this is; empty where it has but one.
        red, green: checks of the fault that this variant turns red, and those that it leaves green; all when empty.
        breaks: what is changed.
        explanation: what is wrong and how one finds it; sealed.
        repair: the reference repair, with a learner's means.
        alternative: another repair that is as good; empty where there is none worth the name.
        cheat: something that looks like a repair and must not count.
    """

    node: str
    service: str
    breaks: tuple[Break, ...]
    explanation: str
    repair: tuple[Typed, ...]
    alternative: tuple[Typed, ...] = ()
    cheat: tuple[Typed, ...] = ()
    variant: str = ""
    red: tuple[str, ...] = ()
    green: tuple[str, ...] = ()


Draw = Callable[[Scene, Random], Drawn]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault.

    Attributes:
        id: letters of its family and a number: KS-04, BA-01.
        title: what teams may see; no spoiler.
        level: 1 shows in a status list or the first log line, 2 is a step away, 3 is partial or two layers away.
        weight: how hard it is within its level; teams get equal ones.
        lasts: see `Lasts`.
        group: faults of one group never stand in a lab together.
        red: checks of which one turns red at least.
        green: checks that stay green.
        hints: where to look, what to look for, nearly the answer.
        draw: chooses node and parameters.
        stages: of labs that it is for.
        pool: whether it may be drawn; else it is had by its ID alone. What was never verified is not drawn either.
        variants: their names; see `Scene.choose`.
    """

    id: str
    title: str
    level: int
    lasts: Lasts
    group: str
    red: tuple[str, ...]
    green: tuple[str, ...]
    hints: tuple[str, ...]
    draw: Draw
    weight: float = 1.0
    stages: tuple[str, ...] = ("bare",)
    pool: bool = True
    variants: tuple[str, ...] = ("",)

    @property
    def name(self) -> str:
        """Its ID: what the registry calls it."""
        return self.id


FAULTS: Registry[Fault] = Registry("labctl.sabotage", "fault")


def fault(
    id: str,  # noqa: A002 - the field's word
    title: str,
    *,
    level: int,
    lasts: Lasts,
    group: str,
    red: tuple[str, ...],
    green: tuple[str, ...],
    hints: tuple[str, ...],
    weight: float = 1.0,
    stages: tuple[str, ...] = ("bare",),
    pool: bool = True,
    variants: Iterable[str] = ("",),
) -> Callable[[Draw], Draw]:
    """Register the function that draws a fault's node and parameters."""

    def register(draw: Draw) -> Draw:
        FAULTS.add(
            Fault(
                id=id,
                title=title,
                level=level,
                lasts=lasts,
                group=group,
                red=red,
                green=green,
                hints=hints,
                draw=draw,
                weight=weight,
                stages=stages,
                pool=pool,
                variants=tuple(variants),
            )
        )
        return draw

    return register
