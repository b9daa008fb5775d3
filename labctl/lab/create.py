"""Creates labs: networks, nodes, boot, readiness. It continues from any state that an interrupted run left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from labctl.lab import decisions, ready
from labctl.lab.boot import Boot
from labctl.lab.construction import Construction
from labctl.lab.decisions import Choice, Starting
from labctl.lab.proving import Proving
from labctl.lab.restoring import Restoring
from labctl.plan.model import NodePlan
from labctl.sets import hold
from labctl.sets.sources import SourcedLab
from labctl.site.progress import Phase
from labctl.site.together import Phases
from labctl.site.work import Work


@dataclass(frozen=True, kw_only=True)
class Created:
    """What `create` did to one lab.

    Attributes:
        made: names of networks and nodes that were missing.
        networks: networks that were off.
        plugged: nodes that ran on while a network of theirs was off, and are plugged into it again.
        started: nodes that were off.
        resumed: nodes that stood still: an earlier run had started them and not let them go, or they waited for a team.
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
    work: Work,
    teams: Sequence[str],
    choice: Choice = Choice(),  # noqa: B008 - frozen
    how: Starting = Starting(),  # noqa: B008 - frozen
) -> list[Created]:
    """Create the teams' labs, or complete them, side by side.

    Args:
        choice: what new labs start from; the default completes labs that were begun.

    Raises:
        LabctlError: see `decisions.decide`; or a node could not be made or did not get ready.
    """
    with hold.locked(work, teams) as work, ExitStack() as held:
        labs = [
            _Building(work, lab, how)
            for lab in decisions.decide(work, teams, choice, overcommit=how.overcommit, held=held)
        ]
        for lab in labs:
            lab.restoring.remark()
        named = " ".join(teams)
        remedy = f"labctl create {named} continues where this stopped; labctl destroy {named} removes everything."
        phases = Phases(cancelled=work.cancelled, brief="not everything could be made", remedy=remedy)
        phases.run((piece for lab in labs for piece in lab.boot.pieces()), jobs=work.jobs)
        for lab in labs:
            lab.share()
        phases.run((piece for lab in labs for piece in lab.releases()), jobs=work.jobs)
        last = [piece for lab in labs for piece in lab.last()]
        phases.run(last, jobs=len(last))
        phases.run((lab.restoring.end for lab in labs), jobs=work.jobs)
        if how.wait:
            phases.run((piece for lab in labs for piece in lab.proving.pieces()), jobs=len(labs))
        phases.check()
        return [lab.created() for lab in labs]


class _Building:
    """The building of one lab: boot or restore, release, identify, prove."""

    def __init__(self, work: Work, lab: SourcedLab, how: Starting) -> None:
        self._lab = Construction(work, lab, {} if how.cold else lab.memory)
        self._wait = how.wait
        self.restoring = Restoring(self._lab)
        self.restoring.inherit()
        self.boot = Boot(self._lab, self.restoring.restore)
        self.proving = Proving(self._lab)

    def share(self) -> None:
        """Give the nodes that are to be let go the lab's share of the host."""
        if self.boot.paused:
            self._lab.site.share(self._lab.plan)

    def releases(self) -> list[Callable[[], None]]:
        """Return the work that lets paused nodes go.

        All nodes are started paused, then resumed together. Starting a domain takes much longer while others boot.
        """
        self.proving.prepare()
        return [partial(self._lab.attempt, self._release, node) for node in self.boot.paused]

    def last(self) -> list[Callable[[], None]]:
        """Return the work that makes restored nodes this lab's, and waits for those that were never seen ready."""
        lab = self._lab
        chosen = lab.new if self._wait else [node for node in lab.new if node.name in lab.restored]
        last = [partial(lab.attempt, self._last, node) for node in chosen if node.name not in lab.failed]
        return [*last, *(partial(lab.attempt, self._wake, node) for node in self.boot.woken)]

    def created(self) -> Created:
        """Return what was done."""
        return Created(
            team=self._lab.plan.team,
            made=tuple(sorted(self.boot.made)),
            networks=tuple(sorted(self.boot.networks)),
            plugged=tuple(sorted(self.boot.plugged)),
            started=tuple(sorted(self.boot.started)),
            resumed=tuple(sorted(self.boot.resumed)),
            off=tuple(sorted(self.boot.off)),
            installed=tuple(self.proving.installed),
        )

    def _release(self, node: NodePlan) -> None:
        self._lab.tell(node, Phase.RESUMING)
        self.proving.before_release(node)
        self._lab.site.hypervisor.resume_domain(node.uuid)
        if node.name not in self._lab.restored and node not in self.boot.woken:
            self._lab.tell(node, Phase.BOOTING)

    def _wake(self, node: NodePlan) -> None:
        """See that a node which stood still until a team took its lab works now."""
        self.restoring.wake(node)
        if self._wait:
            self.proving.ask(node)

    def _last(self, node: NodePlan) -> None:
        """Make a restored node this lab's; wait until it is ready, and all that its roles do in a restored cloud."""
        lab = self._lab
        if node.name in lab.restored:
            self.restoring.identify(node, self._release)
        if self._wait:
            wait = ready.reached if node.name in lab.restored else ready.wait
            wait(lab.work, lab.ledger, lab.plan, node)
            self.proving.ask(node)
