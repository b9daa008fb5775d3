"""Commands that die at any moment: the next command ends well, and nothing is believed that was not reached."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from labctl.errors import InputError, LabctlError
from labctl.hypervisor import State
from labctl.lab import catchup, rollout, secrets, snapshot, standby
from labctl.lab.decisions import Choice, Starting
from labctl.sets import bundle, capture, store
from labctl.spec import topology
from labctl.state import records
from labctl.state.ledger import Ledger
from tests.unit.crash import deaths
from tests.unit.fake_site import GIB, HOST_KEY, MACHINE_ID, World, owner_of

THOROUGH = not {"LABCTL_CI", "LABCTL_TEST_KILLS"}.isdisjoint(os.environ)
"""Whether commands die at every moment, each followed by every end; else at every other one, and ends take turns."""


@dataclass(frozen=True)
class Story:
    """A command that dies.

    Attributes:
        name: what it is called.
        before: makes what stands before it.
        command: runs it.
        stands: teams whose labs stand when it has ended well.
        step: every how many moments it dies, where each takes long.
    """

    name: str
    before: Callable[[World], object]
    command: Callable[[World], object]
    stands: tuple[str, ...] = ("red",)
    step: int = 1 if THOROUGH else 2


def captured(world: World) -> None:
    world.create("red")
    world.capture("red")


def forked(world: World) -> None:
    captured(world)
    world.create("green")


def ruined(world: World) -> None:
    world.create("red")
    world.host.guest("red-node-1").write(ruined=True)


def ruined_fork(world: World) -> None:
    forked(world)
    world.host.guest("green-node-1").write(ruined=True)


def saved(world: World) -> None:
    world.create("red")
    world.snapshot("red", "lunch")
    world.host.guest("red-node-1").write(ruined=True)


def used(world: World) -> None:
    """Have an older image that a lab stands on, and one that nothing uses."""
    world.create("red")
    world.image("other")


def exported(world: World) -> None:
    """Have a golden set in a file alone."""
    captured(world)
    site = world.site()
    (golden,) = store.golden(site).every()
    bundle.export(world.work(), golden, world.folder / "set")
    store.golden(site).remove(golden.id)


def imported(world: World) -> None:
    """Import the golden set from its file."""
    with contextlib.suppress(InputError):  # it is on this host already: the run that died had ended but for that
        bundle.import_(world.work(), world.folder / "set")
    site = world.site()
    (golden,) = store.golden(site).every()
    assert golden.image in site.volumes


def removed(kind: str, name: str) -> Callable[[World], None]:
    """Return the command that removes an image, a golden set or a snapshot; the run that died may have done it."""

    def run(world: World) -> None:
        site = world.site()
        with contextlib.suppress(InputError):
            if kind == "image":
                site.images.remove(name)
            elif kind == "golden":
                store.golden(site).remove(name)
            else:
                snapshot.remove(world.home, site, "red", name)
        assert not [path for path in world.host.files if f"/{kind}-{name}-" in path]

    return run


def behind(world: World) -> None:
    """Have a golden set after a chapter, and a lab that is not there yet."""
    world.create("red", named="allinone")
    Ledger(world.home.lab("red"), world.record("red")).change(reached="chrony")
    world.capture("red")
    world.create("green", named="allinone")
    world.host.guest(f"green-{world.plan('green').nodes[0].name}").write(ruined=True)


def waited(world: World) -> None:
    """Have one lab wait, and give it to a team."""
    standby.keep(world.work(), 1, MINI, Starting())
    rollout.roll_out(world.work(), ["green"], MINI, Starting())


def stopped(world: World) -> None:
    world.create("red")
    world.stop("red")


def roll_out(world: World) -> None:
    """Make three labs from one boot."""
    rollout.roll_out(world.work(), ["red", "green", "blue"], MINI, Starting())


BOTH, MANY = ("red", "green"), 7 if THOROUGH else 13
MINI = Choice(topology=topology.load("mini"))

STORIES = (
    Story("create", lambda world: None, lambda world: world.create("red")),
    Story("create and go", lambda world: None, lambda world: world.create("red", wait=False)),
    Story("fork", captured, lambda world: world.create("green"), ("red", "green")),
    Story("fork and go", captured, lambda world: world.create("green", wait=False), ("red", "green")),
    Story("reset", ruined, lambda world: world.reset("red", "node-1")),
    Story("reset of a fork", ruined_fork, lambda world: world.reset("green", "node-1"), ("red", "green")),
    Story("reset all", ruined, lambda world: world.reset("red")),
    Story("reset cold", ruined_fork, lambda world: world.reset("green", "node-1", cold=True), ("red", "green")),
    Story("capture", lambda world: world.create("red"), lambda world: world.capture("red")),
    Story("capture again", captured, lambda world: world.capture("red")),
    Story("snapshot", lambda world: world.create("red"), lambda world: world.snapshot("red", "lunch")),
    Story("restore", saved, lambda world: world.restore("red", "lunch")),
    Story("catch up", behind, lambda world: catchup.catch_up(world.work(), "green", "chrony"), BOTH),
    Story("create of many", lambda world: None, lambda world: roll_out(world), ("red", "green", "blue"), step=MANY),
    Story("fork that waited", captured, waited, BOTH, step=MANY),
    Story("start", stopped, lambda world: world.start("red")),
    Story("stop", lambda world: world.create("red"), lambda world: world.stop("red")),
    Story("image", used, lambda world: world.image("debian-13", virtual_size=GIB)),
    Story("image again", used, lambda world: world.image("other", virtual_size=GIB)),
    Story("image remove", used, removed("image", "other")),
    Story("golden remove", captured, removed("golden", "mini-bare")),
    Story("golden import", exported, imported, step=1 if THOROUGH else 5),
    Story("snapshot remove", saved, removed("snapshot", "lunch")),
)


@pytest.fixture
def fast_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty folder, in memory where this machine has such: thousands of small files are flushed here."""
    monkeypatch.setattr(capture, "_WINDOW", 0.001)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
        yield Path(folder)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_command_that_dies_anywhere_leads_to_no_ruin(story: Story, fast_path: Path) -> None:
    world = World(fast_path)
    clean = world.inventory()
    story.before(world)
    wrong: list[str] = []
    for number, (moment, dead) in enumerate(deaths(world, story.command, fast_path / "dead", step=story.step)):
        ends = _ends(story)
        for name, goes_on in ends if THOROUGH else [ends[number % len(ends)]]:
            folder = fast_path / "after"
            after = dead.twin(folder)
            try:
                believed(after)
                goes_on(after, story)
                believed(after)
                gone(after, clean)
            except (AssertionError, LabctlError) as exc:
                wrong.append(f"killed at {moment}, then {name}: {type(exc).__name__}: {exc}")
            shutil.rmtree(folder)
    assert not wrong, "\n".join(wrong)


LABS = ("create", "fork", "reset", "capture", "snapshot", "restore", "start", "stop")
"""How the names of stories begin that are about labs."""


def once_more(world: World, story: Story) -> None:
    """Run the same command again: what it was to make stands."""
    story.command(world)
    if story.name == "stop":
        world.start("red")
    stand(world, story)


def completed(world: World, story: Story) -> None:
    """Lose power at that moment, then complete the labs there are."""
    world.host.restart()
    for record in world.home.records():
        world.create(record.team, named=None)
        world.start(record.team)
        whole(world, record.team)


def given_up(world: World, story: Story) -> None:
    """Take everything away at once."""


ENDS = [("the same command", once_more), ("power is lost and labs are completed", completed), ("destroy", given_up)]


def _ends(story: Story) -> list[tuple[str, Callable[[World, Story], None]]]:
    """Return what may come after a death."""
    if story.name == "catch up":  # after a loss of power its cloud would be installed, which no fake guest can
        return [ENDS[0], ENDS[2]]
    return ENDS if story.name.startswith(LABS) else ENDS[:1]  # what is left of an image the same command clears


def stand(world: World, story: Story) -> None:
    """See that what the command was to make stands."""
    for team in story.stands:
        if story.name.endswith("and go"):
            world.create(team)
        whole(world, team)
    if story.name.startswith(("reset", "restore", "catch up")):
        team = story.stands[-1]
        domain = world.plan(team).nodes[0].domain
        assert not world.host.guest(domain).disk.get("ruined"), f"{domain} is not what it was"


def believed(world: World) -> None:
    """See that nothing is on record, or offered, that was not reached."""
    assert world.host.accidents == []
    site = world.site()
    for record in world.home.records():
        ready = {(record.lab, node, generation) for node, generation in record.ready.items()}
        assert ready <= world.seen, f"recorded ready, and never seen: {ready - world.seen}"
    for golden in [*store.golden(site).every(), *store.snapshots(site).every()]:
        bundle.verify(world.work(), golden)
    for image in site.images.every():
        size = site.volumes[image.volume].allocation
        assert size == image.manifest.size, f"{image.volume} is cut short"


def whole(world: World, team: str) -> None:
    """See that a lab stands: its nodes are the ones on record, themselves, and ready."""
    record = world.record(team)
    plan = records.plan_of(record)
    for node in plan.nodes:
        domain = world.host.domain(node.domain)
        assert domain.state is State.RUNNING, f"{node.domain} is {domain.state}"
        owner = owner_of(domain)
        assert owner.generation == node.generation, f"{node.domain} is of generation {owner.generation}"
        memory, disk = world.host.guest(node.domain).memory, world.host.guest(node.domain).disk
        assert not (node.generation and disk.get("ruined")), f"{node.domain} has the disk of an older generation"
        assert memory["files"][HOST_KEY].strip() == secrets.host_key(world.home.lab(team), node.name).strip()
        its = memory["files"].get(MACHINE_ID, "").strip() or memory["instance"]
        assert its in (node.machine_id, node.instance_id), f"{node.domain} has the identity of another"
        assert record.ready.get(node.name) == node.generation, f"{node.domain} is not on record as ready"
    status = world.status(team)
    assert all(node.ready for node in status.nodes), status
    assert not status.missing


def gone(world: World, clean: dict[str, list[str]]) -> None:
    """Take everything away, and see that nothing is left."""
    for record in world.home.records():
        world.destroy(record.team)
    site = world.site()
    for golden in store.golden(site).every():
        store.golden(site).remove(golden.id)
    for image in site.images.every():
        if image.volume not in {path.rpartition("/")[2] for path in clean["files"]}:
            site.images.remove(image.manifest.name)
    after = world.inventory()
    left = {name for kind, names in clean.items() for name in set(after[kind]) - set(names)}
    assert not left, f"left: {', '.join(sorted(left))}"


def _nothing(_: str) -> None:
    """Tell nobody."""
