"""The remote room against a real sshd of our own, on a free port of this machine."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from labctl.errors import DeadlineError, InputError, RemoteError
from labctl.host.namespace import NetworkNamespace
from labctl.remote import keys, wait
from labctl.remote.dial import Dialer, Direct, HostError, Jump, Namespace
from labctl.remote.keys import KeyPair
from labctl.remote.ssh import SshTransport
from labctl.remote.translate import HostKeyError, LoginError

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")

pytestmark = pytest.mark.skipif(SSHD is None, reason="needs openssh-server")


@dataclass
class Server:
    """An sshd with keys of its own."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    host: KeyPair
    user: KeyPair

    def connect(self, *, name: str = "node", dialer: Dialer | None = None, **options: object) -> SshTransport:
        stream = (dialer or Direct()).connect("127.0.0.1", self.port, timeout=5)
        settings: dict[str, object] = {"key": self.user.private, "host_key": self.host.public, "timeout": 20}
        settings |= {"user": getpass.getuser()} | options
        return SshTransport.connect(stream, name=name, **settings)  # type: ignore[arg-type]


def _write(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


@contextlib.contextmanager
def _running(folder: Path, port: int, *, prefix: tuple[str, ...] = ()) -> Iterator[Server]:
    host, user = keys.generate("host"), keys.generate("user")
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {_write(folder / 'host', host.private)}",
        f"AuthorizedKeysFile {_write(folder / 'authorized', user.public)}",
        "StrictModes no",
        "UsePAM no",
        "PidFile none",
        "PermitRootLogin yes",
    ]
    config = _write(folder / "sshd_config", "\n".join(lines) + "\n")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd wants it when root starts it
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*prefix, str(SSHD), "-D", "-e", "-f", str(config)], stderr=log)
    try:
        yield Server(folder, port, process, host, user)
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(timeout=10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until(condition: Callable[[], object], *, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with _running(tmp_path_factory.mktemp("sshd"), _free_port()) as running:
        wait.wait_for_ssh(Direct(), "127.0.0.1", port=running.port, deadline=time.monotonic() + 20).close()
        yield running


@pytest.fixture(scope="module")
def shared(server: Server) -> Iterator[SshTransport]:
    with server.connect() as transport:
        yield transport


@pytest.fixture
def node(server: Server) -> Iterator[SshTransport]:
    with server.connect() as transport:
        yield transport


def test_a_command_returns_both_streams_and_its_exit_code(shared: SshTransport) -> None:
    result = shared.run("echo said; echo complained >&2; exit 3", timeout=10, check=False)
    assert (result.exit_code, result.stdout, result.stderr) == (3, "said\n", "complained\n")


def test_words_reach_the_program_unchanged(shared: SshTransport) -> None:
    words = ["a b", "$HOME", "it's", "*", ";", "ä", "line\nbreak"]
    assert shared.run(["printf", "%s|", *words], timeout=10).stdout == "".join(f"{word}|" for word in words)


def test_a_failure_tells_node_command_and_last_words(shared: SshTransport) -> None:
    with pytest.raises(RemoteError) as caught:
        shared.run("echo the reason >&2; false", timeout=10)
    assert caught.value.brief == "node: echo the reason >&2; false failed with exit code 1"
    assert caught.value.details == "the reason"


def test_a_command_that_a_signal_ended_has_failed(shared: SshTransport) -> None:
    assert shared.run("kill -9 $$", timeout=10, check=False).exit_code == -1
    with pytest.raises(RemoteError, match="ended by a signal"):
        shared.run("kill -9 $$", timeout=10)


def test_much_input_and_much_output_do_not_block_each_other(shared: SshTransport) -> None:
    content = os.urandom(6 << 20).hex().encode()
    assert shared.run("cat", stdin=content, timeout=60).stdout.encode() == content


def test_input_that_nobody_reads_is_no_error(shared: SshTransport) -> None:
    assert shared.run("true", stdin=b"x" * (5 << 20), timeout=30).ok


def test_output_is_told_line_by_line_as_it_comes(shared: SshTransport) -> None:
    arrived: list[tuple[str, float]] = []
    shared.run(
        "echo first; sleep 0.6; printf 'second, no newline'",
        timeout=10,
        on_output=lambda line: arrived.append((line, time.monotonic())),
    )
    assert [line for line, _ in arrived] == ["first", "second, no newline"]
    assert arrived[1][1] - arrived[0][1] > 0.4


def test_a_daemon_left_behind_does_not_hold_the_command(shared: SshTransport) -> None:
    started = time.monotonic()
    result = shared.run("sleep 30 & echo $!", timeout=25)
    os.kill(int(result.stdout), signal.SIGKILL)
    assert time.monotonic() - started < 10


def test_a_late_command_is_given_up_and_the_connection_stays(shared: SshTransport) -> None:
    with pytest.raises(DeadlineError) as caught:
        shared.run("echo working; exec sleep 3", timeout=0.7)
    assert "did not end within" in caught.value.brief
    assert caught.value.details == "working"
    assert shared.run("echo still here", timeout=10).ok


def test_an_interrupt_ends_a_command(shared: SshTransport) -> None:
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    started = time.monotonic()
    with pytest.raises(RemoteError, match="interrupted"):
        shared.run("exec sleep 5", timeout=60, cancelled=cancelled)
    assert time.monotonic() - started < 3


def test_commands_that_were_given_up_take_no_room_for_ever(node: SshTransport) -> None:
    def give_up(_: int) -> None:
        with pytest.raises(DeadlineError):
            node.run("exec sleep 2", timeout=0.5)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(give_up, range(8)))
    with ThreadPoolExecutor(8) as pool:  # sshd counts the eight as sessions until they end
        assert all(result.ok for result in pool.map(lambda _: node.run("true", timeout=30), range(8)))


def test_many_threads_share_one_connection(shared: SshTransport) -> None:
    with ThreadPoolExecutor(20) as pool:  # more than sshd allows sessions at once
        said = list(pool.map(lambda number: shared.run(f"echo {number}", timeout=60).stdout.strip(), range(40)))
    assert said == [str(number) for number in range(40)]


def test_files_go_and_come_unchanged(shared: SshTransport, tmp_path: Path) -> None:
    content = os.urandom(3 << 20) + b"\x00\xff\n"
    path = tmp_path / "it's a file"
    shared.put(content, str(path), mode=0o600, owner=getpass.getuser())
    assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(content).digest()
    assert path.stat().st_mode & 0o777 == 0o600
    assert shared.read(str(path)) == content
    shared.put(b"", str(path))
    assert path.read_bytes() == b""
    assert path.stat().st_mode & 0o777 == 0o644


def test_what_cannot_be_written_or_read_is_an_error(shared: SshTransport, tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match="cannot be written"):
        shared.put(b"x", str(tmp_path / "missing/file"))
    with pytest.raises(RemoteError) as caught:
        shared.read(str(tmp_path / "missing"))
    assert "No such file" in caught.value.details


def test_a_port_is_reached_from_the_node(shared: SshTransport, server: Server) -> None:
    stream = shared.forward("127.0.0.1", server.port)
    stream.settimeout(5)
    assert stream.recv(4, socket.MSG_PEEK) == b"SSH-"
    assert stream.recv(4) == b"SSH-"
    stream.close()
    with pytest.raises(RemoteError):
        shared.forward("127.0.0.1", _free_port())


def test_another_host_key_is_refused_and_nothing_is_sent(server: Server) -> None:
    other = keys.generate("other").public
    with pytest.raises(HostKeyError) as caught:
        server.connect(host_key=other)
    assert keys.fingerprint(other) in caught.value.details
    assert keys.fingerprint(server.host.public) in caught.value.details


def test_another_type_of_host_key_is_refused(server: Server) -> None:
    ecdsa = (
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRr"
        "YMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg="
    )
    with pytest.raises(HostKeyError):
        server.connect(host_key=ecdsa)


def test_another_login_key_is_refused(server: Server) -> None:
    with pytest.raises(LoginError):
        server.connect(key=keys.generate("other").private)


def test_the_users_ssh_folder_is_neither_read_nor_written(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".ssh").mkdir()
    _write(tmp_path / ".ssh/id_ed25519", server.user.private)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(LoginError):
        server.connect(key=keys.generate("other").private)
    server.connect().close()
    assert [file.name for file in (tmp_path / ".ssh").iterdir()] == ["id_ed25519"]


def test_a_key_that_is_none_is_refused(server: Server) -> None:
    with pytest.raises(RemoteError, match="private key"):
        server.connect(key="no key")
    with pytest.raises(InputError):
        server.connect(host_key="no key")


def test_closing_from_elsewhere_ends_a_command_at_once(node: SshTransport) -> None:
    threading.Timer(0.3, node.close).start()
    started = time.monotonic()
    with pytest.raises(RemoteError, match="lost"):
        node.run("exec sleep 5", timeout=60)
    assert time.monotonic() - started < 3
    assert not node.alive
    with pytest.raises(RemoteError):
        node.run("true", timeout=5)


def test_closing_takes_no_time(server: Server) -> None:
    transport = server.connect()
    started = time.monotonic()
    transport.close()
    transport.close()
    assert time.monotonic() - started < 0.2


def test_a_node_that_dies_during_a_command_is_lost(tmp_path: Path) -> None:
    with _running(tmp_path, _free_port()) as own:
        wait.wait_for_ssh(Direct(), "127.0.0.1", port=own.port, deadline=time.monotonic() + 20).close()
        with own.connect() as transport:
            parent = "ps -o ppid= -p $PPID" if os.geteuid() else "echo $PPID"
            session = int(transport.run(parent, timeout=10).stdout)
            threading.Timer(0.3, os.kill, (session, signal.SIGKILL)).start()
            with pytest.raises(RemoteError, match="lost"):
                transport.run("exec sleep 5", timeout=60)


def test_a_node_that_stands_still_meets_the_deadline(tmp_path: Path) -> None:
    with _running(tmp_path, _free_port()) as own:
        wait.wait_for_ssh(Direct(), "127.0.0.1", port=own.port, deadline=time.monotonic() + 20).close()
        with own.connect() as transport:
            parent = "ps -o ppid= -p $PPID" if os.geteuid() else "echo $PPID"
            session = int(transport.run(parent, timeout=10).stdout)
            os.kill(session, signal.SIGSTOP)
            try:
                started = time.monotonic()
                with pytest.raises(DeadlineError):
                    transport.run("true", timeout=0.8)
                assert time.monotonic() - started < 3
            finally:
                os.kill(session, signal.SIGCONT)
        own.process.send_signal(signal.SIGSTOP)  # the kernel still accepts connections, nobody greets
        with pytest.raises(DeadlineError):
            own.connect(timeout=0.8)
        assert wait.banner(Direct(), "127.0.0.1", port=own.port, timeout=0.5) is None


def test_logging_in_waits_for_a_node_that_boots(tmp_path: Path) -> None:
    port = _free_port()
    servers: list[Server] = []
    with contextlib.ExitStack() as stack:
        threading.Timer(0.7, lambda: servers.append(stack.enter_context(_running(tmp_path, port)))).start()
        wait.wait_for_ssh(Direct(), "127.0.0.1", port=port, deadline=time.monotonic() + 20).close()
        own = servers[0]
        greeting = wait.banner(Direct(), "127.0.0.1", port=port, timeout=5)
        assert greeting is not None
        assert greeting.startswith("SSH-2.0-OpenSSH")
        transport = wait.log_in(
            Direct(),
            "127.0.0.1",
            port=port,
            name="node",
            user=getpass.getuser(),
            key=own.user.private,
            host_key=own.host.public,
            deadline=time.monotonic() + 20,
        )
        with transport:
            assert transport.run("echo in", timeout=10).stdout == "in\n"


def test_a_first_boot_may_show_other_keys_for_a_moment(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(wait, "_LOGIN_PAUSE", 0.2)
    authorized = server.folder / "authorized"
    authorized.write_text("")
    threading.Timer(0.5, authorized.write_text, (server.user.public,)).start()
    options = {"name": "node", "user": getpass.getuser(), "key": server.user.private, "port": server.port}
    deadline = time.monotonic() + 20
    wait.log_in(Direct(), "127.0.0.1", host_key=server.host.public, deadline=deadline, **options).close()  # type: ignore[arg-type]
    monkeypatch.setattr(wait, "_SETTLING", 0.5)
    with pytest.raises(HostKeyError):
        wait.log_in(
            Direct(),
            "127.0.0.1",
            host_key=keys.generate("other").public,
            deadline=time.monotonic() + 20,
            **options,  # type: ignore[arg-type]
        )


def _jump(server: Server, folder: Path, *, known: KeyPair, host: str = "kvm1", more: str = "") -> Jump:
    entry = keys.known_hosts([([f"[127.0.0.1]:{server.port}"], known.public)])
    lines = [
        "Host kvm1",
        "  HostName 127.0.0.1",
        f"  Port {server.port}",
        f"  User {getpass.getuser()}",
        f"  IdentityFile {_write(folder / 'identity', server.user.private)}",
        "  IdentitiesOnly yes",
        f"  UserKnownHostsFile {_write(folder / 'known', entry)}",
        "Host kvm2",
        "  HostName 127.0.0.1",
        f"  Port {server.port}",
        f"  User {getpass.getuser()}",
        f"  IdentityFile {folder / 'identity'}",
        "  IdentitiesOnly yes",
        f"  UserKnownHostsFile {folder / 'known'}",
        "  ProxyJump kvm1",
    ]
    _write(folder / "hosts", "\n".join(lines) + "\n")
    return Jump(host, config=_write(folder / "config", f"{more}\nInclude {folder}/hosts\n"))


@pytest.mark.parametrize("host", ["kvm1", "kvm2"])
def test_a_guest_is_reached_through_its_host(server: Server, tmp_path: Path, host: str) -> None:
    dialer = _jump(server, tmp_path, known=server.host, host=host)
    try:
        assert (wait.banner(dialer, "127.0.0.1", port=server.port, timeout=10) or "").startswith("SSH-2.0-")
        assert wait.banner(dialer, "127.0.0.1", port=_free_port(), timeout=10) is None
        stream = wait.wait_for_ssh(dialer, "127.0.0.1", port=server.port, deadline=time.monotonic() + 20)
        user = getpass.getuser()
        guest = SshTransport.connect(stream, name="g", user=user, key=server.user.private, host_key=server.host.public)
        with guest:
            assert guest.run("cat", stdin=b"x" * 300_000, timeout=20).stdout == "x" * 300_000
    finally:
        dialer.close()
    with contextlib.closing(dialer):  # opens again when it is needed again
        dialer.connect("127.0.0.1", server.port, timeout=10).close()


@pytest.mark.skipif(not shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin"), reason="needs iproute2")
def test_the_hosts_routes_are_asked_for(server: Server, tmp_path: Path) -> None:
    with contextlib.closing(_jump(server, tmp_path, known=server.host)) as dialer:
        assert {str(network) for network in Direct().routes()} <= {str(network) for network in dialer.routes()}


def test_a_host_whose_login_shell_talks_is_named(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labctl.remote.dial._ROUTES", "echo Welcome to kvm1")
    dialer = _jump(server, tmp_path, known=server.host)
    with contextlib.closing(dialer), pytest.raises(HostError) as caught:
        dialer.routes()
    assert "Welcome to kvm1" in caught.value.details


def test_a_host_with_an_unknown_key_is_not_trusted(server: Server, tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught:
        _jump(server, tmp_path, known=keys.generate("other")).connect("127.0.0.1", server.port, timeout=10)
    assert "ssh kvm1" in caught.value.remedy


def test_a_host_that_is_not_there_says_what_ssh_said(tmp_path: Path) -> None:
    config = _write(tmp_path / "config", "Host kvm9\n HostName kvm9.invalid\n")
    with contextlib.closing(Jump("kvm9", config=config)) as dialer, pytest.raises(HostError) as caught:
        dialer.connect("127.0.0.1", 22, timeout=10)
    assert "kvm9.invalid" in caught.value.details


def test_a_host_that_stands_still_meets_the_deadline_and_one_that_died_is_logged_in_to_again(tmp_path: Path) -> None:
    port = _free_port()
    (tmp_path / "server").mkdir()
    with (
        _running(tmp_path / "server", port) as own,
        contextlib.closing(_jump(own, tmp_path, known=own.host)) as dialer,
    ):
        _until(lambda: wait.banner(Direct(), "127.0.0.1", port=port, timeout=5))
        kept = dialer.connect("127.0.0.1", port, timeout=10)
        sessions = [int(pid) for pid in _children(own.process.pid)]
        for pid in sessions:
            os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(DeadlineError):
            dialer.connect("127.0.0.1", port, timeout=1)
        assert time.monotonic() - began < 3
        for pid in sessions:
            os.kill(pid, signal.SIGKILL)
        kept.settimeout(10)
        while kept.recv(4096):
            pass
        _until(lambda: wait.banner(dialer, "127.0.0.1", port=port, timeout=5))


def _children(pid: int) -> list[str]:
    """Return a process's children and their children."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [*found, *(child for each in found for child in _children(int(each)))]


def test_what_a_user_wants_for_every_host_reaches_no_node(server: Server, tmp_path: Path) -> None:
    """A node's users are root: with the organiser's agent forwarded, they could log in as the organiser."""
    with contextlib.closing(
        _jump(
            server, tmp_path, known=server.host, more="Host *\n ForwardAgent yes\n LocalForward 1 localhost:1\nHost *"
        )
    ) as dialer:
        options = {
            "IdentityFile": tmp_path / "identity",
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": tmp_path / "known",
            "StrictHostKeyChecking": "yes",
            "HostKeyAlias": f"[127.0.0.1]:{server.port}",
        }
        argv = [
            "ssh",
            "-F",
            "/dev/null",
            *dialer.ssh_options(),
            *(f"-o{key}={value}" for key, value in options.items()),
        ]
        argv += ["-p", str(server.port), f"{getpass.getuser()}@127.0.0.1", "echo in; env"]
        with _agent(tmp_path) as agent:
            done = subprocess.run(
                argv, env=os.environ | {"SSH_AUTH_SOCK": agent}, capture_output=True, text=True, timeout=60, check=False
            )
    assert done.stdout.startswith("in\n"), done.stderr
    assert "SSH_AUTH_SOCK" not in done.stdout


@contextlib.contextmanager
def _agent(folder: Path) -> Iterator[str]:
    path = str(folder / "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as process:
        _until(Path(path).exists)
        yield path
        process.terminate()


def test_the_connection_to_the_host_ends_with_us(server: Server, tmp_path: Path) -> None:
    """Also by SIGKILL: no process stays that anybody on this machine could go through the host by."""
    _jump(server, tmp_path, known=server.host)
    script = (
        "import sys, pathlib; from labctl.remote.dial import Jump\n"
        f"jump = Jump('kvm1', config=pathlib.Path({str(tmp_path / 'config')!r}))\n"
        f"jump.connect('127.0.0.1', {server.port}, timeout=20)\n"
        "print(jump._server._master._process.pid, flush=True); sys.stdin.read()"
    )
    ours = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert ours.stdout is not None
    pid = int(ours.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    ours.kill()
    ours.wait()
    _until(lambda: not Path(f"/proc/{pid}").exists() or "zombie" in Path(f"/proc/{pid}/status").read_text())


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a network namespace")
def test_a_guest_is_reached_inside_a_network_namespace(tmp_path: Path) -> None:
    port = _free_port()
    inside = ("unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    with _running(tmp_path, port, prefix=inside) as own:
        ours, theirs = Path("/proc/self/ns/net"), Path(f"/proc/{own.process.pid}/ns/net")
        _until(lambda: theirs.readlink() != ours.readlink())
        dialer = Namespace(NetworkNamespace.of(own.process.pid))
        wait.wait_for_ssh(dialer, "127.0.0.1", port=port, deadline=time.monotonic() + 20).close()
        with own.connect(dialer=dialer) as transport:
            seen = transport.run(["readlink", str(ours)], timeout=10).stdout
            assert seen.strip() == str(theirs.readlink())
        with pytest.raises(RemoteError):
            Direct().connect("127.0.0.1", port, timeout=1)
        done = subprocess.run(dialer.command(["readlink", str(ours)]), check=True, capture_output=True, text=True)
        assert done.stdout.strip() == str(theirs.readlink())
