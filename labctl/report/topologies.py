"""Topologies as tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labctl.report.table import table
from labctl.sizes import MIB, size
from labctl.spec.topology import Topology


def line_document(spec: Topology) -> dict[str, Any]:
    """Return what a list of topologies says of one."""
    return {
        "name": spec.name,
        "description": spec.description,
        "nodes": len(spec.nodes),
        "networks": len(spec.networks),
        "vcpus": sum(node.vcpus for node in spec.nodes.values()),
        "memory_mib": sum(node.memory for node in spec.nodes.values()),
    }


def lines(specs: Sequence[Topology]) -> str:
    """Return a list of topologies as people read it."""
    rows = [
        [line["name"], line["nodes"], line["vcpus"], size(line["memory_mib"] * MIB), line["description"] or ""]
        for line in map(line_document, specs)
    ]
    return table(["TOPOLOGY", "NODES", "CPUS", "MEMORY", "DESCRIPTION"], rows)


def picture(spec: Topology) -> str:
    """Return a topology as people read it: its networks, then a row a node with its address in each of them."""
    networks = [
        [key, network.kind, network.subnet or ("a subnet per team" if network.kind == "nat" else "unconfigured")]
        for key, network in spec.networks.items()
    ]
    rows = []
    for name, node in spec.nodes.items():
        plugs: dict[str, list[str]] = {}
        for position, nic in enumerate(node.nics):
            plugs.setdefault(nic.network, []).append(f"eth{position} {nic.address or ''}".strip())
        disks = " ".join([size(node.disk), *(f"+ {size(disk.size)}" for disk in node.disks)])
        cells = [", ".join(plugs.get(key, ["-"])) for key in spec.networks]
        rows.append([name, node.image, node.vcpus, size(node.memory * MIB), disks, *cells])
    headings = ["NODE", "IMAGE", "CPUS", "MEMORY", "DISKS", *(key.upper() for key in spec.networks)]
    return "\n".join(
        [
            f"{spec.name}: {spec.description or ''}".rstrip(": "),
            "",
            table(["NETWORK", "KIND", "SUBNET"], networks),
            "",
            table(headings, rows),
        ]
    )
