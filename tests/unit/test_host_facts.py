from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from netaddr import IPNetwork

from labctl.errors import LockedError
from labctl.host import facts, guests, namespace, packages, processes
from labctl.host.answer import answers
from labctl.host.firewall import ruleset
from labctl.host.lock import locked
from labctl.host.packages import Kind
from labctl.host.processes import ProcessId


@pytest.mark.parametrize(
    ("cpuinfo", "can"),
    [
        ("processor: 0\nflags\t\t: fpu vme vmx sse\n", True),
        ("processor: 0\nflags\t\t: fpu svm sse\n", True),
        ("processor: 0\nflags\t\t: fpu sse\nvmx flags\t: vnmi\n", False),
        ("model name: the vmx svm machine\nflags: fpu\n", False),
        ("", False),
    ],
)
def test_virtualisation_is_a_flag_of_the_processor(cpuinfo: str, can: bool) -> None:
    assert facts.has_virtualisation(cpuinfo) is can


def test_meminfo_is_in_kib() -> None:
    assert facts.parse_meminfo("MemTotal:  24684112 kB\nHugePages_Total:  0\n") == {
        "MemTotal": 24684112,
        "HugePages_Total": 0,
    }


def test_facts_of_this_machine_can_be_gathered(tmp_path: Path) -> None:
    machine = facts.gather(tmp_path / "not", tmp_path / "not" / "yet" / "there")
    assert machine.disk_path == tmp_path
    assert 0 < machine.memory_free <= machine.memory
    assert machine.processors >= 1


def test_packages_are_listed_with_programs_and_purpose() -> None:
    listed = packages.known()
    assert {package.kind for package in listed} == set(Kind)
    assert all(package.purpose for package in listed)
    assert len({package.name for package in listed}) == len(listed)
    assert next(package.programs for package in listed if package.name == "qemu-utils") == ("qemu-img",)


def test_a_process_number_in_use_again_is_another_process() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        known = ProcessId.of(process.pid)
        assert known is not None
        assert known.alive
        earlier = ProcessId(pid=known.pid, start=known.start - 1)
        assert not earlier.alive
        assert earlier.open() is None
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not known.alive  # a zombie
    assert ProcessId.of(process.pid) is None


def test_words_of_another_process_are_read_whole() -> None:
    with subprocess.Popen(["sleep", "60"], env={"LABCTL_PROBE": "a=b c"}) as process:
        deadline = time.monotonic() + 10
        while not processes.arguments(process.pid):  # a moment before the program's start the kernel shows none
            assert time.monotonic() < deadline
        assert processes.arguments(process.pid) == ("sleep", "60")
        assert processes.environment(process.pid) == {"LABCTL_PROBE": "a=b c"}
        assert not processes.is_init(process.pid)
        process.kill()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("qemu", "-name", "guest=team01-db-node,debug-threads=on", "-S"), "team01-db-node"),
        (("qemu", "-name", "guest=a,,b,process=qemu:a,,b,debug-threads=on"), "a,b"),
        (("qemu", "-S", "-no-user-config", "-nodefaults"), None),
        (("sleep", "60"), None),
    ],
)
def test_the_guest_of_a_qemu_is_read_from_its_command_line(arguments: tuple[str, ...], name: str | None) -> None:
    assert guests._named(arguments) == name


def test_routes_are_read_as_the_kernel_writes_them() -> None:
    assert namespace._ipv4_route("eth0\t000010AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0") == IPNetwork(
        "172.16.0.0/16"
    )
    line = "fd000000000000000000000000000000 40 {0} 00 {0} 00000100 00000001 00000000 00000001     eth0".format(
        "0" * 32
    )
    assert namespace._ipv6_route(line) == IPNetwork("fd00::/64")
    assert namespace._ipv6_route(line.replace("fd00", "fe80")) is None
    assert namespace._ipv6_route(line.replace("eth0", "lo")) is None


def test_a_chroot_has_nothing_mounted_at_its_root() -> None:
    """What proc(5) shows in a chroot: only mounts that can be reached from its root folder."""
    proc = "40 29 0:21 / /proc rw,relatime shared:9 - proc proc rw"
    assert not facts.has_root_mount(proc)
    assert facts.has_root_mount(f"29 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n{proc}")


def test_a_folder_that_root_may_write_and_the_kernel_does_not_let_it_is_found_by_trying(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert facts.home_facts(tmp_path / "new" / "home").obstacle == ""
    assert facts.home_facts(file / "home").obstacle == "Not a directory"
    assert facts.home_facts(Path("/proc/labctl")).obstacle != ""
    assert list(tmp_path.iterdir()) == [file]


def test_nothing_is_wrapped_without_a_namespace() -> None:
    assert namespace.wrap(None, ["ssh", "-V"]) == ["ssh", "-V"]


def test_a_command_is_wrapped_with_what_it_needs() -> None:
    here = namespace.NetworkNamespace.of(os.getpid())
    target = ["nsenter", "--target", str(os.getpid())]
    assert namespace.wrap(here, ["ip", "a"]) == [*target, "--net", "--", "ip", "a"]
    assert namespace.wrap(here, ["ip", "a"], files=True) == [*target, "--net", "--mount", "--", "ip", "a"]


def test_rules_name_no_placeholder_and_touch_only_labctls_tables() -> None:
    text = ruleset()
    assert "@" not in text
    tables = {line.split("{")[0].strip() for line in text.splitlines() if "table " in line and not line.startswith("#")}
    assert {line.removeprefix("delete ") for line in tables} == {"table inet labctl", "table bridge labctl"}
    assert "flush ruleset" not in text


def test_a_daemon_that_answers_with_a_whole_header_is_there(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    assert not answers(path, timeout=1)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def reply(said: bytes) -> None:
            link, _ = listener.accept()
            assert link.recv(64)[:4] == (28).to_bytes(4)
            link.sendall(said)
            link.close()

        for said, expected in ((bytes(28), True), (b"", False)):
            thread = threading.Thread(target=reply, args=(said,))
            thread.start()
            assert answers(path, timeout=5) is expected
            thread.join()
        assert not answers(path, timeout=0.1)  # connected, but nobody there


def test_a_lock_is_waited_for_only_so_long(tmp_path: Path) -> None:
    folder = tmp_path / "host"
    with locked(folder, timeout=1, create=True), pytest.raises(LockedError), locked(folder, timeout=0.1):
        pass
    with locked(folder, timeout=1):
        pass


def test_a_lock_of_a_removed_folder_does_not_count(tmp_path: Path) -> None:
    folder = tmp_path / "host"
    with locked(folder, timeout=1, create=True):
        (folder / "lock").unlink()
        with locked(folder, timeout=1):
            pass


def test_a_lock_in_a_folder_that_cannot_be_made_is_not_waited_for() -> None:
    with pytest.raises(FileNotFoundError), locked(Path("/proc/labctl/host"), timeout=60, create=True):
        pass
