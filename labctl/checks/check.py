"""What a check is: what it needs, what it exercises, and a function that yields its steps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netaddr import IPAddress

from labctl.checks.limits import Limits
from labctl.checks.model import Step
from labctl.guest import Guest
from labctl.plan.model import LabPlan, NodePlan
from labctl.registry import Registry

if TYPE_CHECKING:  # openstacksdk takes a second to import, and checks of nodes do without
    from labctl.checks.cloud import Cloud
    from labctl.cloud.connect import Login
    from labctl.cloud.http import Dialer

BOTH = ("bare", "installed")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a node said to a check's question.

    Attributes:
        text: its output and complaints.
        seconds: that the question took in the node.
        at: when the question was begun in the node, seconds since 1970 by this machine's clock; not before that.
    """

    text: str
    seconds: float
    at: float


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The lab that is checked.

    Attributes:
        virt: kvm or qemu.
        guest: returns a node as a guest; raises RemoteError or DeadlineError where nobody can log in.
        strangers: addresses of other labs on the host, which must not answer.
        cancelled: ends the run when set.
        dialer: a way to every name and port in the lab's networks.
        login: returns how a user logs in to the lab's cloud: admin or demo.
        limits: how long checks may take.
        units: node to the units of its roles.
        run: the run's ID; names of what checks make bear it.
        cloud: connections to the lab's cloud, and what checks made in it; None where the lab has none.
        logins: node to why nobody can log in; nothing for the others.
        answers: node and check to what the node said; those who cannot be asked are missing.
    """

    lab: LabPlan
    virt: str
    guest: Callable[[str], Guest]
    strangers: tuple[IPAddress, ...] = ()
    cancelled: threading.Event = field(default_factory=threading.Event)
    dialer: Dialer | None = None
    login: Callable[[str], Login] | None = None
    limits: Limits = field(default_factory=lambda: Limits(virt="kvm"))
    units: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    run: str = ""
    cloud: Cloud | None = None
    logins: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[tuple[str, str], Answer] = field(default_factory=dict)

    def said(self, check: str) -> Iterator[tuple[NodePlan, Answer]]:
        """Yield the nodes that answered a check's question, and their answers."""
        for node in self.lab.nodes:
            if (node.name, check) in self.answers:
                yield node, self.answers[node.name, check]

    def scaled(self, seconds: float, emulated: float) -> float:
        """Choose a limit: that of KVM, or that of emulated nodes."""
        return emulated if self.virt == "qemu" else seconds


Steps = Callable[[Subject], Iterator[Step]]
Question = Callable[[Subject, NodePlan], str]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        id: B for bare nodes, C for clouds, X for optional ones, and a number.
        needs: checks that must be green for this one to say anything.
        exercises: what is used by it, for people.
        steps: yields what was looked at.
        asks: returns the shell script whose answer from each node it judges; all checks' questions to a node go by one
            connection and one shell.
        stages: of labs that it is about.
        quick: whether it changes nothing.
        named: whether it runs only if somebody names it.
        limit: seconds that it may take, on KVM and emulated.
    """

    id: str
    title: str
    exercises: str
    steps: Steps
    needs: tuple[str, ...] = ()
    asks: Question | None = None
    stages: tuple[str, ...] = BOTH
    quick: bool = True
    named: bool = False
    limit: tuple[float, float] = (30.0, 120.0)

    @property
    def name(self) -> str:
        """Its ID: what the registry calls it."""
        return self.id

    @property
    def about(self) -> str:
        """What it does, in words."""
        return " ".join((self.steps.__doc__ or "").split())


CHECKS: Registry[Check] = Registry("labctl.checks", "check")


def check(
    id: str,  # noqa: A002 - the field's word
    title: str,
    *,
    exercises: str,
    needs: tuple[str, ...] = (),
    asks: Question | None = None,
    stages: tuple[str, ...] = BOTH,
    quick: bool = True,
    named: bool = False,
    limit: tuple[float, float] = (30.0, 120.0),
) -> Callable[[Steps], Steps]:
    """Register the function that yields the steps of a check; its docstring is what `labctl explain` prints."""

    def register(steps: Steps) -> Steps:
        CHECKS.add(
            Check(
                id=id,
                title=title,
                exercises=exercises,
                steps=steps,
                needs=needs,
                asks=asks,
                stages=stages,
                quick=quick,
                named=named,
                limit=limit,
            )
        )
        return steps

    return register


def named(name: str) -> list[Check]:
    """Return the check of an ID, or all its parts: C03 is C03:glance and the others.

    Raises:
        InputError: there is no check of that ID.
    """
    head, colon, part = name.partition(":")
    name = f"{head.upper()}{colon}{part}"
    parts = [each for each in CHECKS if each.id.partition(":")[0] == name]
    return parts or [CHECKS[name]]


def chosen(stage: str, ids: tuple[str, ...] = (), *, quick: bool = False) -> list[Check]:
    """Return the checks of a stage by ID: all of them, the quick ones, or those that are named.

    Raises:
        InputError: there is no check of that ID.
    """
    if ids:
        return list({each.id: each for name in sorted(set(ids)) for each in named(name)}.values())
    return [each for each in CHECKS if stage in each.stages and not each.named and (each.quick or not quick)]
