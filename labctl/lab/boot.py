"""Makes the missing objects of a lab that is being built, and starts its nodes with stopped processors."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from labctl.hypervisor import State
from labctl.lab import trouble
from labctl.lab.construction import Construction
from labctl.plan.model import NetworkPlan, NodePlan
from labctl.site import networks
from labctl.site.progress import Phase


class Boot:
    """The objects of one lab.

    Args:
        restore: restores a node's memory, paused; returns whether it has any and it could be.

    Attributes:
        paused: the nodes that wait to be let go.
        woken: the nodes of a lab that waited, and that a team has taken.
        made, networks, plugged, started, resumed, off: names; see `Created`.
    """

    def __init__(self, construction: Construction, restore: Callable[[NodePlan], bool]) -> None:
        self._lab, self._restore = construction, restore
        self._running = {network.key: threading.Event() for network in construction.plan.networks}
        self.paused: list[NodePlan] = []
        self.woken: list[NodePlan] = []
        self.made: list[str] = []
        self.networks: list[str] = []
        self.plugged: set[str] = set()
        self.started: list[str] = []
        self.resumed: list[str] = []
        self.off: list[str] = []

    def pieces(self) -> list[Callable[[], None]]:
        """Return the work that makes what is missing: networks first, for nodes start only when theirs run."""
        lab = self._lab
        lab.ledger.begin([node for node in lab.plan.nodes if node.name in lab.missing], restored=lab.memory)
        nets = [partial(self._network, network) for network in lab.plan.networks]
        return [*nets, *(partial(lab.attempt, self._node, node) for node in lab.plan.nodes)]

    def _network(self, network: NetworkPlan) -> None:
        site, plan = self._lab.site, self._lab.plan
        try:
            if networks.make(site, plan, network):
                known = network.name in site.networks
                (self.networks if known else self.made).append(network.name)
        finally:
            self._running[network.key].set()
        self.plugged.update(networks.plug(site, plan, network))

    def _node(self, node: NodePlan) -> None:
        lab = self._lab
        found = lab.site.domains.get(node.domain)
        missing = node.name in lab.missing
        state = found.state if found and not missing else State.SHUTOFF
        if not missing and lab.was_ready(node):
            if lab.taken and state.active:
                self.woken.append(node)
                if state is State.PAUSED:
                    self.paused.append(node)
                    self.resumed.append(node.name)
            elif state is State.PAUSED or not state.active:
                self.off.append(node.name)
            return
        if missing:
            if found is not None:
                lab.remove(node)
            lab.tell(node, Phase.DISKS)
            lab.make(node)
            self.made.append(node.domain)
        if not state.active:
            self._power_on(node, fresh=missing)
            self.started.append(node.name)
        elif state is State.PAUSED:
            self.resumed.append(node.name)
        if state is State.PAUSED or not state.active:
            lab.tell(node, Phase.WAITING)
            self.paused.append(node)

    def _power_on(self, node: NodePlan, *, fresh: bool) -> None:
        """Start a node with stopped processors: from memory if it has any and its disks are fresh, else by booting."""
        lab = self._lab
        if not fresh:
            trouble.refuse_lost(lab.site, lab.plan, [node])
        lab.tell(node, Phase.NETWORKS)
        for nic in node.nics:
            self._running[nic.network].wait()
        # Memory belongs to the disks of its moment: none goes onto disks that a node has written to since.
        if not (fresh and self._restore(node)):
            lab.tell(node, Phase.STARTING)
            lab.start(node, paused=True)
