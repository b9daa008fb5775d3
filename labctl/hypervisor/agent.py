"""Runs commands in a guest through its agent: without network and login, and as soon as a restored guest runs."""

from __future__ import annotations

import base64
import json
import shlex
import threading
import time
from typing import Any

import libvirt
import libvirt_qemu  # type: ignore[import-untyped]

from labctl.errors import DeadlineError, RemoteError
from labctl.guest import Result
from labctl.hypervisor.translate import translated

_PIECE = 96 * 1024  # bytes of input in one message: an agent that gets 256 KiB at once, in base64, never answers again
_PATIENCE = 2  # seconds for one answer; the agent is asked again until the deadline
_LOOKS = (0.02, 0.05, 0.1, 0.2, 0.3)  # seconds between looks whether a command has ended; the last one repeats
_SILENT = (libvirt.VIR_ERR_AGENT_UNRESPONSIVE, libvirt.VIR_ERR_AGENT_UNSYNCED)
_UNCERTAIN = (*_SILENT, libvirt.VIR_ERR_OPERATION_TIMEOUT)


def execute(
    domain: libvirt.virDomain, script: str, *, stdin: bytes, timeout: float, cancelled: threading.Event
) -> Result:
    """Run a shell script in a guest, as root.

    Args:
        stdin: its input; secrets belong there, the script shows in the guest's list of processes.
        timeout: seconds for everything, also for the agent to answer at all.
        cancelled: gives up when set.

    Raises:
        DeadlineError: the agent did not answer, or the script did not end.
        RemoteError: it was given up, or what answers is no agent: a guest's users may put anything in its place.
    """
    try:
        return _whole(domain, script, stdin, time.monotonic() + timeout, cancelled)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
        raise RemoteError(f"{domain.name()}: its guest agent's answer cannot be understood", details=repr(exc)) from exc


def _whole(domain: libvirt.virDomain, script: str, stdin: bytes, deadline: float, cancelled: threading.Event) -> Result:
    """Run a script with an input of any size: what is too large for one message is laid down in pieces first."""
    if len(stdin) <= _PIECE:
        return _execute(domain, script, stdin, deadline, cancelled)
    done = _execute(domain, "umask 077; mktemp /run/labctl-input.XXXXXX", b"", deadline, cancelled)
    path = shlex.quote(done.stdout.strip())
    for start in range(0, len(stdin), _PIECE):
        if not done.ok:
            return done
        done = _execute(domain, f"cat >>{path}", stdin[start : start + _PIECE], deadline, cancelled)
    return _execute(domain, f"exec <{path}; rm {path}\n{script}", b"", deadline, cancelled) if done.ok else done


def _execute(
    domain: libvirt.virDomain, script: str, stdin: bytes, deadline: float, cancelled: threading.Event
) -> Result:
    name = domain.name()
    arguments = {
        "path": "/bin/sh",
        "arg": ["-c", script],
        "input-data": base64.b64encode(stdin).decode(),
        "capture-output": True,
    }
    # A lost answer to guest-exec would run the script twice: wait until the agent answers, then send it once.
    _ask(domain, "guest-ping", {}, deadline, cancelled)
    with translated(f"run a command in {name}"):
        answer = libvirt_qemu.qemuAgentCommand(domain, _command("guest-exec", arguments), _left(deadline), 0)
    process = json.loads(answer)["return"]["pid"]
    looks = iter(_LOOKS)
    pause = 0.0
    while True:
        status = _ask(domain, "guest-exec-status", {"pid": process}, deadline, cancelled)
        if status["exited"]:
            return Result(
                exit_code=status.get("exitcode", -1),
                stdout=_text(status.get("out-data", "")),
                stderr=_text(status.get("err-data", "")),
            )
        pause = next(looks, pause)
        _pause(name, pause, deadline, cancelled)


def _ask(
    domain: libvirt.virDomain, what: str, arguments: dict[str, Any], deadline: float, cancelled: threading.Event
) -> Any:
    """Ask until there is an answer; the question must be one that may be repeated."""
    name = domain.name()
    while True:
        try:
            return json.loads(libvirt_qemu.qemuAgentCommand(domain, _command(what, arguments), _PATIENCE, 0))["return"]
        except libvirt.libvirtError as exc:
            if exc.get_error_code() not in _UNCERTAIN:
                with translated(f"ask the agent of {name}"):
                    raise
        _pause(name, 0.1, deadline, cancelled)


def _pause(name: str, seconds: float, deadline: float, cancelled: threading.Event) -> None:
    if time.monotonic() + seconds > deadline:
        raise DeadlineError(f"{name}: its guest agent did not answer in time")
    if cancelled.wait(seconds):
        raise RemoteError(f"{name}: its guest agent was not waited for")


def _command(name: str, arguments: dict[str, Any]) -> str:
    return json.dumps({"execute": name} | ({"arguments": arguments} if arguments else {}))


def _left(deadline: float) -> int:
    return max(1, int(deadline - time.monotonic()))


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode(errors="replace")
