"""Makes labs stand: networks, nodes, boot, readiness; from any state that an interrupted run left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from labctl.cloud.cloud import Cloud
from labctl.errors import CapacityError, DeadlineError, HypervisorError, LabctlError
from labctl.hypervisor import State
from labctl.images.golden import GoldenManifest, GoldenMemory
from labctl.lab import (
    decisions,
    hold,
    install,
    networks,
    nodes,
    probe,
    ready,
    records,
    secrets,
    trouble,
    warm,
)
from labctl.lab.decisions import Choice
from labctl.lab.nodes import Ledger
from labctl.lab.probe import Probe
from labctl.lab.records import Lab
from labctl.lab.sources import SourcedLab
from labctl.plan.lab import INSTALLED
from labctl.plan.model import LabPlan, NetworkPlan, NodePlan
from labctl.render.seed import SeedKeys
from labctl.site.progress import Phase, Progress
from labctl.site.site import Site
from labctl.site.together import Phases
from labctl.spec.topology import Topology
from labctl.state import Home


@dataclass(frozen=True, kw_only=True)
class Created:
    """What `create` did to one lab.

    Attributes:
        made: names of networks and nodes that were missing.
        networks: networks that were off.
        plugged: nodes that ran on while a network of theirs was off, and are plugged into it again.
        started: nodes that were off.
        resumed: nodes that an earlier run had started and not let go.
        off: nodes of a lab that stood once and were powered off or paused since; they are left so.
        installed: steps of the cloud's installation that changed something.
    """

    team: str
    made: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    plugged: tuple[str, ...] = ()
    started: tuple[str, ...] = ()
    resumed: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    installed: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return any((self.made, self.networks, self.plugged, self.started, self.resumed, self.installed))


def create(
    home: Home,
    site: Site,
    teams: Sequence[str],
    topology: Topology | None,
    *,
    choice: Choice = Choice(),  # noqa: B008 - frozen
    overcommit: bool,
    cold: bool = False,
    jobs: int,
    wait: bool,
    progress: Progress,
    cancelled: threading.Event,
) -> list[Created]:
    """Create the teams' labs, or complete them, side by side.

    Args:
        topology: what to build; None completes labs that were begun.
        choice: what new labs start from.
        cold: boot what is missing this time, whatever memory there is.
        jobs: how many libvirt calls run at a time.
        wait: whether to wait until every node is ready.
        cancelled: ends all waiting when set.

    Raises:
        LabctlError: see `decisions.decide`; or a node could not be made or did not get ready.
    """
    with records.locked(home, teams), ExitStack() as held:
        for team in teams:
            hold.release(home, site, team, jobs=jobs, progress=progress, cancelled=cancelled)
        site = site.again()  # what was listed before we held the locks may be old
        labs = decisions.decide(
            home, site, teams, topology, choice=choice, overcommit=overcommit, held=held, say=progress.say
        )
        sites = [_Construction(home, site, lab, progress, {} if cold else lab.memory) for lab in labs]
        named = " ".join(teams)
        remedy = f"labctl create {named} continues where this stopped; labctl destroy {named} removes everything."
        phases = Phases(cancelled=cancelled, brief="not everything could be made", remedy=remedy)
        phases.run((piece for lab in sites for piece in lab.pieces()), jobs=jobs)
        phases.run((piece for lab in sites for piece in lab.releases(cancelled)), jobs=jobs)
        last = [piece for lab in sites for piece in lab.last(cancelled, wait=wait)]
        phases.run(last, jobs=len(last))
        phases.run((lab.restored for lab in sites), jobs=jobs)
        if wait:
            phases.run((piece for lab in sites for piece in lab.installs(jobs, cancelled)), jobs=len(sites))
        phases.check()
        return [lab.created() for lab in sites]


class _Construction:
    """One lab while it is built."""

    def __init__(
        self,
        home: Home,
        site: Site,
        lab: SourcedLab,
        progress: Progress,
        memory: Mapping[str, GoldenMemory],
    ) -> None:
        folder = home.lab(lab.plan.team)
        self._lab = lab
        self._memory = memory
        self._copied = lab.snapshot
        self._restored: set[str] = set()
        self._cloud: Cloud | None = None
        self._probes: list[Probe] = []
        self._forgotten: set[str] = set()
        self.plan: LabPlan = lab.plan
        self.ledger = Ledger(folder, lab.record)
        self._home = home
        self._site = site
        self._images = lab.images
        self._progress = progress
        self._folder = folder
        self._keys = secrets.ensure(folder, lab.plan)
        self._stands = {network.key: threading.Event() for network in lab.plan.networks}
        self._made: list[str] = []
        self._networks: list[str] = []
        self._plugged: set[str] = set()
        self._started: list[str] = []
        self._resumed: list[str] = []
        self._paused: list[NodePlan] = []
        self._off: list[str] = []
        self._failed: set[str] = set()  # nodes with which there is no going on in this run
        self._installed: list[str] = []
        self._missing = {node.name for node in lab.plan.nodes if nodes.missing(site, lab.record, node)}
        self._new = [node for node in lab.plan.nodes if node.name in self._missing or not self._stood(node)]

    def pieces(self) -> list[Callable[[], None]]:
        """Return the work that makes what is missing: networks first, for nodes start only when theirs stand."""
        missing = [node for node in self.plan.nodes if node.name in self._missing]
        self.ledger.begin(missing, restored=self._memory)
        nets = [partial(self._network, network) for network in self.plan.networks]
        return [*nets, *(partial(self._try, self._node, node, self._keys[node.name]) for node in self.plan.nodes)]

    def releases(self, cancelled: threading.Event) -> list[Callable[[], None]]:
        """Return the work that lets paused nodes go.

        All nodes are started paused, then released together: starting a machine takes the hypervisor much longer
        while earlier ones already boot, and the lab as a whole stands sooner.
        """
        golden = self._running_cloud()
        if golden is not None and self._new and self._copied is None:
            known = install.ensure_secrets(self._home, self._site, self._lab)
            self._cloud = Cloud.of(self.plan, known, slow=self._site.virt == "qemu", nested=golden.nested)
            self._probes = probe.probes(self._cloud)
        return [partial(self._try, self._release, node, cancelled) for node in self._paused]

    def last(self, cancelled: threading.Event, *, wait: bool) -> list[Callable[[], None]]:
        """Return the work that makes restored nodes this lab's, and waits for those that were never seen ready."""
        nodes = self._new if wait else [node for node in self._new if node.name in self._restored]
        return [
            partial(self._try, self._last, node, cancelled, wait=wait)
            for node in nodes
            if node.name not in self._failed
        ]

    def restored(self) -> None:
        """Write down that a lab is back at its snapshot, with what the installer had done by then."""
        if self._copied is not None and not self._failed:
            generations = self.ledger.record.generations
            self._folder.write(install.JOURNAL, install.journal_of(self._copied, generations))
            self.ledger.change(restoring="")

    def installs(self, jobs: int, cancelled: threading.Event) -> list[Callable[[], None]]:
        """Return the work that brings the cloud up, where that is the lab's stage and anything may be missing."""
        record = self.ledger.record
        if self._failed:
            return []
        if self._copied or record.stage != INSTALLED or record.bare or (record.installed and not self._new):
            return []
        if self._new and (golden := self._running_cloud()) is not None:
            return [partial(self._proven, golden)]
        return [partial(self._install, jobs, cancelled)]

    def created(self) -> Created:
        """Return what was done."""
        return Created(
            team=self.plan.team,
            made=tuple(sorted(self._made)),
            networks=tuple(sorted(self._networks)),
            plugged=tuple(sorted(self._plugged)),
            started=tuple(sorted(self._started)),
            resumed=tuple(sorted(self._resumed)),
            off=tuple(sorted(self._off)),
            installed=tuple(self._installed),
        )

    def _network(self, network: NetworkPlan) -> None:
        try:
            if networks.make(self._site, self.plan, network):
                known = network.name in self._site.networks
                (self._networks if known else self._made).append(network.name)
        finally:
            self._stands[network.key].set()
        self._plugged.update(networks.plug(self._site, self.plan, network))

    def _try(self, work: Callable[..., None], node: NodePlan, *arguments: object, **options: object) -> None:
        """Do a part of a node's way; where it fails, the node's further parts are left out."""
        try:
            work(node, *arguments, **options)
        except LabctlError:
            self._failed.add(node.name)
            raise

    def _node(self, node: NodePlan, keys: SeedKeys) -> None:
        found = self._site.domains.get(node.domain)
        missing = node.name in self._missing
        state = found.state if found and not missing else State.SHUTOFF
        if not missing and self._stood(node):
            if state is State.PAUSED or not state.active:
                self._off.append(node.name)
            return
        if missing:
            if found is not None:
                nodes.remove_node(self._site, self.ledger, node)
            copies = self._copied.copies(node) if self._copied else {}
            nodes.make_node(self._site, self.ledger, self.plan, node, images=self._images, keys=keys, copies=copies)
            self._made.append(node.domain)
        self._progress.node(self.plan.team, node.name, Phase.DEFINED)
        if not state.active:
            self._power_on(node, fresh=missing)
            self._started.append(node.name)
        elif state is State.PAUSED:
            self._resumed.append(node.name)
        if state is State.PAUSED or not state.active:
            self._paused.append(node)

    def _power_on(self, node: NodePlan, *, fresh: bool) -> None:
        """Start a node that is off, its processors stopped; from memory, where it has any and its disks are fresh."""
        if not fresh:
            trouble.refuse_lost(self._site, self.plan, [node])
        for nic in node.nics:
            self._stands[nic.network].wait()
        # Memory belongs to the disks of its moment: none goes onto disks that a node has written to since.
        if not (fresh and self._restore(node)):
            self._start(node, paused=True)

    def _start(self, node: NodePlan, *, paused: bool) -> None:
        self.ledger.boots(node)
        self._site.hypervisor.start_domain(node.uuid, paused=paused)

    def _restore(self, node: NodePlan) -> bool:
        """Restore a node's memory; return whether it has any and it could be."""
        memory = self._memory.get(node.name)
        if memory is None:
            return False
        own = nodes.document(self._site, self.plan, node, images=self._images)
        try:
            warm.restore(self._home, self._site, self.ledger, node, memory, own)
        except (CapacityError, HypervisorError) as exc:
            self._progress.say(f"{node.domain} boots instead: {exc.brief}: {exc.details}")
            self._site.hypervisor.power_off(node.uuid)
            return False
        self._restored.add(node.name)
        return True

    def _last(self, node: NodePlan, cancelled: threading.Event, *, wait: bool) -> None:
        """Make a restored node this lab's; wait until it is ready, and all that its roles do in a restored cloud."""
        if node.name in self._restored:
            self._identify(node, cancelled)
        if not wait:
            return
        ready.wait(
            self._site,
            self._folder,
            self.ledger,
            self.plan,
            node,
            self._progress,
            cancelled,
            seeded=node.name in self._restored,
        )
        if self._probes and not self._failed:  # the cloud cannot work as long as a node is missing
            self._progress.node(self.plan.team, node.name, Phase.PROVING)
            about = node.name if node.name in self._forgotten else None
            asked = [each for each in self._probes if each.node == node.name or each.about == about]
            probe.ask(self._site, self.plan, asked, cancelled)

    def _identify(self, node: NodePlan, cancelled: threading.Event) -> None:
        """Make a restored guest this lab's; one that does not come to itself is restored once more, then booted."""
        for last in (False, True):
            try:
                alone = last or not self._whole
                warm.identify(self._site, node, self._keys[node.name], cancelled, alone=alone)
                return self.ledger.identified(node)
            except DeadlineError as exc:
                self._progress.say(f"{node.domain} is {'booted' if last else 'restored once more'}: {exc.brief}")
            nodes.remove_node(self._site, self.ledger, node)
            copies = self._copied.copies(node) if self._copied else {}
            keys = self._keys[node.name]
            nodes.make_node(self._site, self.ledger, self.plan, node, images=self._images, keys=keys, copies=copies)
            if last or not self._restore(node):
                self._restored.discard(node.name)
                self._start(node, paused=False)
                return None
            self._release(node, cancelled)
        return None

    def _proven(self, golden: GoldenManifest) -> None:
        """Write down that the cloud, whose nodes were all restored and asked, is up."""
        self.ledger.change(installed=True, nested=dict(golden.nested))
        for node in self._new:
            self._progress.node(self.plan.team, node.name, Phase.INSTALLED)

    def _running_cloud(self) -> GoldenManifest | None:
        """Return the golden set whose running cloud this lab has; None where the installer is to bring it up."""
        golden = self._lab.golden
        whole = golden is not None and golden.stage == self.ledger.record.stage == INSTALLED
        restored = all(self.ledger.record.restored.get(node.name) == node.generation for node in self._new)
        return golden if whole and restored and not self.ledger.record.bare else None

    def _install(self, jobs: int, cancelled: threading.Event) -> None:
        lab = Lab(plan=self.plan, record=self.ledger.record)
        site = self._site.again()
        golden = self._lab.golden
        # The disks of a captured cloud know of all its nodes; those that were baked do not until it has run.
        missing = {node.name for node in self._new}
        on = missing if self.ledger.record.installed and golden is not None and golden.memory else None
        outcome = install.proceed(self._home, site, lab, on=on, jobs=jobs, progress=self._progress, cancelled=cancelled)
        self._installed += outcome.changed

    def _stood(self, node: NodePlan) -> bool:
        """Whether this generation of the node was seen ready once; what became of it since is its users' affair."""
        return self.ledger.record.ready.get(node.name) == node.generation

    @property
    def _whole(self) -> bool:
        """Whether all nodes go on from memory of one moment."""
        return len(self._restored) == len(self.plan.nodes)

    def _release(self, node: NodePlan, cancelled: threading.Event) -> None:
        if self._cloud is not None and node.name in self._restored and not self._whole:
            self._forget_reports(self._cloud, node, cancelled)
        self._site.hypervisor.resume_domain(node.uuid)
        self._progress.node(self.plan.team, node.name, Phase.BOOTING)

    def _forget_reports(self, cloud: Cloud, node: NodePlan, cancelled: threading.Event) -> None:
        database = self.plan.node(cloud.node("mariadb"))
        reports = any((each.node, each.about) == (database.name, node.name) for each in self._probes)
        if not reports or database.name in self._restored:
            return  # what a restored database knows of the node is as old as the node
        if why := warm.forget_reports(self._site, database, cloud, node.name, cancelled):
            self._progress.say(
                f"{node.domain}: its services cannot be marked as down, so their reports are not awaited: {why}"
            )
        else:
            self._forgotten.add(node.name)
