"""Lists what a lab's cloud holds, by its APIs and on its nodes, without the code of the checks.

    python tests/cloud/inventory.py TEAM >before.json

LABCTL_HOME says whose lab. What is compared before and after a run of the checks must be equal.
"""

# ruff: noqa: T201 - what it prints is its result
from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from labctl.cli.labs import site_of
from labctl.cloud.connect import connect
from labctl.lab import check, inside
from labctl.plan.model import LabPlan
from labctl.state import Home, records

LABCTL = Path(sys.executable).with_name("labctl")

NODES = {
    "cinder": {
        "logical volumes": "lvs --noheadings -o lv_name,vg_name",
        "targets": "tgtadm --lld iscsi --mode target --op show | grep ^Target | sed 's/^Target [0-9]*: //'",
    },
    "glance": {"images' files": "ls /var/lib/glance/images"},
    "compute": {
        "domains": "virsh -q list --all --name",
        "instances' folders": "ls /var/lib/nova/instances | grep -v -e _base -e locks -e compute",
        "iSCSI sessions": "iscsiadm -m session 2>/dev/null | sed 's/.*iqn/iqn/'",
        "cards": "ip -o link | sed 's/^[0-9]*: //;s/[:@].*//' | grep -e tap -e qvo -e qbr",
    },
    "neutron": {"namespaces": "ip netns | sed 's/ .*//'"},
}
"""What is listed on the nodes of a role, by shell lines."""


def main() -> None:
    home, team = Home(), sys.argv[1]
    with site_of(home, team) as site:
        plan = records.plan_of(records.record_of(home, team))
        with inside.opened(home, site, plan) as dialer:
            cloud = connect(dialer, check.login(home, team, "admin"), timeout=240)
            found = apis(cloud)
    print(json.dumps({key: sorted(value) for key, value in (found | nodes(team, plan)).items()}, indent=1))


def apis(cloud: Any) -> dict[str, list[str]]:
    """List what the APIs know."""

    def names(things: Iterable[Any]) -> list[str]:
        return [f"{each.id} {each.name} {getattr(each, 'status', '')}" for each in things]

    network, identity = cloud.network, cloud.identity
    return {
        "servers": names(cloud.compute.servers(all_projects=True)),
        "key pairs": names(cloud.compute.keypairs()),
        "volumes": names(cloud.block_storage.volumes(all_projects=True)),
        "snapshots": names(cloud.block_storage.snapshots(all_projects=True)),
        "images": names(cloud.image.images()),
        "networks": names(network.networks()),
        "subnets": names(network.subnets()),
        "routers": names(network.routers()),
        "ports": [f"{each.id} {each.device_owner} {each.security_group_ids}" for each in network.ports()],
        "floating addresses": [f"{each.floating_ip_address} {each.port_id}" for each in network.ips()],
        "security groups": names(network.security_groups()),
        "rules": [each.id for each in network.security_group_rules()],
        "stacks": names(cloud.orchestration.stacks()),
        "projects": names(identity.projects()),
        "users": names(identity.users()),
        "roles": [f"{each.role['id']} {each.user} {each.scope}" for each in identity.role_assignments()],
    }


def nodes(team: str, plan: LabPlan) -> dict[str, list[str]]:
    """List what the nodes hold."""
    return {
        f"{node.name}: {what}": _said(team, node.name, line)
        for node in plan.nodes
        for role, lines in NODES.items()
        if role in node.roles
        for what, line in lines.items()
    }


def _said(team: str, node: str, line: str) -> list[str]:
    done = subprocess.run(
        [LABCTL, "ssh", "-t", team, node, "--", f"{{ {line}; }} || :"], capture_output=True, text=True, check=True
    )
    return [each.strip() for each in done.stdout.splitlines()]


if __name__ == "__main__":
    main()
