"""Debian packages."""

from __future__ import annotations

from dataclasses import dataclass

from labctl import quoting
from labctl.changes.action import Action, Context


@dataclass(frozen=True, kw_only=True)
class Packages(Action):
    """Installs packages that are missing; their services do not start by themselves."""

    names: tuple[str, ...]

    def apply(self, context: Context) -> bool:
        """Install what is missing."""
        if not self._missing(context):
            return False
        words = quoting.shell_line(self.names)
        context.act(f"$ apt-get install {words}")
        context.run(f"{_INSTALL} {words}", timeout=900)
        return True

    def pending(self, context: Context) -> str:
        """Say the names where one of them is missing."""
        return self.describe() if self._missing(context) else ""

    def _missing(self, context: Context) -> bool:
        return "missing" in context.ask(f"{_INSTALLED} {quoting.shell_line(self.names)}").stdout

    def describe(self) -> str:
        """Say the names."""
        return f"install {' '.join(self.names)}"


_INSTALLED = (
    "check() { for name; do dpkg-query -W -f '${db:Status-Status}\\n' \"$name\" 2>/dev/null | "
    "grep -qx installed || echo missing; done; }; check"
)
# What a package's scripts would start is started by its role, when it is configured. But D-Bus is to hear of new users:
# before, polkit may not bear its name, and nova-compute does not get at libvirt. The shell of a run that was killed
# goes on in the node and takes policy-rc.d away at its end: the next one waits for it, and apt for anybody else's.
# Where a node lost its power meanwhile, apt refuses until dpkg has finished what it had begun.
_INSTALL = (
    "set -e; exec 9>/run/labctl-packages; flock 9; "
    "export DEBIAN_FRONTEND=noninteractive; get() { apt-get --yes --quiet --no-install-recommends "
    "-o DPkg::Lock::Timeout=-1 -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-unsafe-io "
    'install "$@" 9>&-; }; '
    'install() { get "$@" || { dpkg --force-confold --configure -a 9>&- && get "$@"; }; }; '
    "trap 'rm -f /usr/sbin/policy-rc.d' EXIT; "
    """printf '#!/bin/sh\\n[ "$1 $2" = "dbus reload" ] || exit 101\\n' >/usr/sbin/policy-rc.d; """
    "chmod 755 /usr/sbin/policy-rc.d; install"
)
