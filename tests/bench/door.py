"""Measures what the SSH door costs: at rest, and while 20 terminals print a megabyte a second each.

    python -m tests.bench.door

The door, the node behind it and the visitors are processes of their own, all on loopback. The node is a small SSH
server that prints at that pace. What is measured is the door's process alone, by /proc.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import asyncssh

from labctl.door import hall, server
from labctl.door.server import Listening
from labctl.errors import LabctlError
from labctl.lab.sessions import SessionEvent
from labctl.lab.visit import NodeKeys
from labctl.remote import keys
from tests.unit.fake_classroom import DOOR, PASSWORDS, FakeLabs

TERMINALS = 20
PACE = 1_000_000  # bytes a second
SECONDS = 20.0
_PART = 0.05
_KEY = "LABCTL_BENCH_KEY"  # of the environment: one private key for the node and for the lab


class Open(asyncssh.SSHServer):
    """Lets everybody in."""

    def begin_auth(self, username: str) -> bool:
        return False


class Labs(FakeLabs):
    """Labs whose node is another process."""

    def keys(self, team: str, node: str) -> NodeKeys:
        private = os.environ[_KEY]
        return NodeKeys(private=private, host=keys.public_of(private, "node"))


async def node() -> None:
    """Be the node: print at the pace until the visitor leaves."""
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # visitors are killed at the end

    async def program(process: asyncssh.SSHServerProcess[bytes]) -> None:
        line = b"x" * 99 + b"\n"
        while True:
            process.stdout.write(line * int(PACE * _PART / len(line)))
            await process.stdout.drain()
            await asyncio.sleep(_PART)

    made = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Open,
        server_host_keys=[asyncssh.import_private_key(os.environ[_KEY])],
        process_factory=program,
        config=None,
        encoding=None,
        line_editor=False,
    )
    say(made.get_port())
    await asyncio.Event().wait()


async def door(port: int) -> None:
    """Be the door, with that node behind it."""

    def record(_: Sequence[SessionEvent]) -> None: ...

    def failed(error: LabctlError) -> None:
        raise error

    where = Listening(address="127.0.0.1", port=0, host_key=DOOR.private)
    async with hall.opened(Labs(ssh=port), record=record, failed=failed) as behind, server.opened(behind, where) as own:
        say(own)
        await asyncio.Event().wait()


def say(what: object) -> None:
    """Tell a result, or a port."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def measure() -> None:
    """Start all, and print what the door took."""
    started: list[subprocess.Popen[str]] = []
    os.environ[_KEY] = keys.generate("node").private
    try:
        behind = start(started, "tests.bench.door", "node")
        own = start(started, "tests.bench.door", "door", str(behind))
        pid = started[-1].pid
        say(f"at rest: {share(pid, 5.0):.1%} of a core, {resident(pid):.0f} MiB")
        with tempfile.TemporaryDirectory() as folder:
            ask = Path(folder) / "ask"
            ask.write_text(f"#!/bin/sh\necho {PASSWORDS['red']}\n")
            ask.chmod(0o700)
            env = os.environ | {"SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
            options = [
                "-F/dev/null",
                "-oStrictHostKeyChecking=no",
                "-oUserKnownHostsFile=/dev/null",
                "-oLogLevel=ERROR",
            ]
            for number in range(TERMINALS):
                argv = ["ssh", *options, "-tt", "-p", str(own), f"red+node-{1 + number % 2}@127.0.0.1"]
                with (Path(folder) / str(number)).open("wb") as out:
                    quiet = subprocess.DEVNULL
                    started.append(subprocess.Popen(argv, env=env, stdin=quiet, stdout=out, stderr=quiet, text=True))
            time.sleep(10)
            before = sum(path.stat().st_size for path in Path(folder).iterdir())
            taken = share(pid, SECONDS)
            after = sum(path.stat().st_size for path in Path(folder).iterdir())
            rate = (after - before) / SECONDS / 1e6
            say(f"{TERMINALS} terminals, {rate:.1f} MB/s together: {taken:.0%} of a core, {resident(pid):.0f} MiB")
    finally:
        stop(started)


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
        case ["node"]:
            asyncio.run(node())
        case ["door", port]:
            asyncio.run(door(int(port)))
        case _:
            measure()
