"""What a role is: it declares what it needs, and yields steps of actions for one node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from labctl.changes import Action
from labctl.registry import Registry
from labctl.roles.cloud import Cloud


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


@dataclass(frozen=True, kw_only=True)
class Role:
    """One kind of duty.

    Attributes:
        needs: roles whose steps, on all their nodes, come before this one's. Those that the cloud has not are not
            waited for.
        everywhere: whether every node has it without being told.
        steps: yields the steps for one node that has the role.
        loses: what a reset of its node takes away while other nodes still speak of it; empty for nothing.
        clean: a shell line for that node which then makes the others forget it; empty where nothing can.
        nests: whether it runs virtual machines of its own.
        instructions: what its programs need of an emulated processor, as QEMU names it, beyond what every node has.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    steps: Steps
    everywhere: bool = False
    loses: str = ""
    clean: str = ""
    nests: bool = False
    instructions: tuple[str, ...] = ()


ROLES: Registry[Role] = Registry("labctl.roles", "role")


def role(
    name: str,
    title: str,
    *,
    needs: tuple[str, ...] = (),
    everywhere: bool = False,
    loses: str = "",
    clean: str = "",
    nests: bool = False,
    instructions: tuple[str, ...] = (),
) -> Callable[[Steps], Steps]:
    """Register the function that yields the steps of a role."""

    def register(steps: Steps) -> Steps:
        ROLES.add(
            Role(
                name=name,
                title=title,
                needs=needs,
                steps=steps,
                everywhere=everywhere,
                loses=loses,
                clean=clean,
                nests=nests,
                instructions=instructions,
            )
        )
        return steps

    return register
