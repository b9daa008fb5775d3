"""Restores nodes of a lab that is built from memory, and makes them nodes of this lab."""

from __future__ import annotations

from collections.abc import Callable

from labctl.errors import CapacityError, DeadlineError, HypervisorError
from labctl.installing import passwords
from labctl.lab import healthy, install, nodes, ready, trouble
from labctl.lab.construction import Construction
from labctl.plan.model import NodePlan
from labctl.render import identity
from labctl.sets import warm
from labctl.site.progress import Phase
from labctl.sizes import size


class Restoring:
    """The nodes of one lab that go on from memory."""

    def __init__(self, construction: Construction) -> None:
        self._lab = construction

    def inherit(self) -> None:
        """Take over what the cloud of the lab's golden set is known by, where a lab that stood is made from another."""
        lab = self._lab
        golden = lab.sourced.golden
        if golden is not None and lab.ledger.record.inherits:
            install.take_over(lab.folder, golden)
            healthy.inherit(lab.folder, golden)
            lab.ledger.change(inherits=False)

    def remark(self) -> None:
        """Say what is about to be read: a fork whose golden set is not in the host's cache waits for its disk."""
        lab = self._lab
        memory = [lab.memory[name] for name in lab.missing if name in lab.memory]
        if memory:
            what = f"{len(memory)} node{'s continue' if len(memory) > 1 else ' continues'} from memory"
            lab.work.progress.say(f"{lab.plan.team}: {what}, {size(sum(each.size for each in memory))} are read")

    def restore(self, node: NodePlan) -> bool:
        """Restore a node's memory, paused; return whether it has any and it could be."""
        lab = self._lab
        memory = lab.memory.get(node.name)
        if memory is None:
            return False
        lab.tell(node, Phase.RESTORING)
        own = nodes.document(lab.site, lab.plan, node, images=lab.sourced.images)
        try:
            warm.restore(lab.work, lab.ledger, node, memory, own)
        except (CapacityError, HypervisorError) as exc:
            lab.work.progress.say(f"{node.domain} boots instead: {exc.brief}: {exc.details}")
            lab.site.hypervisor.power_off(node.uuid)
            return False
        lab.restored.add(node.name)
        return True

    def identify(self, node: NodePlan, release: Callable[[NodePlan], None]) -> None:
        """Make a restored guest this lab's; one that does not come to itself is restored once more, then booted.

        Args:
            release: lets a node go that was restored once more.
        """
        lab = self._lab
        for last in (False, True):
            lab.tell(node, Phase.IDENTITY)
            try:
                alone = last or not lab.whole
                warm.identify(lab.site, node, lab.keys[node.name], lab.work.cancelled, alone=alone)
                return lab.ledger.identified(node)
            except DeadlineError as exc:
                again = "booted" if last else "restored once more"
                lab.work.progress.say(f"{node.domain} is {again}: {exc.brief}")
            lab.remove(node)
            lab.make(node)
            if last or not self.restore(node):
                lab.restored.discard(node.name)
                lab.start(node, paused=False)
                return lab.site.share(lab.plan)
            lab.site.share(lab.plan)
            release(node)
        return None

    def wake(self, node: NodePlan) -> None:
        """Set the clock of a node that stood still, and see that it answers.

        Raises:
            DeadlineError: it does not.
        """
        lab = self._lab
        seconds = lab.site.pace.agent
        lab.site.hypervisor.run_inside(node.uuid, identity.CLOCK, timeout=seconds, cancelled=lab.work.cancelled)
        if not ready.answers(lab.site, node, timeout=lab.site.pace.login):
            raise DeadlineError(f"{node.domain} does not answer", remedy=trouble.silent(lab.plan, node).remedy)
        lab.tell(node, Phase.READY)

    def end(self) -> None:
        """Write down what the whole lab is now: healthy as its golden set was, or back at its snapshot, with what the
        installer had done by then."""
        lab = self._lab
        if lab.failed:
            return
        if lab.taken:
            lab.ledger.change(standby=False)
        source = lab.sourced.snapshot or (lab.sourced.golden if lab.whole else None)
        if source is not None:
            healthy.inherit(lab.folder, source)
        if lab.sourced.snapshot is not None:
            journal = install.journal_of(lab.sourced.snapshot, lab.ledger.record.generations)
            lab.folder.write(install.JOURNAL, journal)
            if lab.sourced.snapshot.secrets:  # a catch-up may have given the lab another cloud since
                passwords.save(lab.folder, lab.sourced.snapshot.secrets)
            lab.ledger.change(restoring="")
