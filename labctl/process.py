"""Runs programs on this machine: the only user of subprocess.

What they make has the same permissions whoever runs labctl.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from labctl.errors import ProcessError
from labctl.modes import UMASK

_STOPPING = 3.0  # seconds that a resident program may take to end when it is told to
_DRAIN = 1.0  # seconds for the last words of one that has ended
_TAIL = 16 * 1024  # bytes of a resident program's complaints that are kept


class Resident:
    """A program that runs beside us until it is stopped, or until we end, however that happens.

    It has a session of its own: Ctrl-C on our terminal does not reach it, and it cannot ask a question there.

    Args:
        argv: the program and its arguments; no shell is involved. Nothing is on its standard input, its output goes
            nowhere, its complaints are kept.

    Raises:
        ProcessError: the program, or setpriv, is missing.
    """

    def __init__(self, argv: Sequence[str | Path]) -> None:
        program, setpriv = find(str(argv[0])), find("setpriv")
        if program is None or setpriv is None:
            missing = argv[0] if program is None else "setpriv"
            raise ProcessError(f"{missing} is not installed", remedy="labctl doctor names the package it comes in.")
        self._command = [str(setpriv), "--pdeathsig", "TERM", "--", str(program), *map(str, argv[1:])]
        self._complaints = bytearray()
        self._failure: OSError | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._started = threading.Event()
        # The kernel sends the signal when the thread ends that started the program: this one waits for it.
        self._thread = threading.Thread(target=self._attend, name=f"resident-{program.name}", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            raise ProcessError(f"{argv[0]} could not be started", details=str(self._failure)) from self._failure

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def complaints(self) -> str:
        """The end of what it wrote to its standard error; all of it once it has ended."""
        if not self.alive:
            self._thread.join(_DRAIN)  # what it left behind may hold the pipe open
        return self._complaints.decode(errors="replace").strip()

    def stop(self) -> None:
        """End it; safe more than once."""
        if self._process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)  # with what it started
            self._thread.join(_STOPPING)

    def _attend(self) -> None:
        try:
            process = subprocess.Popen(  # noqa: S603 - argv only, never a shell
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
                umask=UMASK,
            )
        except OSError as exc:
            self._failure = exc
            self._started.set()
            return
        self._process = process
        self._started.set()
        assert process.stderr is not None
        with process.stderr as complaints:
            while content := complaints.read1():  # type: ignore[attr-defined]
                self._complaints = (self._complaints + content)[-_TAIL:]
        process.wait()


def find(program: str) -> Path | None:
    """Return where `program` is, looking in the administrator's folders too; None when it is missing."""
    found = shutil.which(program) or shutil.which(program, path="/usr/local/sbin:/usr/sbin:/sbin")
    return Path(found) if found else None


def execute(
    argv: Sequence[str | Path], *, timeout: float, stdin: bytes | None = None, env: Mapping[str, str] | None = None
) -> tuple[int, bytes, bytes]:
    """Run a program to its end, however it ends; return its exit code, output and complaints.

    Args:
        argv, timeout, stdin, env: see `run`.

    Raises:
        ProcessError: the program is missing or took too long; details hold the last lines it printed.
    """
    program = find(str(argv[0]))
    if program is None:
        raise ProcessError(f"{argv[0]} is not installed", remedy="labctl doctor names the package it comes in.")
    try:
        done = subprocess.run(  # noqa: S603 - argv only, never a shell
            [str(program), *map(str, argv[1:])],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout,
            env=env,
            umask=UMASK,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        said = ((exc.stdout or b"") + (exc.stderr or b"")).decode(errors="replace")
        raise ProcessError(
            f"it did not end within {timeout:.0f} s", details="\n".join(said.splitlines()[-12:])
        ) from exc
    return done.returncode, done.stdout, done.stderr


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    stdin: bytes | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> bytes:
    """Run a program to its end and return what it printed.

    Args:
        argv: the program and its arguments; no shell is involved.
        timeout: seconds after which the program is ended.
        stdin: bytes for its standard input; nothing when None.
        cwd: folder to run in.
        env: the whole environment; ours when None.
        log: file that receives the output (both streams) instead of the return value.

    Raises:
        ProcessError: the program is missing, failed or took too long; details hold the last lines it printed.
    """
    program = find(str(argv[0]))
    if program is None:
        raise ProcessError(f"{argv[0]} is not installed", remedy="labctl doctor names the package it comes in.")
    command = [str(program), *map(str, argv[1:])]
    with log.open("ab") if log else contextlib.nullcontext() as sink:
        try:
            done = subprocess.run(  # noqa: S603 - argv only, never a shell
                command,
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                stdout=sink or subprocess.PIPE,
                stderr=subprocess.STDOUT if log else subprocess.PIPE,
                timeout=timeout,
                cwd=cwd,
                env=env,
                umask=UMASK,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise ProcessError(f"{argv[0]} did not end within {timeout:.0f} s") from exc
    if done.returncode:
        said = log.read_bytes() if log else (done.stderr or b"") + (done.stdout or b"")
        tail = "\n".join(said.decode(errors="replace").strip().splitlines()[-12:])
        remedy = f"The whole output is in {log}." if log else ""
        raise ProcessError(f"{argv[0]} failed with exit code {done.returncode}", details=tail, remedy=remedy)
    return done.stdout or b""
