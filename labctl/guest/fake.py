"""A guest that is a table, for tests: files and units in memory, and a command that it does not know is an error."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from labctl.errors import RemoteError
from labctl.guest.files import File
from labctl.guest.guest import Command, Result, shell_line

Answer = Callable[[str, bytes], "Result | str | int | None"]


@dataclass
class FakeGuest:
    """A guest in memory; see `Guest`.

    Attributes:
        files: what is at each path.
        units: unit to its two states, as systemctl says them.
        answers: pattern of a command to how it ends: a result, its output, its exit code, or a function that returns
            one of these. The first that matches the whole command counts.
        ran: every command, in order.
        received: the input of every command.
        fails: raised by the next call, whatever it is.
    """

    name: str = "node"
    files: dict[str, File] = field(default_factory=dict)
    units: dict[str, tuple[str, str]] = field(default_factory=dict)
    answers: dict[str, Result | str | int | Answer] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    fails: list[Exception] = field(default_factory=list)
    beneath: dict[str, str] = field(default_factory=dict)  # what masked units were before
    clock: int = 1_700_000_000_000_000_000

    def file(self, path: str, content: str = "", *, mode: int = 0o644, owner: str = "root:root") -> None:
        """Have a file at a path."""
        self.clock += 1_000_000_001
        self.files[path] = File(kind="file", mode=mode, owner=owner, mtime=self.clock, content=content.encode())

    def run(
        self,
        command: Command,
        *,
        timeout: float,  # noqa: ARG002 - it answers at once
        stdin: bytes | None = None,
        check: bool = True,
        on_output: Callable[[str], None] | None = None,
    ) -> Result:
        """Answer a command; see `Guest.run`."""
        self._fail()
        line = shell_line(command)
        self.ran.append(line)
        self.received.append(stdin or b"")
        result = self._answer(line, stdin or b"")
        if on_output is not None:
            for each in (result.stdout + result.stderr).splitlines():
                on_output(each)
        if check and not result.ok:
            raise RemoteError(f"{self.name}: {line} failed with exit code {result.exit_code}", details=result.tail())
        return result

    def put(
        self,
        content: bytes,
        path: str,
        *,
        mode: int = 0o644,
        owner: str | None = None,
        mtime: int | None = None,
        timeout: float = 120.0,  # noqa: ARG002
    ) -> None:
        """Keep a file; see `Guest.put`."""
        self._fail()
        self.clock += 1_000_000_001
        when = self.clock if mtime is None else mtime
        self.files[path] = File(kind="file", mode=mode, owner=owner or "root:root", mtime=when, content=content)

    def read(self, path: str, *, timeout: float = 120.0) -> bytes:  # noqa: ARG002
        """Return the content of a file; see `Guest.read`."""
        self._fail()
        if path not in self.files:
            raise RemoteError(f"{self.name}: {path} cannot be read")
        return self.files[path].content

    def look(self, path: str, *, timeout: float = 120.0) -> File | None:  # noqa: ARG002
        """Return what is at a path; see `Guest.look`."""
        self._fail()
        return self.files.get(path)

    def _fail(self) -> None:
        if self.fails:
            raise self.fails.pop(0)

    def _answer(self, line: str, stdin: bytes) -> Result:
        for pattern, answer in self.answers.items():
            if re.fullmatch(pattern, line, re.DOTALL):
                said = answer(line, stdin) if callable(answer) else answer
                return _result(said)
        if (said := self._systemctl(line) or self._file(line)) is not None:
            return said
        raise AssertionError(f"unhandled command: {line}")

    def _systemctl(self, line: str) -> Result | None:
        """Do what the changes of units ask of systemctl."""
        if line.startswith("systemctl is-enabled "):
            names = shlex.split(line.partition("; ")[0])[2:]
            states = [self.units.get(name, ("not-found", "inactive")) for name in names]
            return _result("\n".join([*(enabled for enabled, _ in states), *(active for _, active in states)]))
        found = re.match(
            r"(?:then=\S+ \S+ \S+ /etc/systemd/system\); )?(?:SYSTEMCTL_SKIP_SYSV=1 )?systemctl (?:--quiet )?"
            r"(unmask|mask|enable|disable|start|stop|restart) ((?:--\S+ )*)(.*?)(?:(?:; touch| \|\|) .*)?$",
            line,
            re.DOTALL,
        )
        if found is None:
            return None
        verb, options, words = found.groups()
        for name in shlex.split(words):
            before = self.units.get(name, ("disabled", "inactive"))
            self.units[name] = self._moved(name, verb, options, before)
        return _result(0)

    def _file(self, line: str) -> Result | None:
        """Do what the changes of files ask of the shell."""
        if found := re.fullmatch(r"(?:then=.*? EXIT; )?rm -f (.*)", line):
            self.files.pop(shlex.split(found[1])[0], None)
            return _result(0)
        if found := re.fullmatch(r"chown (\S+) (.*) && chmod ([0-7]+) \2", line):
            path = shlex.split(found[2])[0]
            self.files[path] = replace(self.files[path], owner=found[1], mode=int(found[3], 8))
            return _result(0)
        return None

    def _moved(self, name: str, verb: str, options: str, state: tuple[str, str]) -> tuple[str, str]:
        enabled, active = state
        if verb in ("start", "restart", "enable") and enabled.startswith("masked"):
            raise AssertionError("a masked unit is not started")
        if verb == "mask":
            self.beneath[name] = enabled
            enabled = "masked-runtime" if "--runtime" in options else "masked"
        elif verb == "unmask":
            enabled = self.beneath.pop(name, "disabled") if enabled.startswith("masked") else enabled
        elif verb in ("enable", "disable"):
            enabled = f"{verb}d"
        if verb in ("start", "restart"):
            active = "active"
        elif verb == "stop" or "--now" in options:
            active = "active" if verb == "enable" else "inactive"
        return enabled, active


def _result(said: Result | str | int | None) -> Result:
    if isinstance(said, Result):
        return said
    if isinstance(said, str):
        return Result(exit_code=0, stdout=said, stderr="")
    return Result(exit_code=said or 0, stdout="", stderr="")
