"""The installer's vocabulary: what can be done to a machine, as frozen data.

An action looks first and changes only what differs; `apply` tells whether it changed anything. Each owns its quoting.
What is done once and cannot be looked at cheaply (`once`) is remembered by whoever applies it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field
from typing import Any, ClassVar, Protocol

from labctl import quoting
from labctl.errors import DeadlineError, LabctlError
from labctl.ini import set_values


class Answer(Protocol):
    """How a command ended."""

    @property
    def exit_code(self) -> int: ...  # noqa: D102
    @property
    def stdout(self) -> str: ...  # noqa: D102
    @property
    def stderr(self) -> str: ...  # noqa: D102


class Machine(Protocol):
    """Where actions happen: what they use of a transport."""

    name: str

    def run(  # noqa: D102
        self,
        command: str,
        *,
        timeout: float,
        stdin: bytes | None = None,
        check: bool = True,
        on_output: Callable[[str], None] | None = None,
    ) -> Answer: ...

    def put(self, content: bytes, path: str, *, mode: int = 0o644, owner: str | None = None) -> None: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True)
class Doing:
    """How actions are applied.

    Attributes:
        machine: where.
        say: receives the output of commands, line by line.
        slow: how many times longer than on bare metal things may take; 1 there.
        changed: whether an earlier action of the same step changed anything.
    """

    machine: Machine
    say: Callable[[str], None]
    slow: float = 1.0
    changed: bool = False

    def run(self, command: str, *, timeout: float, stdin: str | None = None, check: bool = True) -> Answer:
        """Run a shell line; the timeout is that of bare metal."""
        return self.machine.run(
            command,
            timeout=timeout * self.slow,
            stdin=None if stdin is None else stdin.encode(),
            check=check,
            on_output=self.say,
        )

    def holds(self, condition: str) -> bool:
        """Tell whether a shell line ends well; nothing of it is logged."""
        return self.machine.run(condition, timeout=60 * self.slow, check=False).exit_code == 0


class Action:
    """Something that can be done to a machine."""

    once: ClassVar[bool] = False
    alone: ClassVar[bool] = True  # whether nothing else may be done to the machine meanwhile

    def apply(self, doing: Doing) -> bool:
        """Do it where it is not done.

        Returns:
            Whether anything was changed.

        Raises:
            RemoteError: a command failed, or the machine was lost.
            DeadlineError: it took too long.
        """
        raise NotImplementedError

    def describe(self) -> str:
        """Say in a line what it does, for people; may hold secrets."""
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """Hash of all that it says, hexadecimal."""
        content = f"{type(self).__name__}{astuple(self)!r}"  # type: ignore[call-overload]
        return hashlib.sha256(content.encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class Run(Action):
    """Runs a shell line, once.

    Attributes:
        command: for the shell. It is logged: secrets belong in `stdin`.
        unless: a shell line that ends well when there is nothing to do.
        seconds: that it may take on bare metal.
    """

    once = True
    command: str
    unless: str = ""
    stdin: str = ""
    seconds: float = 120.0

    def apply(self, doing: Doing) -> bool:
        """Run it unless its effect is there."""
        if self.unless and doing.holds(self.unless):
            return False
        doing.say(f"$ {self.command}")
        doing.run(self.command, timeout=self.seconds, stdin=self.stdin)
        return True

    def describe(self) -> str:
        """Say the command."""
        return f"run {self.command}"


@dataclass(frozen=True, kw_only=True)
class Python(Action):
    """Runs a Python program on the machine, once: one start of an interpreter costs seconds under emulation.

    Attributes:
        title: what it does, for people.
        source: text of a module whose `main(data)` is called; it prints a line for each change that it makes.
        data: anything that JSON can hold; it may hold secrets.
        seconds: that it may take on bare metal.
    """

    once = True
    title: str
    source: str = field(repr=False)
    data: Any
    seconds: float = 120.0

    def apply(self, doing: Doing) -> bool:
        """Run it; there was a change when it says so."""
        doing.say(self.title)
        program = f"{self.source}\nimport json\nmain(json.loads({json.dumps(self.data)!r}))\n"
        return bool(doing.run("python3 -", timeout=self.seconds, stdin=program).stdout.strip())

    def describe(self) -> str:
        """Say what it does, and its input."""
        text = "".join(f"\n    {line}" for line in json.dumps(self.data.get("wanted", {}), indent=1).splitlines())
        return f"{self.title}{text}"


@dataclass(frozen=True, kw_only=True)
class Packages(Action):
    """Installs packages that are missing; their services do not start by themselves."""

    names: tuple[str, ...]

    def apply(self, doing: Doing) -> bool:
        """Install what is missing."""
        words = quoting.shell_line(self.names)
        found = doing.machine.run(f"{_INSTALLED} {words}", timeout=60 * doing.slow, check=False)
        if "missing" not in found.stdout:
            return False
        doing.say(f"$ apt-get install {words}")
        doing.run(f"{_INSTALL} {words}", timeout=900)
        return True

    def describe(self) -> str:
        """Say the names."""
        return f"install {' '.join(self.names)}"


@dataclass(frozen=True, kw_only=True)
class PutFile(Action):
    """Writes a whole file."""

    path: str
    content: str
    owner: str = "root:root"
    mode: int = 0o644

    def apply(self, doing: Doing) -> bool:
        """Write it where it differs."""
        before = _look(doing, self.path)
        if before == _File(f"{self.mode:o}", self.owner, self.content):
            return False
        doing.say(f"writing {self.path}")
        doing.machine.put(self.content.encode(), self.path, mode=self.mode, owner=self.owner)
        return True

    def describe(self) -> str:
        """Say where, and the content."""
        text = "".join(f"\n    {line}" for line in self.content.splitlines())
        return f"write {self.path} ({self.owner}, {self.mode:o}){text}"


@dataclass(frozen=True, kw_only=True)
class Ini(Action):
    """Sets values in an INI file; what else stands in it stays, comments too.

    Attributes:
        values: section to option to value; a value of None removes the option.
        owner, mode: of the file where it does not exist yet.
    """

    path: str
    values: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    owner: str = "root:root"
    mode: int = 0o644

    def apply(self, doing: Doing) -> bool:
        """Set what differs."""
        before = _look(doing, self.path) or _File(f"{self.mode:o}", self.owner, "")
        after = set_values(before.content, self.values)
        if after == before.content:
            return False
        doing.say(f"editing {self.path}")
        doing.machine.put(after.encode(), self.path, mode=int(before.mode, 8), owner=before.owner)
        return True

    def describe(self) -> str:
        """Say the sections and their values."""
        lines = [f"set in {self.path}"]
        for section, options in self.values.items():
            lines.append(f"    [{section}]")
            lines += [f"    {name} = {value}" for name, value in options.items() if value is not None]
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Unit(Action):
    """Brings systemd units into a state.

    Attributes:
        names: units, started together.
        on: enabled and running, or disabled and stopped.
        seconds: that one start may take on bare metal.
    """

    alone = False
    names: tuple[str, ...]
    on: bool = True
    seconds: float = 60.0

    def apply(self, doing: Doing) -> bool:
        """Enable and start, or stop and disable; what runs is restarted when its configuration changed."""
        words = quoting.shell_line(self.names)
        states = doing.machine.run(
            f"systemctl is-enabled {words}; systemctl is-active {words}", timeout=60 * doing.slow, check=False
        ).stdout.split()
        enabled, active = states[: len(self.names)], states[len(self.names) :]
        if not self.on:
            if not {"enabled", "active", "activating"} & set(states):
                return False
            doing.say(f"$ systemctl disable --now {words}")
            doing.run(f"systemctl disable --quiet --now {words}", timeout=self.seconds)
            return True
        did = False
        if "masked" in enabled:
            doing.say(f"$ systemctl unmask {words}")
            doing.run(f"systemctl unmask --quiet {words}", timeout=60)
        if any(state not in ("enabled", "static", "alias", "indirect") for state in enabled):
            doing.say(f"$ systemctl enable {words}")
            # Without a reload and without the SysV scripts' links, which take half a minute in an emulated node.
            doing.run(f"SYSTEMCTL_SKIP_SYSV=1 systemctl enable --quiet --no-reload {words}", timeout=60)
            did = True
        verb = "restart" if doing.changed else "start"
        wanted = [name for name, state in zip(self.names, active, strict=False) if state != "active" or doing.changed]
        if wanted:
            words = quoting.shell_line(wanted)
            doing.say(f"$ systemctl {verb} {words}")
            status = f"systemctl status --no-pager --lines=20 {words}"
            seconds = self.seconds * len(wanted)
            doing.run(f"systemctl --quiet {verb} {words} || {{ {status}; exit 1; }}", timeout=seconds)
            did = True
        return did

    def describe(self) -> str:
        """Say the units and their state."""
        return f"{'enable and start' if self.on else 'stop and disable'} {' '.join(self.names)}"


@dataclass(frozen=True, kw_only=True)
class Wait(Action):
    """Waits until a shell line ends well: a probe that proves what the step did.

    Attributes:
        until: the condition.
        what: what it proves, for people.
        seconds: that it may take on bare metal.
    """

    alone = False
    until: str
    what: str
    seconds: float = 60.0
    pause: ClassVar[float] = 0.5

    def apply(self, doing: Doing) -> bool:
        """Ask until it holds."""
        deadline = time.monotonic() + self.seconds * doing.slow
        said = f"waiting: {self.what}"
        while True:
            try:
                answer = doing.machine.run(self.until, timeout=max(30.0, 15 * doing.slow), check=False)
                last = (answer.stderr or answer.stdout).strip()
                if answer.exit_code == 0:
                    return False
            except DeadlineError as exc:
                last = exc.brief
            if said:
                doing.say(said)
                said = ""
            if time.monotonic() > deadline:
                raise DeadlineError(f"{doing.machine.name}: not yet: {self.what}", details=f"$ {self.until}\n{last}")
            time.sleep(self.pause)

    def describe(self) -> str:
        """Say what is waited for."""
        return f"wait until {self.what}: {self.until}"


def masked(text: str, secrets: Mapping[str, str]) -> str:
    """Replace every secret in a text by its name."""
    for name, secret in sorted(secrets.items(), key=lambda item: -len(item[1])):
        if len(secret) >= _SECRET_LENGTH:
            text = text.replace(secret, f"<{name}>")
    return text


_SECRET_LENGTH = 6  # shorter ones would blot out innocent words
_INSTALLED = (
    "check() { for name; do dpkg-query -W -f '${db:Status-Status}\\n' \"$name\" 2>/dev/null | "
    "grep -qx installed || echo missing; done; }; check"
)
# What a package's scripts would start is started by its role, when it is configured. But D-Bus is to hear of new users:
# before, polkit may not bear its name, and nova-compute does not get at libvirt. The shell of a run that was killed
# goes on in the node and takes policy-rc.d away at its end: the next one waits for it, and apt for anybody else's.
_INSTALL = (
    "set -e; exec 9>/run/labctl-packages; flock 9; "
    "install() { DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet --no-install-recommends "
    "-o DPkg::Lock::Timeout=-1 -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-unsafe-io "
    'install "$@" 9>&-; }; '
    "trap 'rm -f /usr/sbin/policy-rc.d' EXIT; "
    """printf '#!/bin/sh\\n[ "$1 $2" = "dbus reload" ] || exit 101\\n' >/usr/sbin/policy-rc.d; """
    "chmod 755 /usr/sbin/policy-rc.d; install"
)


@dataclass(frozen=True)
class _File:
    mode: str
    owner: str
    content: str


def _look(doing: Doing, path: str) -> _File | None:
    """Read a file with its mode and owner in one go; None when there is none."""
    word = quoting.shell(path)
    answer = doing.machine.run(
        f"test -e {word} || exit 3; stat -c '%a %U:%G' {word} && cat {word}", timeout=60 * doing.slow, check=False
    )
    if answer.exit_code == 3:
        return None
    if answer.exit_code:
        raise LabctlError(f"{doing.machine.name}: {path} cannot be read", details=answer.stderr)
    head, _, content = answer.stdout.partition("\n")
    mode, _, owner = head.partition(" ")
    return _File(mode, owner, content)
