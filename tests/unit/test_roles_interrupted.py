"""Commands of roles that were interrupted are made whole by the next run: they look for the end of their effect."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from labctl.changes import Context, Packages, Run
from labctl.guest import Command, Guest, Result
from labctl.installing.tasks import plan_tasks
from labctl.secret import reveal
from tests.unit.test_roles import cloud

# Each stands for a program of a node and keeps what it made in files. With FAIL it dies after its first change.
RABBITMQCTL = r"""
test "$1" = -q && shift
case $1 in
    add_user) test ! -e user && read -r word && echo "$word" >user;;
    change_password) test -e user && read -r word && echo "$word" >user;;
    set_permissions) test -z "$FAIL" && test -e user && echo "$3" >permissions;;
    list_user_permissions) test -e permissions && printf '/\t%s\n' "$(cat permissions)";;
    list_users) test -e user && echo openstack;;
esac
"""
KEYSTONE_MANAGE = r"""
folder=${1%_setup}-keys
test ! -e $folder/0 || exit 0  # "Key repository is already initialized; aborting."
mkdir -p $folder && echo 1 >$folder/0 && test -z "$FAIL" && mv $folder/0 $folder/1 && echo 2 >$folder/0
"""
APT_GET = r"""
test ! -e half-configured || { echo 'dpkg was interrupted' >&2; exit 100; }
test -z "$FAIL" || { touch half-configured; exit 1; }
touch installed
"""
DPKG = r"""
test "$*" = "--force-confold --configure -a" && rm -f half-configured
"""
DPKG_QUERY = r"""
test -e installed && echo installed
"""


class Node:
    """A folder with stand-ins for a node's programs, in which a role's commands are run."""

    def __init__(self, path: Path, **programs: str) -> None:
        self.path = path
        for name, text in programs.items():
            file = path / "bin" / name.replace("_", "-")
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"#!/bin/sh\n{text}")
            file.chmod(0o755)

    def apply(self, action: Run, *, interrupted: bool = False) -> bool:
        """Do what `Run` does in a node; return whether it ran, and ended well."""
        if action.unless and self._sh(action.unless, interrupted=False):
            return False
        return self._sh(action.command, stdin=reveal(action.stdin), interrupted=interrupted)

    def _sh(self, line: str, *, stdin: str = "", interrupted: bool) -> bool:
        return self.run(line, timeout=60, stdin=stdin.encode(), check=False, interrupted=interrupted).ok

    def run(
        self, command: Command, *, timeout: float, stdin: bytes | None = None, check: bool = True, **options: Any
    ) -> Result:
        """Run a shell line in the folder."""
        here = re.sub("/etc/keystone/|/usr/sbin/|/run/", f"{self.path}/", str(command))
        environment = {"PATH": f"{self.path}/bin:/usr/bin:/bin", "FAIL": "yes" if options.get("interrupted") else ""}
        done = subprocess.run(
            ["sh", "-c", here], input=stdin or b"", cwd=self.path, env=environment, capture_output=True, check=False
        )
        return Result(exit_code=done.returncode, stdout=done.stdout.decode(), stderr=done.stderr.decode())


def commands(role: str, program: str) -> list[Run]:
    planned = plan_tasks(cloud("gridka", rabbitmq="a pass word"))
    actions = [action for task in planned if task.role == role for step in task.steps for action in step.actions]
    return [action for action in actions if isinstance(action, Run) and program in action.command]


def test_a_user_of_the_queue_without_permissions_gets_them(tmp_path: Path) -> None:
    (action,) = commands("rabbitmq", "rabbitmqctl")
    node = Node(tmp_path, rabbitmqctl=RABBITMQCTL)
    node.apply(action, interrupted=True)
    assert (tmp_path / "user").exists()
    assert node.apply(action)
    assert (tmp_path / "permissions").read_text() == ".*\n"
    assert (tmp_path / "user").read_text() == "a pass word\n"
    assert not node.apply(action)


@pytest.mark.parametrize("kind", ["fernet", "credential"])
def test_a_repository_of_keys_without_one_to_use_gets_it(tmp_path: Path, kind: str) -> None:
    (action,) = commands("keystone", f"{kind}_setup")
    node = Node(tmp_path, keystone_manage=KEYSTONE_MANAGE)
    node.apply(action, interrupted=True)
    assert [file.name for file in (tmp_path / f"{kind}-keys").iterdir()] == ["0"]
    assert node.apply(action)
    assert {file.name for file in (tmp_path / f"{kind}-keys").iterdir()} == {"0", "1"}
    assert not node.apply(action)


def test_packages_that_a_node_lost_its_power_over_are_finished(tmp_path: Path) -> None:
    node = Node(tmp_path, apt_get=APT_GET, dpkg=DPKG, dpkg_query=DPKG_QUERY)
    context = Context(guest=cast("Guest", node), say=lambda line: None)
    (tmp_path / "half-configured").touch()
    assert Packages(names=("glance-api",)).apply(context)
    assert (tmp_path / "installed").exists()
    assert not Packages(names=("glance-api",)).apply(context)
