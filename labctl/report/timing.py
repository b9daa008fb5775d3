"""Where the seconds of a command went, by node and phase."""

from __future__ import annotations

from collections.abc import Mapping

from labctl.report.table import table

Seconds = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Team to node to phase to seconds; `total` is when the node came to its last phase."""


def seconds(spent: Seconds) -> str:
    """Return a table of them, one row a node; empty where no node was worked on."""
    nodes = [(team, node, phases) for team, nodes in spent.items() for node, phases in nodes.items()]
    if not nodes:
        return ""
    columns = list(dict.fromkeys(phase for _, _, phases in nodes for phase in phases if phase != "total"))
    rows = [
        [team, node, *(f"{phases[key]:.1f} s" if key in phases else "" for key in (*columns, "total"))]
        for team, node, phases in nodes
    ]
    return table(["TEAM", "NODE", *(key.upper() for key in (*columns, "total"))], rows)
