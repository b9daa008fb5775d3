"""Brings up the cloud of a lab that is built: a cloud that goes on from memory is asked, another one is installed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from labctl.cloud.cloud import Cloud
from labctl.errors import DeadlineError, HypervisorError, RemoteError
from labctl.installing import probe
from labctl.installing.probe import Probe
from labctl.lab import install
from labctl.lab.construction import Construction
from labctl.plan.lab import BARE, INSTALLED
from labctl.plan.model import NodePlan
from labctl.roles import shared
from labctl.roles.role import ROLES
from labctl.sets.manifest import GoldenManifest
from labctl.site.progress import Phase
from labctl.site.site import Site
from labctl.state.records import Lab


class Proving:
    """The cloud of one lab.

    Attributes:
        installed: steps of its installation that changed something.
    """

    def __init__(self, construction: Construction) -> None:
        self._lab = construction
        self._cloud: Cloud | None = None
        self._probes: list[Probe] = []
        self._forgotten: set[str] = set()  # nodes whose services are down for the others until they report
        self._listeners: dict[str, list[Probe]] = {}  # what the message queue is asked of nodes that go on alone
        self.installed: list[str] = []

    def prepare(self) -> None:
        """Find out what its nodes are to be asked, where the cloud goes on from memory."""
        lab = self._lab
        golden = self._running_cloud()
        if golden is not None and (lab.new or lab.taken) and lab.sourced.snapshot is None:
            known = install.ensure_secrets(lab.work.home, lab.site, lab.sourced)
            self._cloud = Cloud.of(lab.plan, known, slow=lab.site.virt == "qemu", nested=golden.nested)
            self._probes = probe.probes(self._cloud, until=golden.chapter or None)

    def before_release(self, node: NodePlan) -> None:
        """Have the cloud take the services of a node that goes on alone for down, until they listen or report."""
        lab = self._lab
        if self._cloud is None or node.name not in lab.restored or lab.whole:
            return
        listening = self._drop_connections(node)
        database = lab.plan.node(self._cloud.node("mariadb"))
        reports = any((each.node, each.about) == (database.name, node.name) for each in self._probes)
        if not reports or database.name in lab.restored:
            return  # what a restored database knows of the node is as old as the node
        line = shared.forget_reports(self._cloud, node.name, besides=listening)
        if why := told(lab.site, database, line, lab.work.cancelled):
            lab.work.progress.say(
                f"{node.domain}: its services cannot be marked as down, so their reports are not awaited: {why}"
            )
        else:
            self._forgotten.add(node.name)

    def _drop_connections(self, node: NodePlan) -> list[str]:
        """Have the message queue end a node's old connections; return the programs that it can be asked for then."""
        lab, cloud = self._lab, self._cloud
        assert cloud is not None
        if not node.roles or not cloud.nodes("rabbitmq"):
            return []
        queue = lab.plan.node(cloud.node("rabbitmq"))
        if queue.name in lab.restored:
            return []
        if why := told(lab.site, queue, shared.drop_connections(cloud, node.name), lab.work.cancelled):
            lab.work.progress.say(f"{node.domain}: the message queue does not end its old connections: {why}")
            return []
        self._listeners[node.name] = probe.listeners(cloud, node.name)
        return [program for role in node.roles for program in ROLES[role].listens]

    def ask(self, node: NodePlan) -> None:
        """Wait until all that a node's roles do holds, in a cloud that goes on from memory."""
        lab = self._lab
        if self._probes and not lab.failed:  # the cloud cannot work as long as a node is missing
            lab.tell(node, Phase.PROVING)
            about = node.name if node.name in self._forgotten else None
            asked = [each for each in self._probes if each.node == node.name or each.about == about]
            asked += self._listeners.get(node.name, [])
            probe.ask(lab.site, lab.plan, asked, lab.work.cancelled)

    def pieces(self) -> list[Callable[[], None]]:
        """Return the work that brings the cloud up, where that is the lab's stage and anything may be missing."""
        lab = self._lab
        record = lab.ledger.record
        if lab.failed:
            return []
        promised = record.stage == INSTALLED or record.chapter
        if lab.sourced.snapshot or not promised or record.bare or (record.stands and not lab.new):
            return []
        if lab.new and (golden := self._running_cloud()) is not None:
            return [partial(self._proven, golden)]
        return [self._install]

    def _proven(self, golden: GoldenManifest) -> None:
        """Write down that the cloud, whose nodes were all restored and asked, is up."""
        installed = golden.stage == INSTALLED
        self._lab.ledger.change(installed=installed, reached=golden.chapter, nested=dict(golden.nested))
        for node in self._lab.new:
            self._lab.tell(node, Phase.INSTALLED)

    def _running_cloud(self) -> GoldenManifest | None:
        """Return the golden set whose running cloud this lab has; None where the installer is to bring it up."""
        golden, record = self._lab.sourced.golden, self._lab.ledger.record
        whole = golden is not None and golden.stage_name == record.stage_name != BARE
        restored = all(record.restored.get(node.name) == node.generation for node in self._lab.new)
        return golden if whole and restored and not record.bare else None

    def _install(self) -> None:
        lab = self._lab
        record, golden = lab.ledger.record, lab.sourced.golden
        # The disks of a captured cloud know of all its nodes; those that were baked do not until it has run.
        missing = {node.name for node in lab.new}
        same = golden is not None and golden.stage_name == record.stage_name
        on = missing if record.stands and golden is not None and golden.memory and same else None
        until = record.chapter or None
        outcome = install.proceed(lab.work.again(), Lab(plan=lab.plan, record=record), until=until, on=on)
        self.installed += outcome.changed


def told(site: Site, node: NodePlan, line: str, cancelled: threading.Event) -> str:
    """Run a shell line on a node of a cloud in which another node is about to go on alone.

    Returns:
        Why it could not be done: a ruined cloud is no reason to keep a node back. Empty when it was done.
    """
    try:
        said = site.hypervisor.run_inside(node.uuid, line, timeout=site.pace.reports, cancelled=cancelled)
    except (DeadlineError, HypervisorError, RemoteError) as exc:
        if cancelled.is_set():
            raise
        return exc.brief
    return f"{node.domain}: {said.stderr.strip()}" if said.exit_code else ""
