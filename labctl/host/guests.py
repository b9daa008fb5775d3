"""Finds the guests of a private host among the processes of this machine."""

from __future__ import annotations

import itertools
import re

from labctl.host import processes
from labctl.host.processes import ProcessId


def of(init: ProcessId) -> dict[str, int]:
    """Return the domains whose QEMU runs in the process namespace of a private host, each with its process number.

    Args:
        init: the host's process 1.
    """
    own = processes.namespace_of(init.pid, "pid")
    if own is None:
        return {}
    found = (
        (_named(processes.arguments(pid)), pid)
        for pid in processes.every()
        if processes.namespace_of(pid, "pid") == own
    )
    return {name: pid for name, pid in found if name}


def _named(arguments: tuple[str, ...]) -> str | None:
    """Return the domain of a QEMU command line: libvirt writes `-name guest=NAME,...`, a comma in it twice."""
    for option, value in itertools.pairwise(arguments):
        named = re.match(r"guest=((?:[^,]|,,)+)", value) if option == "-name" else None
        if named:
            return named[1].replace(",,", ",")
    return None
