"""Runs programs on this machine: the only user of subprocess."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from labctl.errors import ProcessError


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
