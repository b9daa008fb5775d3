"""OpenSSH's own client comes in by the door to labs with real guests: what works, what is refused, what survives."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin

from labctl.board.origin import COOKIE
from labctl.lab import hands, passes
from labctl.state import Home
from tests.integration.browser import Driver, driver, needs_chromium
from tests.integration.lab_host import LABCTL, LabHost, output, root_namespace
from tests.unit.test_board import one_way_tls

__all__ = ["driver"]  # a fixture

pytestmark = [pytest.mark.root, pytest.mark.slow]

WEB = "python3 -c 'import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=80, bind=\"0.0.0.0\")'"


@dataclass
class Classroom:
    """A door that is open, and a visitor's machine.

    Attributes:
        folder: the visitor's files: exported configuration and keys, and the key `ada` that is red's.
        port, web: the door's, and that of the pages.
        serve: the program.
    """

    host: LabHost
    folder: Path
    port: int
    web: int
    serve: subprocess.Popen[bytes]

    def ssh(self, *arguments: str, user: str = "red+node-1", key: str = "ada") -> subprocess.CompletedProcess[str]:
        """Run ssh against the door."""
        return run(["ssh", *self.options(key), "-p", str(self.port), "-l", user, *arguments])

    def options(self, key: str = "ada") -> list[str]:
        """Return what keeps OpenSSH away from this machine's own configuration."""
        known = [f"-oUserKnownHostsFile={self.folder}/red.known_hosts", f"-oHostKeyAlias=[127.0.0.1]:{self.port}"]
        only = ["-oBatchMode=yes", "-oIdentitiesOnly=yes", "-oStrictHostKeyChecking=yes"]
        return ["-F", "/dev/null", *known, *only, "-i", str(self.folder / key)]

    def log(self) -> list[tuple[str, str, str, str]]:
        """Return what is on record: event, team, what and where."""
        events = self.host.document("access", "log")
        return [(event["event"], event["team"], event["what"] or "", event["where"] or "") for event in events]

    def restart(self) -> None:
        """Open the door again at the same port."""
        self.serve = serving(self.host, self.port, self.web)


def run(argv: Sequence[str], *, timeout: float = 120, **options: object) -> subprocess.CompletedProcess[str]:
    options = options if "input" in options else options | {"stdin": subprocess.DEVNULL}
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False, **options)  # type: ignore[call-overload,no-any-return]


def serving(host: LabHost, port: int, web: int) -> subprocess.Popen[bytes]:
    """Start the doors and wait until they are open."""
    quiet = subprocess.DEVNULL
    argv = [LABCTL, "serve", "--ssh", f"127.0.0.1:{port}", "--https", f"127.0.0.1:{web}"]
    serve = subprocess.Popen(argv, env=host.env, stdout=quiet, stderr=quiet)
    deadline = time.monotonic() + 60
    while True:
        with (
            contextlib.suppress(ConnectionRefusedError),
            socket.create_connection(("127.0.0.1", port), timeout=5),
            socket.create_connection(("127.0.0.1", web), timeout=5),
        ):
            return serve
        assert serve.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)


def page(room: Classroom, cookie: str) -> str:
    """Return a team's page."""
    own = str(room.host.home / "door" / "tls.pem")
    return requests.get(f"https://localhost:{room.web}/", headers={"cookie": cookie}, verify=own, timeout=60).text


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(scope="module")
def room(set_host: LabHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classroom]:
    """Fork two labs and open the door; node-2 of red serves its name on port 80."""
    set_host.labctl("create", "red", "blue", "--from", "origin")
    folder, port, web = tmp_path_factory.mktemp("visitor"), free_port(), free_port()
    for name in ("ada", "eve"):
        output(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name), "-C", name])
    set_host.labctl("access", "add", "red", "blue")
    set_host.labctl("access", "add", "red", "--key", str(folder / "ada.pub"))
    set_host.labctl("ssh-config", "red", "--door", f"127.0.0.1:{port}", "--to", str(folder))
    config = folder / "config"
    config.write_text(config.read_text().replace("Host red-door\n", f"Host red-door\n    IdentityFile {folder}/ada\n"))
    set_host.ssh("red", "node-2", f"cd $(mktemp -d) && hostname > name && systemd-run --same-dir --quiet {WEB}")
    made = Classroom(set_host, folder, port, web, serving(set_host, port, web))
    try:
        yield made
    finally:
        made.serve.terminate()
        made.serve.wait(30)
        set_host.labctl("destroy", "red", "blue")


def test_a_shell_and_commands_on_a_node(room: Classroom) -> None:
    before = root_namespace()
    done = room.ssh("127.0.0.1", "hostname; exit 7")
    assert (done.stdout, done.returncode) == ("node-1\n", 7)
    shell = run(
        ["ssh", *room.options(), "-tt", "-p", str(room.port), "red@127.0.0.1"], input="2\nhostname; tty; exit\n"
    )
    assert "node-1  10.0.0.3  172.16.0.3" in shell.stdout
    assert "\nnode-2" in shell.stdout.replace("\r", "")
    assert "/dev/pts/" in shell.stdout
    assert root_namespace() == before


def test_the_exported_configuration_jumps_over_the_door(room: Classroom) -> None:
    for name in ("node-2", "node-2.example.org", "red-node-2"):
        done = run(["ssh", "-F", str(room.folder / "config"), "-oBatchMode=yes", name, "hostname"])
        assert done.stdout == "node-2\n", done.stderr


def test_a_password_lets_in_and_anothers_does_not(room: Classroom) -> None:
    passwords = {each["team"]: each["password"] for each in room.host.document("access", "show")}
    ask = room.folder / "ask"
    ask.write_text('#!/bin/sh\necho "$GIVEN"\n')
    ask.chmod(0o700)
    for given, code in ((passwords["red"], 0), (passwords["blue"], 255)):
        env = os.environ | {"SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force", "GIVEN": given}
        options = [*room.options(), "-oBatchMode=no", "-oPubkeyAuthentication=no", "-oNumberOfPasswordPrompts=1"]
        options.remove("-oBatchMode=yes")
        done = run(["ssh", *options, "-p", str(room.port), "red+node-1@127.0.0.1", "hostname"], env=env)
        assert done.returncode == code, done.stderr


def test_files_go_by_scp_sftp_and_rsync(room: Classroom, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "there").write_bytes(content)
    options, port = room.options(), str(room.port)
    node = "red+node-1@127.0.0.1"
    for argv in (
        ["scp", *options, "-P", port, str(tmp_path / "there"), f"{node}:/root/there"],
        ["scp", "-O", *options, "-P", port, f"{node}:/root/there", str(tmp_path / "old")],
        ["sftp", *options, "-P", port, f"{node}:/root/there", str(tmp_path / "ftp")],
        ["rsync", "-e", f"ssh {' '.join(options)} -p {port}", f"{node}:/root/there", str(tmp_path / "sync")],
    ):
        done = run(argv)
        assert done.returncode == 0, done.stderr
    for name in ("old", "ftp", "sync"):
        assert (tmp_path / name).read_bytes() == content


@contextlib.contextmanager
def listening(room: Classroom, *arguments: str, port: int) -> Iterator[None]:
    """Keep ssh -N open until its own port on this machine answers."""
    argv = ["ssh", *room.options(), "-N", "-oExitOnForwardFailure=yes", "-p", str(room.port), *arguments]
    with subprocess.Popen([*argv, "red@127.0.0.1"], stdin=subprocess.DEVNULL) as ssh:
        try:
            deadline = time.monotonic() + 60
            while True:
                with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                    break
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield
        finally:
            ssh.terminate()


def test_a_port_of_a_node_on_the_visitors_machine(room: Classroom) -> None:
    port = free_port()
    with listening(room, "-L", f"127.0.0.1:{port}:node-2:80", port=port):
        assert run(["curl", "-sS", f"http://127.0.0.1:{port}/name"]).stdout == "node-2\n"


def test_a_browser_reaches_the_labs_names_and_nothing_else(room: Classroom) -> None:
    port = free_port()
    with listening(room, "-D", f"127.0.0.1:{port}", port=port):
        curl = ["curl", "-sS", "--max-time", "60", "--proxy", f"socks5h://127.0.0.1:{port}"]
        for name in ("node-2", "node-2.example.org", "10.0.0.4", "172.16.0.4"):
            assert run([*curl, f"http://{name}/name"]).stdout == "node-2\n"
        for place in ("127.0.0.1:22", f"127.0.0.1:{room.port}", "example.org", "blue-node-2"):
            assert run([*curl, f"http://{place}/"]).returncode != 0
    assert {("refused", "red", "port", where) for where in ("127.0.0.1:22", "example.org:80", "blue-node-2:80")} <= set(
        room.log()
    )


def test_twenty_sessions_at_once(room: Classroom) -> None:
    with ThreadPoolExecutor(20) as pool:
        commands = [f"seq {number} {number + 20000} | md5sum" for number in range(20)]
        said = list(pool.map(lambda command: room.ssh("127.0.0.1", command), commands))
    for command, done in zip(commands, said, strict=True):
        assert done.stdout == output(["sh", "-c", command]), done.stderr


@needs_chromium
def test_a_browser_has_a_nodes_terminal_its_console_and_its_screen(
    room: Classroom, driver: str, tmp_path: Path
) -> None:
    link = room.host.labctl("access", "link", "red", "--door", f"localhost:{room.web}").stdout.split()[-1]
    with contextlib.closing(Driver(driver, tmp_path / "browser")) as browser:
        browser.open(link)
        browser.until("node-1")
        browser.open(f"https://localhost:{room.web}/open/terminal/node-1")
        browser.until("root@node-1")
        browser.keys("expr 6 \\* 7; stty size\ue007")
        browser.until("42")
        browser.open(f"https://localhost:{room.web}/open/console/node-1")
        browser.until("Connected.")
        room.ssh("127.0.0.1", "echo printed-now > /dev/ttyS0")
        browser.until("printed-now")
        browser.open(f"https://localhost:{room.web}/open/console/node-1")
        browser.until("printed-now")  # again, for whoever comes later
        browser.open(f"https://localhost:{room.web}/open/picture/node-1")
        browser.until("Connected.")
        until(lambda: browser.colours() > 1)
        assert browser.complaints() == []
    where = [(event, what) for event, team, what, node in room.log() if (team, node) == ("red", "node-1")]
    assert {("open", f"browser {kind}") for kind in ("terminal", "console", "screen")} <= set(where)


def test_what_is_not_the_teams_is_refused_and_on_record(room: Classroom) -> None:
    assert room.ssh("127.0.0.1", "hostname", user="blue+node-1").returncode == 255
    assert room.ssh("127.0.0.1", "hostname", key="eve").returncode == 255
    mgmt = room.host.document("status", "blue")["nodes"][0]["addresses"]["mgmt"]
    gateway = mgmt.rpartition(".")[0] + ".1"
    for place in (f"{mgmt}:22", f"{gateway}:53", "127.0.0.1:22", "localhost:22"):
        done = room.ssh("-W", place, "127.0.0.1", user="red")
        assert (done.returncode, "administratively prohibited" in done.stderr) == (255, True)
    assert room.ssh("-R", "0:127.0.0.1:22", "-oExitOnForwardFailure=yes", "127.0.0.1", "hostname").returncode == 255
    agent = room.folder / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(agent)], stdout=subprocess.DEVNULL) as running:
        until(agent.exists)
        env = os.environ | {"SSH_AUTH_SOCK": str(agent), "DISPLAY": "127.0.0.1:99", "LC_ALL": "C.UTF-8"}
        argv = ["ssh", *room.options(), "-A", "-X", "-oSendEnv=LC_ALL", "-p", str(room.port), "red+node-1@127.0.0.1"]
        done = run([*argv, "env"], env=env)
        running.terminate()
    assert done.returncode == 0
    assert not {"SSH_AUTH_SOCK", "DISPLAY", "LC_ALL"} & {line.partition("=")[0] for line in done.stdout.splitlines()}
    recorded = set(room.log())
    assert {
        ("failed", "blue", "key", ""),
        ("failed", "red", "key", ""),
        ("refused", "red", "port", f"{mgmt}:22"),
        ("refused", "red", "port", f"{gateway}:53"),
        ("refused", "red", "agent forwarding", ""),
        ("refused", "red", "X11 forwarding", ""),
    } <= recorded
    assert any(line[2] == "remote forwarding" for line in recorded)


@needs_chromium
def test_a_reset_by_the_boards_button_ends_the_sessions_of_its_node_alone(
    room: Classroom, driver: str, tmp_path: Path
) -> None:
    argv = ["ssh", *room.options(), "-p", str(room.port)]
    with ThreadPoolExecutor(2) as pool:
        waiting = [
            pool.submit(run, [*argv, f"red+{node}@127.0.0.1", "sleep 120"], timeout=600)
            for node in ("node-1", "node-2")
        ]
        until(lambda: sum(line[2] == "command" and line[0] == "open" for line in room.log()) >= 2)
        with contextlib.closing(Driver(driver, tmp_path / "browser")) as browser:
            browser.open(room.host.labctl("access", "link", "--door", f"localhost:{room.web}").stdout.split()[-1])
            browser.open(f"https://localhost:{room.web}/team/red")
            browser.click("tbody tr:first-child summary")
            browser.click("tbody tr:first-child button.danger")
            browser.until("reset done", seconds=300)
        gone = waiting[0].result(60)
        assert (gone.returncode, "node-1 was reset or removed" in gone.stderr) == (255, True)
        assert not waiting[1].done()
        assert room.ssh("127.0.0.1", "hostname").stdout == "node-1\n"  # the new one
        room.ssh("127.0.0.1", "pkill -x sleep", user="red+node-2")
        waiting[1].result(60)


def test_a_killed_door_harms_no_lab_and_opens_again(room: Classroom) -> None:
    before, home = room.host.inventory(), Home(room.host.home)
    logins = len([line for line in room.log() if line[0] == "login"])
    hands.put(home, "red", up=True, text="it-was-up-before")
    cookie = f"{COOKIE}={passes.issue(home, 'red', passes.SESSION, seconds=600)}"
    place, trusted = f"localhost:{room.web}", one_way_tls(home.root / "door" / "tls.pem")
    with (
        connect(
            f"wss://{place}/open/terminal/node-1/socket",
            ssl=trusted,
            origin=Origin(f"https://{place}"),
            additional_headers={"cookie": cookie},
            proxy=None,
        ) as terminal,
        subprocess.Popen(
            ["ssh", *room.options(), "-p", str(room.port), "red+node-2@127.0.0.1", "sleep 300"],
            stdin=subprocess.DEVNULL,
        ) as ssh,
    ):
        assert terminal.recv(timeout=60)
        until(lambda: len([line for line in room.log() if line[0] == "login"]) == logins + 1)
        room.serve.send_signal(signal.SIGKILL)
        room.serve.wait()
        assert ssh.wait(30) == 255
        with pytest.raises(ConnectionClosed):
            list(terminal)
    room.restart()
    until(lambda: "it-was-up-before" in page(room, cookie))
    assert room.ssh("127.0.0.1", "hostname", user="red+node-2").stdout == "node-2\n"  # by the same host key
    assert len([line for line in room.log() if line[0] == "login"]) == logins + 2
    after = room.host.inventory()
    assert {key: after[key] for key in ("domains", "networks", "volumes")} == {
        key: before[key] for key in ("domains", "networks", "volumes")
    }
    busy = room.host.labctl("serve", "--ssh", f"127.0.0.1:{free_port()}", check=False)
    assert busy.returncode == 3
