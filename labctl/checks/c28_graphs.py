"""C28: graphs."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from labctl.checks.check import Subject, check
from labctl.checks.log import Log, Wrong, cloud_check
from labctl.checks.model import Step, Verdict, judged
from labctl.cloud import graphs
from labctl.cloud.cloud import Cloud
from labctl.plan.model import NodePlan

_TIMER = "munin-cron.timer"
_PICTURE = b"\x89PNG\r\n\x1a\n"
_OLD = 2.5  # rounds


def question(subject: Subject, node: NodePlan) -> str:
    """Ask every node for its load, on the master; tell whether its timer waits for the next round."""
    if "munin" not in node.roles or subject.cloud is None:
        return ":"
    return "; ".join(
        [f"systemctl is-active {_TIMER}"]
        + [f"echo {name} $({graphs.question(address)} 2>&1)" for name, address in _asked(subject.cloud.planned)]
    )


@check(
    "C28:values",
    "Every node tells Munin its values",
    exercises="munin-node and its list of who may ask; the timer of the master's rounds",
    needs=("B01",),
    asks=question,
    stages=("installed",),
    limit=(30, 180),
)
def values(subject: Subject) -> Iterator[Step]:
    """On the node with the role munin, ask every node with the role munin-node for its load, as a round does. The timer
    of the rounds must run."""
    asked = [name for name, _ in _asked(subject.cloud.planned)] if subject.cloud else []
    if not asked:
        yield Step(name="begin", verdict=Verdict.SKIPPED, evidence="no node has the role munin")
        return
    for node, answer in subject.said("C28:values"):
        if "munin" not in node.roles:
            continue
        state, *lines = [line.strip() for line in answer.text.splitlines() if line.strip()] or [""]
        trouble = "" if state == "active" else f"{_TIMER} is {state or 'not there'}"
        yield judged(
            trouble, name="timer", node=node.name, suspect="munin: the timer of its rounds", seconds=answer.seconds
        )
        said = dict(line.split(" ", 1) for line in lines if " " in line)
        for name in asked:
            told = said.get(name, "it hangs up, or nobody listens")
            trouble = "" if told.startswith("load.value") else f"asked for its load: {told}"
            yield judged(trouble, name=f"load of {name}", node=name, suspect="munin-node")


@cloud_check(
    "C28:graphs",
    "Munin shows graphs",
    exercises="Munin's rounds, its folder of graphs, Apache",
    needs=("B01",),
    quick=True,
    limit=(20, 60),
)
def pictures(log: Log) -> None:
    """Get the graph of each node's load under /munin. It must be a picture, and be drawn in one of the last rounds."""
    from labctl.cloud import trouble

    cloud, node = log.cloud, log.cloud.node("munin")
    if not node:
        log.skip("no node has the role munin")
    session = cloud.http()
    oldest = _OLD * 60 * log.subject.scaled(*graphs.ROUNDS)
    for name, _ in _asked(cloud.planned):
        url = f"http://{cloud.public('munin')}{graphs.picture(cloud.planned.lab.domain, name)}"
        with log.step(f"graph of {name}", node=node, suspect="munin: its rounds", go_on=True):
            answer = log.again(lambda: session.get(url, timeout=cloud.seconds))  # noqa: B023
            if answer.status_code != 200:
                raise Wrong(trouble.answer(answer).says)
            if not answer.content.startswith(_PICTURE):
                raise Wrong("what comes is no picture")
            now = answer.headers.get("Date")
            age = (parsedate_to_datetime(now) - parsedate_to_datetime(answer.headers["Last-Modified"])).total_seconds()
            if age > oldest:
                raise Wrong(f"it was drawn {age / 60:.0f} minutes ago, and is to be drawn every {oldest / 150:.0f}")


def _asked(planned: Cloud) -> list[tuple[str, str]]:
    """Return the nodes that the master asks, with their addresses; none where there is no master."""
    return [(name, planned.address(name)) for name in planned.nodes("munin-node")] if planned.nodes("munin") else []
