"""Munin's graphs: how a node is asked for a value, and where the master shows what it drew."""

from __future__ import annotations

from labctl.quoting import shell

PORT = 4949
"""Where nodes tell their values, to the master alone."""

ROUNDS = (5, 30)
"""Minutes from one round of the master to the next, on KVM and emulated."""


def question(address: str) -> str:
    """Return the shell line that asks a node for its load, and prints what it says; nothing where it hangs up."""
    lines = (
        f"exec 3<>/dev/tcp/{address}/{PORT}",
        "read -rt 30 -u 3",  # its greeting
        "echo fetch load >&3",
        "read -rt 30 -u 3 said",
        'echo "$said"',
    )
    return f"timeout 60 bash -c {shell(' && '.join(lines))}"


def picture(domain: str, node: str) -> str:
    """Return the path of a node's graph of its load on the master's web server."""
    return f"/munin/{domain}/{node}/load-day.png"
