"""Gives programs a way into a lab's networks: a dialer that is made from the lab's plan and where its bridges are."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from functools import partial

from netaddr import IPAddress

from labctl.errors import InputError, LockedError
from labctl.host.plugged import Plug, Plugged
from labctl.lab import secrets, status
from labctl.plan.model import LabPlan, NetworkPlan, NodePlan
from labctl.remote.dial import Namespace
from labctl.remote.inside import Closed, LabDialer, Neighbour, ThroughNodes, Way
from labctl.remote.ssh import SshTransport
from labctl.site.site import Site
from labctl.state import Home

_PLACES = 100
"""How many shells and dialers may stand in a lab at a time."""


@contextlib.contextmanager
def opened(home: Home, site: Site, lab: LabPlan) -> Iterator[LabDialer]:
    """Give the dialer of a lab. Nothing is opened before it is needed; all of it is closed at the end.

    Where the lab's bridges are on this machine and we are root, sockets stand in them; else they go through a node.
    Nodes that have no address in an isolated network are reached by the management network.
    """
    home.lab(lab.team).let_in()
    isolated = _isolated(lab)
    on = running(site, isolated)
    with contextlib.ExitStack() as stack:
        ways: list[tuple[NetworkPlan, Way]] = [
            (network, Closed(f"network {network.name} does not run", f"labctl start {lab.team}"))
            for network in isolated
            if network not in on
        ]
        if isinstance(site.dialer, Namespace) and os.geteuid() == 0:
            neighbour = stack.enter_context(contextlib.closing(Neighbour(partial(_plug, stack, home, site, lab, on))))
            ways += [(network, neighbour) for network in on]
        else:
            # A login costs an emulated node five seconds: a node that stands in all the networks serves for all.
            for group in [on] if _log_ins(home, site, lab, on) else [[network] for network in on]:
                through = stack.enter_context(contextlib.closing(ThroughNodes(_log_ins(home, site, lab, group))))
                ways += [(network, through) for network in group]
        ways += [(network, site.dialer) for network in lab.networks if network.nat]
        yield LabDialer(
            f"the lab of {lab.team}",
            names=names(lab),
            ways=[(network.subnet, way) for network, way in ways if network.subnet is not None],
        )


def names(lab: LabPlan) -> dict[str, str]:
    """Return the names that a lab's nodes know, and their addresses; a node without such a name has its own."""
    known = {node.name: str(node.mgmt) for node in lab.nodes if node.mgmt is not None}
    return known | {name: str(entry.address) for entry in lab.hosts for name in entry.names}


def running(site: Site, networks: Sequence[NetworkPlan]) -> list[NetworkPlan]:
    """Return those of a lab's networks that run."""
    active = {network.uuid for network in site.networks.values() if network.active}
    return [network for network in networks if network.uuid in active]


@contextlib.contextmanager
def plugs(home: Home, site: Site, lab: LabPlan) -> Iterator[list[Plug]]:
    """Reserve an address in each of the lab's isolated networks that no node, shell or dialer has.

    Raises:
        InputError: a network of the lab does not run.
        LockedError: a hundred shells and dialers stand in the lab already.
    """
    isolated = _isolated(lab)
    on = running(site, isolated)
    if off := [network.name for network in isolated if network not in on]:
        raise InputError(f"{', '.join(off)} do not run", remedy=f"labctl start {lab.team}")
    with _place(home, lab.team) as place:
        yield [_card(lab, network, place) for network in isolated]


def _plug(stack: contextlib.ExitStack, home: Home, site: Site, lab: LabPlan, on: Sequence[NetworkPlan]) -> Plugged:
    """Plug into the networks that run, until the stack is closed."""
    assert isinstance(site.dialer, Namespace)
    place = stack.enter_context(_place(home, lab.team))
    return Plugged(site.dialer.namespace, [_card(lab, network, place) for network in on])


def _log_ins(home: Home, site: Site, lab: LabPlan, networks: Sequence[NetworkPlan]) -> dict[str, partial[SshTransport]]:
    """Return what logs in to each running node that stands in all of some networks."""
    folder, wanted = home.lab(lab.team), {network.key for network in networks}

    def log_in(node: NodePlan, deadline: float) -> SshTransport:
        return site.log_in(
            site.dialer,
            str(node.mgmt),
            name=node.name,
            key=secrets.login_key(folder),
            host_key=secrets.host_key(folder, node.name),
            deadline=deadline,
        )

    return {
        node.name: partial(log_in, node)
        for node in lab.nodes
        if wanted <= {nic.network for nic in node.nics if nic.address is not None}
        and status.state_of(site, lab, node) == "running"
    }


@contextlib.contextmanager
def _place(home: Home, team: str) -> Iterator[int]:
    """Hold the lowest number that nobody else in the lab holds."""
    with contextlib.ExitStack() as stack:
        for number in range(_PLACES):
            try:
                stack.enter_context(home.lock("shell", f"{team}.{number}"))
            except LockedError:
                if number == _PLACES - 1:
                    raise
            else:
                yield number
                return


def _card(lab: LabPlan, network: NetworkPlan, place: int) -> Plug:
    """Return the network card of the place with that number: the highest addresses that nobody in the lab has."""
    assert network.subnet is not None
    taken = {nic.address for node in lab.nodes for nic in node.nics}
    floating = lab.openstack.floating if lab.openstack else ()
    highest = (IPAddress(number) for number in range(network.subnet.last - 1, network.subnet.first, -1))
    free = (address for address in highest if address not in taken and address not in floating)
    address = next(itertools.islice(free, place, None), None)
    if address is None:
        raise LockedError(f"no address of {network.name} is free", remedy="End a labctl enter that uses one.")
    return Plug(name=network.key, bridge=network.bridge, address=str(address), prefix=network.subnet.prefixlen)


def _isolated(lab: LabPlan) -> list[NetworkPlan]:
    return [network for network in lab.networks if not network.nat and network.subnet is not None]
