"""Measures what the doors cost: at rest, and while 20 terminals print a megabyte a second each.

    python -m tests.bench.door

Once the terminals are OpenSSH's clients at the SSH door, and once WebSockets of the team's page. One process opens both
doors, as `labctl serve` does. What is measured is this process alone, by /proc. The node behind it, the visitors and
the programs that print are processes of their own, all on loopback. The node is this machine's own OpenSSH server
instead of a guest's: an emulated guest cannot print 20 MB/s.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect
from websockets.typing import Origin

from labctl.board import server as pages
from labctl.board.origin import COOKIE
from labctl.door import hall, server
from labctl.door.server import Listening
from labctl.errors import LabctlError
from labctl.lab import access, passes
from labctl.site import site
from labctl.state import Home
from tests.unit.fake_classroom import DOOR, HOST, LAB, PASSWORDS, FakeLabs
from tests.unit.fake_site import World

TERMINALS = 20
PACE = 1_000_000  # bytes a second
SECONDS = 20.0
_PART = 0.05
_SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin") or "sshd"


def program() -> None:
    """Be a program on the node: print at the pace until the terminal is gone."""
    part = (b"x" * 98 + b"\n") * int(PACE * _PART / 100)  # the terminal adds a carriage return to each line
    due = time.monotonic()
    with contextlib.suppress(OSError):
        while True:
            sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()
            due = max(due + _PART, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))


@contextlib.contextmanager
def node(folder: Path) -> Iterator[int]:
    """Run the node while a `with` statement lasts: an SSH server whose shells are that program; give its port."""
    for name, text in (("host", HOST.private), ("authorized", LAB.public)):
        (folder / name).write_text(f"{text.strip()}\n")
        (folder / name).chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder}/host",
        f"AuthorizedKeysFile {folder}/authorized",
        "PermitRootLogin yes",
        "PidFile none",
        "StrictModes no",
        "UsePAM no",
        f"ForceCommand cd {Path.cwd()} && exec {sys.executable} -m tests.bench.door program",
    ]
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd wants it when root starts it
    argv = ["setpriv", "--pdeathsig", "TERM", _SSHD, "-D", "-e", "-f", str(folder / "sshd_config")]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.terminate()


async def doors(folder: Path) -> None:
    """Be the doors, with that node behind them; tell the ports of SSH and of the pages."""
    world = World(folder)
    world.create("red")
    access.give(world.home, "red")

    @contextlib.contextmanager
    def there(*_: Any, **__: Any) -> Iterator[Any]:
        yield world.site()

    def failed(error: LabctlError) -> None:
        raise error

    site.opened = there
    pem = pages.self_made(world.home, ())
    with node(folder) as behind:
        by_ssh = Listening(address="127.0.0.1", port=0, host_key=DOOR.private)
        by_web = pages.Listening(address="127.0.0.1", port=0, certificate=pem, key=pem, ssh_port=None)
        async with (
            hall.opened(FakeLabs(ssh=behind), record=lambda _: None, failed=failed) as inner,
            server.opened(inner, by_ssh) as ssh_port,
            pages.opened(world.home, by_web, inner, failed=failed) as web_port,
        ):
            say(ssh_port)
            say(web_port)
            await asyncio.Event().wait()


async def browsers(folder: Path, port: int) -> None:
    """Be the browsers of a team's terminals; write into a file how many bytes they have shown."""
    home = Home(folder / "home")
    trusted = ssl.create_default_context(cafile=home.root / "door" / "tls.pem")
    cookie = f"{COOKIE}={passes.issue(home, 'red', passes.SESSION, seconds=600)}"
    shown = os.open(folder / "shown", os.O_WRONLY | os.O_CREAT)
    total = 0

    async def browse(number: int) -> None:
        nonlocal total
        async with connect(
            f"wss://localhost:{port}/open/terminal/node-{1 + number % 2}/socket?columns=120&rows=40",
            ssl=trusted,
            origin=Origin(f"https://localhost:{port}"),
            additional_headers={"cookie": cookie},
            compression=None,
            max_size=None,
            proxy=None,
        ) as opened:
            async for data in opened:
                if isinstance(data, bytes):
                    total += len(data)
                    await opened.send(json.dumps({"read": len(data)}))

    async def count() -> None:
        while True:
            os.pwrite(shown, f"{total:20}".encode(), 0)
            await asyncio.sleep(0.1)

    say(TERMINALS)
    await asyncio.gather(count(), *(browse(number) for number in range(TERMINALS)))


def measure() -> None:
    """Start all, and print what the doors took."""
    for visit in (visit_by_ssh, visit_by_web):
        with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
            started: list[subprocess.Popen[str]] = []
            stack.callback(lambda made: stop(made), started)
            folder = Path(name)
            ports = [start(started, "tests.bench.door", "doors", name)]
            process = started[0]
            assert process.stdout is not None
            ports.append(int(process.stdout.readline()))
            time.sleep(5)
            say(f"nobody is there: {share(process.pid, 5.0):.1%} of a core, {resident(process.pid):.0f} MiB")
            what, shown = visit(folder, ports, started)
            time.sleep(10)
            before, began = shown(), time.monotonic()
            taken = share(process.pid, SECONDS)
            rate = (shown() - before) / (time.monotonic() - began) / 1e6
            say(f"{TERMINALS} {what}, {rate:.1f} MB/s together: {taken:.0%} of a core, {resident(process.pid):.0f} MiB")


def visit_by_ssh(
    folder: Path, ports: Sequence[int], started: list[subprocess.Popen[str]]
) -> tuple[str, Callable[[], int]]:
    """Have OpenSSH's clients come in; return what they are, and what tells how many bytes they have shown."""
    ask, out = folder / "ask", folder / "out"
    ask.write_text(f"#!/bin/sh\necho {PASSWORDS['red']}\n")
    ask.chmod(0o700)
    out.mkdir()
    env = os.environ | {"SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
    options = ["-F/dev/null", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR", "-tt"]
    for number in range(TERMINALS):
        argv = ["ssh", *options, "-p", str(ports[0]), f"red+node-{1 + number % 2}@127.0.0.1"]
        with (out / str(number)).open("wb") as file:
            quiet = subprocess.DEVNULL
            started.append(subprocess.Popen(argv, env=env, stdin=quiet, stdout=file, stderr=quiet, text=True))
    return "terminals of OpenSSH", lambda: sum(path.stat().st_size for path in out.iterdir())


def visit_by_web(
    folder: Path, ports: Sequence[int], started: list[subprocess.Popen[str]]
) -> tuple[str, Callable[[], int]]:
    """Have browsers come in; return what they are, and what tells how many bytes they have shown."""
    start(started, "tests.bench.door", "browsers", str(folder), str(ports[1]))
    return "terminals of the team's page", lambda: int((folder / "shown").read_text())


def start(started: list[subprocess.Popen[str]], *words: str) -> int:
    """Start a part of a bench, which is a module and its arguments; return the number that it prints."""
    argv = [sys.executable, "-m", *words]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    started.append(process)
    assert process.stdout is not None
    return int(process.stdout.readline())


def stop(started: Sequence[subprocess.Popen[str]]) -> None:
    """End all parts of a bench."""
    for process in reversed(started):
        process.kill()
        process.wait()


def say(what: object) -> None:
    """Tell a result, or a port."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def share(pid: int, seconds: float) -> float:
    """Return how much of a core a process takes over that time."""
    before, began = _ticks(pid), time.monotonic()
    time.sleep(seconds)
    return (_ticks(pid) - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - began)


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def resident(pid: int) -> float:
    """Return MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["program"]:
            program()
        case ["doors", folder]:
            asyncio.run(doors(Path(folder)))
        case ["browsers", folder, port]:
            asyncio.run(browsers(Path(folder), int(port)))
        case _:
            measure()
