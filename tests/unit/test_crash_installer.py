"""An installation that dies at any moment: the next one finishes it, and no unit runs with what was before."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from labctl.changes import PutFile, Run, Unit
from labctl.guest import Result
from labctl.guest.fake import FakeGuest
from labctl.guest.guest import Command
from labctl.installing.journal import Journal
from labctl.installing.tasks import Task
from labctl.roles.role import Step
from tests.unit.crash import Death, Killed
from tests.unit.test_installer import installer

CONFIGURATION = {"mariadb": "/etc/mysql.cnf", "keystone": "/etc/keystone.conf"}
CREATE = Run(command="create the users")


@dataclass
class Node(FakeGuest):
    """A guest whose units run with the configuration that they found when they were started.

    Attributes:
        runs: unit to that configuration.
        trace: told of every call, before and after it.
    """

    runs: dict[str, bytes] = field(default_factory=dict)
    trace: Callable[[str], None] = lambda _: None

    def run(self, command: Command, **options: Any) -> Result:
        self.trace(f"before: run {command}")
        result = super().run(command, **options)
        for unit, path in CONFIGURATION.items():
            if f"start {unit}" in str(command) or f"enable --now {unit}" in str(command):
                self.runs[unit] = self.files[path].content
        self.trace(f"after: run {command}")
        return result

    def put(self, content: bytes, path: str, **options: Any) -> None:
        self.trace(f"before: put {path}")
        super().put(content, path, **options)
        self.trace(f"after: put {path}")


def node() -> Node:
    """Return a node whose services run with an old configuration."""
    made = Node(units=dict.fromkeys(CONFIGURATION, ("enabled", "active")), answers={CREATE.command: 0})
    for unit, path in CONFIGURATION.items():
        made.file(path, "old")
        made.runs[unit] = b"old"
    return made


def tasks() -> list[Task]:
    """Return what brings two services up, one after the other; the second has its file and its unit in two steps."""
    step = Step(title="mariadb is up", node="db-node", actions=(PutFile(path="/etc/mysql.cnf", content="new"),))
    first = replace(step, actions=(*step.actions, Unit(names=("mariadb",))))
    second = (
        Step(
            title="keystone is configured",
            node="db-node",
            actions=(PutFile(path="/etc/keystone.conf", content="new"), CREATE),
        ),
        Step(title="keystone is up", node="db-node", actions=(Unit(names=("keystone",)),)),
    )
    return [
        Task(name="mariadb@db-node", role="mariadb", node="db-node", steps=(first,)),
        Task(name="keystone@db-node", role="keystone", node="db-node", steps=second, needs=("mariadb@db-node",)),
    ]


def test_an_installation_that_dies_anywhere_is_finished_by_the_next(tmp_path: Path) -> None:
    for number in itertools.count():
        folder, guest = tmp_path / str(number), node()
        folder.mkdir()
        guest.trace = death = Death(folder, number)
        try:
            installer(folder, guest).run(tasks())
        except Killed:
            death.bury()
        guest.trace = lambda _: None
        done = Journal(folder / "journal", {}).holds(f"db-node:{CREATE.digest}")
        assert not done or CREATE.command in guest.ran, f"noted as done and never done: {death.moment}"
        installer(folder, guest).run(tasks())
        assert guest.runs == dict.fromkeys(CONFIGURATION, b"new"), f"killed at {number}, {death.moment}"
        ran = len(guest.ran)
        installer(folder, guest).run(tasks())
        assert not any("restart" in line or line == CREATE.command for line in guest.ran[ran:])
        if not death.moment:
            break
    assert number > 10
