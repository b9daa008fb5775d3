"""Tables and documents of labs, plans and images. JSON field names are a contract: docs/reference/json.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from labctl.lab.create import Created
from labctl.lab.overview import LabLine
from labctl.lab.status import LabStatus, NodeStatus
from labctl.plan.model import LabPlan
from labctl.report.table import table
from labctl.sizes import size


def created_document(lab: Created, seconds: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Return what `create` did to a lab as a document.

    Args:
        seconds: that its nodes spent in each phase.
    """
    return {
        **{key: list(value) if isinstance(value, tuple) else value for key, value in vars(lab).items()},
        "seconds": {node: dict(phases) for node, phases in seconds.items()},
    }


def lab_document(lab: LabStatus) -> dict[str, Any]:
    """Return a lab's status as a document."""
    return {
        "team": lab.team,
        "topology": lab.topology,
        "stage": lab.stage,
        "host": lab.host,
        "virt": lab.virt,
        "golden": lab.golden or None,
        "golden_id": lab.golden_id or None,
        "bare": list(lab.bare),
        "host_merged_bytes": lab.merged,
        "openstack": None
        if lab.installed is None
        else {"installed": lab.installed, "reached": lab.reached or None, "nested": lab.nested},
        "nodes": [
            {
                "name": node.name,
                "domain": node.domain,
                "state": node.state,
                "ready": node.ready,
                "trouble": node.trouble.what if node.trouble else None,
                "remedy": node.trouble.remedy if node.trouble else None,
                "addresses": {key: str(found[0]) if found else None for key, found in node.addresses.items()},
                "all_addresses": {key: [str(address) for address in found] for key, found in node.addresses.items()},
                "memory_bytes": node.memory,
                "disk_bytes": node.disk,
            }
            for node in lab.nodes
        ],
    }


def lab_table(lab: LabStatus) -> str:
    """Return a lab's status as people read it."""
    ready = sum(node.ready for node in lab.nodes)
    keys = list(lab.nodes[0].addresses)
    rows = [
        [node.name, node.state, "yes" if node.ready else "no", *(_addresses(node, key) for key in keys)]
        for node in lab.nodes
    ]
    lines = [
        f"{lab.team}: topology {lab.topology}, stage {lab.stage}, {ready} of {len(lab.nodes)} nodes ready"
        f" (host {lab.host}, {'KVM' if lab.virt == 'kvm' else 'emulated'})",
        "",
        table(["NODE", "STATE", "READY", *(key.upper() for key in keys)], rows),
    ]
    wrong = [node for node in lab.nodes if node.trouble]
    if wrong:
        lines += ["", *(f"{node.name} {node.trouble.what} → {node.trouble.remedy}" for node in wrong if node.trouble)]
    memory, disk = sum(node.memory for node in lab.nodes), sum(node.disk for node in lab.nodes)
    known = f"{lab.golden} ({lab.golden_id})" if lab.golden else f"{lab.golden_id}, which is gone"
    stands = f" It was made from golden set {known}." if lab.golden_id else ""
    lines += ["", f"It takes {size(memory)} of the host's memory and {size(disk)} of its disk.{stands}"]
    if lab.merged:
        lines += ["", f"Same-page merging saves {size(lab.merged)} on host {lab.host}, with all labs there."]
    if lab.bare:
        lines += ["", f"At stage bare: {', '.join(lab.bare)}."]
    if lab.installed:
        ways = ", ".join(f"{virt} on {node}" for node, virt in lab.nested.items())
        lines += ["", f"The cloud is up; instances run by {ways}. labctl openrc {lab.team}"]
    elif lab.reached:
        lines += ["", f"Its cloud is installed up to the chapter of {lab.reached}."]
    elif lab.installed is False and lab.stage == "installed":
        lines += ["", f"The cloud is not up yet: labctl install {lab.team}"]
    if lab.missing:
        lines += ["", f"Networks that do not run: {', '.join(lab.missing)}. labctl start {lab.team}"]
    return "\n".join(lines)


def _addresses(node: NodeStatus, key: str) -> str:
    return " ".join(map(str, node.addresses[key])) or "-"


def overview_document(lab: LabLine) -> dict[str, Any]:
    """Return one line of the list of labs as a document."""
    record = lab.record
    return {
        "team": lab.team,
        "topology": record.topology["name"] if record else None,
        "stage": record.stage_name if record else None,
        "standby": record.waits if record else None,
        "host": record.host if record else None,
        "mgmt": str(record.mgmt) if record else None,
        "nodes": lab.nodes,
        "running": lab.states.count("running") if not lab.trouble else None,
        "trouble": lab.trouble or None,
    }


def overview_table(labs: list[LabLine]) -> str:
    """Return the list of labs as people read it."""
    rows = []
    for lab in labs:
        record = lab.record
        what = lab.trouble or ", ".join(f"{count} {state}" for state, count in Counter(lab.states).most_common())
        stage = record.stage_name + (", waits" if record.waits else "") if record else ""
        known = [record.topology["name"], stage, what, record.mgmt, record.host] if record else []
        rows.append([lab.team, *(known or ["-", "-", what, "-", "-"])])
    return table(["TEAM", "TOPOLOGY", "STAGE", "NODES", "MGMT", "HOST"], rows)


def plan_document(lab: LabPlan, states: dict[str, str]) -> dict[str, Any]:
    """Return a plan as a document.

    Args:
        states: domain or network name to what exists of it; nothing where it is missing.
    """
    return {
        "team": lab.team,
        "topology": lab.topology,
        "stage": lab.stage,
        "nested": lab.openstack.nested if lab.openstack else None,
        "networks": [
            {
                "name": network.name,
                "kind": "nat" if network.nat else "isolated",
                "subnet": str(network.subnet) if network.subnet else None,
                "action": states.get(network.name, "create"),
            }
            for network in lab.networks
        ],
        "nodes": [
            {
                "name": node.name,
                "domain": node.domain,
                "image": node.image,
                "vcpus": node.vcpus,
                "memory_mib": node.memory,
                "disks": [
                    {"device": disk.device, "volume": disk.volume, "bytes": disk.capacity} for disk in node.disks
                ],
                "nics": [
                    {
                        "name": nic.name,
                        "network": nic.network,
                        "mac": nic.mac,
                        "address": str(nic.address) if nic.address else None,
                    }
                    for nic in node.nics
                ],
                "action": states.get(node.domain, "create"),
            }
            for node in lab.nodes
        ],
    }


def plan_table(lab: LabPlan, states: dict[str, str]) -> str:
    """Return a plan as people read it; see `plan_document`."""
    networks = [
        [network.name, "NAT, DHCP" if network.nat else "isolated", network.subnet or "-", _action(states, network.name)]
        for network in lab.networks
    ]
    nodes = [
        [
            node.domain,
            node.vcpus,
            f"{node.memory} MiB",
            " ".join(f"{disk.device} {size(disk.capacity)}" for disk in node.disks),
            " ".join(f"{nic.name}={nic.address or '-'}" for nic in node.nics),
            _action(states, node.domain),
        ]
        for node in lab.nodes
    ]
    return "\n".join(
        [
            f"{lab.team}: topology {lab.topology}, stage {lab.stage}{_nested(lab)}",
            "",
            table(["NETWORK", "KIND", "SUBNET", "ACTION"], networks),
            "",
            table(["NODE", "CPUS", "MEMORY", "DISKS", "ADDRESSES", "ACTION"], nodes),
        ]
    )


def _nested(lab: LabPlan) -> str:
    """Say how instances will run."""
    return f", instances by nested {lab.openstack.nested}" if lab.openstack else ""


def _action(states: dict[str, str], name: str) -> str:
    return states.get(name, "create")
