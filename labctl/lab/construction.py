"""What all parts of building a lab share: which nodes are to be made, and their state."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from labctl.errors import LabctlError
from labctl.lab import nodes, secrets
from labctl.plan.model import LabPlan, NodePlan
from labctl.sets.manifest import GoldenMemory
from labctl.sets.sources import SourcedLab
from labctl.site.progress import Phase
from labctl.site.work import Work
from labctl.state.ledger import Ledger


class Construction:
    """One lab while it is built.

    Args:
        memory: what nodes are restored from, by node; the others boot.

    Attributes:
        missing: names of the nodes that are to be made.
        new: the nodes that nobody has seen ready, in the topology's order.
        restored: names of the nodes that this run restored from memory.
        failed: names of the nodes with which there is no going on in this run.
    """

    def __init__(self, work: Work, lab: SourcedLab, memory: Mapping[str, GoldenMemory]) -> None:
        self.work, self.sourced, self.memory = work, lab, memory
        self.site = work.site
        self.plan: LabPlan = lab.plan
        self.folder = work.home.lab(lab.plan.team)
        self.ledger = Ledger(self.folder, lab.record)
        self.keys = secrets.ensure(self.folder, lab.plan, ready=lab.record.ready)
        self.missing = {node.name for node in lab.plan.nodes if nodes.missing(self.site, lab.record, node)}
        self.new = [node for node in lab.plan.nodes if node.name in self.missing or not self.was_ready(node)]
        self.restored: set[str] = set()
        self.failed: set[str] = set()

    @property
    def whole(self) -> bool:
        """Whether all nodes were restored from the memory of one moment."""
        return len(self.restored) == len(self.plan.nodes)

    @property
    def taken(self) -> bool:
        """Whether the lab waited for a team, has one now, and is to go on for it."""
        return self.ledger.record.standby and not self.ledger.record.waits

    def was_ready(self, node: NodePlan) -> bool:
        """Whether this generation of the node was ready once. What its users did to it since does not matter."""
        return self.ledger.record.ready.get(node.name) == node.generation

    def attempt(self, part: Callable[[NodePlan], None], node: NodePlan) -> None:
        """Do one part of building a node. If it fails, the node's further parts are left out."""
        try:
            part(node)
        except LabctlError:
            self.failed.add(node.name)
            raise

    def make(self, node: NodePlan) -> None:
        """Make a node's volumes and define its domain."""
        nodes.make_node(self.site, self.ledger, self.sourced, node, self.keys[node.name])

    def remove(self, node: NodePlan) -> None:
        """Remove what stands of a node."""
        nodes.remove_node(self.site, self.ledger, node)

    def start(self, node: NodePlan, *, paused: bool) -> None:
        """Boot a node."""
        self.ledger.boots(node)
        self.site.hypervisor.start_domain(node.uuid, paused=paused)

    def tell(self, node: NodePlan, phase: Phase) -> None:
        """Tell how far a node is."""
        self.work.progress.node(self.plan.team, node.name, phase)
