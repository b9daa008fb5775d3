"""Labs share a private host: however hard one works, the others have their part of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.errors import DeadlineError
from labctl.guest import Result
from labctl.host import facts, guests, launch, processes, shares
from labctl.host.processes import ProcessId
from tests.unit.fake_site import World

INIT = ProcessId(pid=10, start=1)
COMMANDS = {
    10: ("tini",),
    11: ("libvirtd",),
    21: ("qemu-system-x86_64", "-name", "guest=red-node-1,debug-threads=on"),
    22: ("qemu-system-x86_64", "-name", "guest=red-node-2,debug-threads=on"),
    31: ("qemu-system-x86_64", "-name", "guest=blue-node-1,debug-threads=on"),
    99: ("qemu-system-x86_64", "-name", "guest=red-node-1,debug-threads=on"),  # another host's
}
RED = ["red-node-1", "red-node-2"]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a machine on which guests of a private host run."""
    monkeypatch.setattr(shares, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(processes, "every", lambda: iter(COMMANDS))
    monkeypatch.setattr(processes, "arguments", lambda pid: COMMANDS[pid])
    monkeypatch.setattr(processes, "namespace_of", lambda pid, kind: 2 if pid == 99 else 1)
    return tmp_path


def mounted(machine: Path, mounts: str, own: str) -> None:
    """Give the machine control groups.

    Args:
        own: the groups of process 1 of the private host.
    """
    (machine / "proc/self").mkdir(parents=True)
    (machine / "proc/self/mounts").write_text(f"proc /proc proc rw 0 0\n{mounts}")
    (machine / "proc/10").mkdir()
    (machine / "proc/10/cgroup").write_text(own)


def first(machine: Path, own: str = "/") -> Path:
    """Give the machine control groups of version 1; return the folder that the private host is in."""
    mounts = f"cgroup {machine}/pids cgroup rw,pids 0 0\ncgroup {machine}/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n"
    mounted(machine, mounts, f"8:pids:/deep\n4:cpu,cpuacct:{own}\n0::/elsewhere\n")
    folder = machine / "cpu,cpuacct" / own.lstrip("/")
    folder.mkdir(parents=True)
    return folder


def second(machine: Path, own: str, *, topmost: bool = False) -> Path:
    """Give the machine control groups of version 2; return the folder that the private host is in."""
    mounted(machine, f"cgroup2 {machine}/unified cgroup2 rw 0 0\n", f"0::{own}\n")
    folder = machine / "unified" / own.lstrip("/")
    folder.mkdir(parents=True)
    (folder / "cgroup.controllers").write_text("cpuset cpu io memory\n")
    (folder / "cgroup.procs").write_text("10\n11\n21\n")
    if not topmost:
        (folder / "cgroup.type").write_text("domain\n")
    return folder


def group(folder: Path, weight: str) -> Path:
    """Make a group, as the kernel does: with the weight of any other."""
    folder.mkdir()
    (folder / weight).write_text("100")
    return folder


def test_guests_are_found_by_their_names_on_their_own_host(machine: Path) -> None:
    assert guests.of(INIT) == {"red-node-1": 21, "red-node-2": 22, "blue-node-1": 31}


@pytest.mark.parametrize("own", ["/", "/docker/abc"])
def test_the_guests_of_a_lab_have_a_group_with_the_share_of_any_other_lab_of_its_size(machine: Path, own: str) -> None:
    folder = first(machine, own)
    red, blue = (group(folder / f"labctl-abc-{lab}", "cpu.shares") for lab in ("red", "blue"))
    shares.settle(INIT, "abc", "red", RED)
    shares.settle(INIT, "abc", "blue", ["blue-node-1", "blue-node-2"])
    assert ((red / "cpu.shares").read_text(), (red / "cgroup.procs").read_text()) == ("2048", "22"), "21 before it"
    assert ((blue / "cpu.shares").read_text(), (blue / "cgroup.procs").read_text()) == ("2048", "31"), (
        "one of its two nodes is off"
    )
    assert not (machine / "pids").exists()


def test_in_a_scope_of_systemd_the_hosts_own_processes_make_room_for_the_labs(machine: Path) -> None:
    scope = second(machine, "/system.slice/labctl-host-local-7.scope")
    red = group(scope / "labctl-abc-red", "cpu.weight")
    shares.settle(INIT, "abc", "red", ["red-node-1"])
    assert (scope / "labctl-abc/cgroup.procs").read_text() == "21", "10 and 11 before it"
    assert (scope / "cgroup.subtree_control").read_text() == "+cpu"
    assert ((red / "cpu.weight").read_text(), (red / "cgroup.procs").read_text()) == ("100", "21")


def test_a_host_gets_a_scope_of_systemd_in_which_it_may_make_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(facts, "has_systemd", lambda: True)
    monkeypatch.setattr(launch, "_spawn", lambda argv, folder, lock: started.append(argv))
    monkeypatch.setattr(launch, "find", lambda folder: INIT)
    launch.start(tmp_path / "local", 9)
    assert started[0][0] == "systemd-run"
    assert "--property=Delegate=yes" in started[0]
    assert any(word.startswith("--unit=labctl-host-local-") for word in started[0])


def test_a_host_that_has_made_room_has_its_labs_beside_itself(machine: Path) -> None:
    scope = second(machine, "/labctl-host-local-7.scope")
    (machine / "proc/10/cgroup").write_text("0::/labctl-host-local-7.scope/labctl-abc\n")
    shares.settle(INIT, "abc", "red", ["red-node-1"])
    assert (scope / "labctl-abc-red/cgroup.procs").read_text() == "21"


def test_a_topmost_group_needs_no_room(machine: Path) -> None:
    top = second(machine, "/", topmost=True)
    shares.settle(INIT, "abc", "red", ["red-node-1"])
    assert (top / "labctl-abc-red/cgroup.procs").read_text() == "21"
    assert not (top / "labctl-abc").exists()


def test_the_groups_of_others_are_left_alone(machine: Path) -> None:
    session = second(machine, "/user.slice/session-3.scope")
    before = sorted(session.iterdir())
    shares.settle(INIT, "abc", "red", RED)
    assert sorted(session.iterdir()) == before


def test_where_groups_cannot_be_made_nothing_happens(machine: Path) -> None:
    folder = first(machine)
    folder.rmdir()
    shares.settle(INIT, "abc", "red", RED)
    assert shares.groups(INIT, "abc") == {}


def test_groups_go_with_their_guests(machine: Path) -> None:
    folder = first(machine)
    for name in ("labctl-abc-red", "labctl-abc-blue", "labctl-other-red"):
        (folder / name).mkdir()
    (folder / "labctl-abc-blue/cgroup.procs").write_text("31")  # as the kernel, a file system keeps what is not empty
    shares.remove(each for made in shares.groups(INIT, "abc").values() for each in made)
    assert {path.name for path in folder.iterdir()} == {"labctl-abc-blue", "labctl-other-red"}


def running(world: World, team: str) -> dict[str, str | None]:
    """Return the domains of a team that run, with the documents of their machines."""
    return {
        each.name: each.live for each in world.host.domains.values() if each.name.startswith(f"{team}-") and each.guest
    }


def test_every_guest_has_its_labs_share_however_it_was_started(world: World) -> None:
    world.create("red")
    assert world.groups == {"red": running(world, "red")}
    world.stop("red", "node-1")
    world.start("red", "node-1")
    assert world.groups["red"] == running(world, "red")
    world.reset("red", "node-2")
    assert world.groups["red"] == running(world, "red")
    world.capture("red")
    assert world.groups["red"] == running(world, "red")
    world.create("green")
    assert world.groups["green"] == running(world, "green")
    world.destroy("green")
    assert set(world.groups) == {"red"}


def test_a_fork_that_had_to_boot_in_the_end_has_its_labs_share(world: World) -> None:
    world.create("red")
    world.capture("red")

    def silent(*_: object) -> Result:
        raise DeadlineError("its guest agent did not answer in time")

    world.host.answers.insert(0, (r"^exec sh -s$", silent))
    world.create("green")
    assert world.groups["green"] == running(world, "green")
