"""Breaks a lab's cloud by hand, one thing after another, and tells whether the checks name the right suspect.

    python tests/cloud/breakages.py TEAM [NAME...] >>table.md

For each: break it with a shell line on a node, run the checks that could notice, mend it. Prints a line of a Markdown
table: what was broken, what turned red, the suspects in their order, and at which place the right one stands.
LABCTL_HOME says whose lab. None of it shares code with `labctl sabotage`.
"""

# ruff: noqa: T201 - what it prints is its result
from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from labctl.state import Home, records

LABCTL = Path(sys.executable).with_name("labctl")
_SETTLES = 60.0  # seconds that a service gets on emulated nodes after its restart, broken or mended
_SILENT = 300.0  # seconds after which an agent that reports no more counts as dead


@dataclass(frozen=True, kw_only=True)
class Breakage:
    """Something to break.

    Attributes:
        role: on the first node that has it.
        does, undoes: shell lines.
        checks: those that could notice.
        right: a pattern of the right suspect.
        shows: seconds until it shows.
    """

    role: str
    does: str
    undoes: str
    checks: str
    right: str
    shows: float = _SETTLES


def changed(role: str, path: str, section: str, key: str, value: str, units: str, checks: str, right: str) -> Breakage:
    """Set a value of an INI file."""
    return Breakage(
        role=role,
        does=f"cp -a {path} {path}.good; sed -i '/^\\[{section}\\]/,/^\\[/s#^{key} *=.*#{key} = {value}#' {path}; "
        f"if cmp -s {path} {path}.good; then exit 1; fi; systemctl daemon-reload; systemctl restart {units} || true",
        undoes=f"mv {path}.good {path}; systemctl restart {units}",
        checks=checks,
        right=right,
    )


BREAKAGES = {
    "a unit is stopped": Breakage(
        role="glance",
        does="systemctl stop glance-api",
        undoes="systemctl start glance-api",
        checks="C01 C02 C03",
        right="glance: its unit",
    ),
    "a wrong password in keystone_authtoken": changed(
        "cinder",
        "/etc/cinder/cinder.conf",
        "keystone_authtoken",
        "password",
        "wrong",
        "cinder-api",
        "C01 C02 C03 C06",
        r"cinder: \[keystone_authtoken\]",
    ),
    "a wrong password at the broker": Breakage(
        role="cinder",
        does="cp -a /etc/cinder/cinder.conf /etc/cinder/cinder.conf.good; "
        "sed -i 's#^\\(transport_url.*://[^:]*:\\)[^@]*@#\\1wrong@#' /etc/cinder/cinder.conf; "
        "if cmp -s /etc/cinder/cinder.conf /etc/cinder/cinder.conf.good; then exit 1; fi; systemctl daemon-reload; "
        "systemctl restart cinder-api cinder-scheduler cinder-volume || true",
        undoes="mv /etc/cinder/cinder.conf.good /etc/cinder/cinder.conf; "
        "systemctl restart cinder-api cinder-scheduler cinder-volume",
        checks="C01 C02 C03 C06 C08:blank",
        right="broker|rabbitmq",
    ),
    "an endpoint is disabled": Breakage(
        role="keystone",
        does=". /root/admin-openrc; "
        "openstack endpoint list --service heat --interface public -f value -c ID >/root/endpoint; "
        "openstack endpoint set --disable $(cat /root/endpoint)",
        undoes=". /root/admin-openrc; openstack endpoint set --enable $(cat /root/endpoint); rm /root/endpoint",
        checks="C01 C02 C03",
        right="catalogue|endpoint",
    ),
    "a full disk": Breakage(
        role="mariadb",
        does="fallocate -l $(($(df --output=avail -B1 / | tail -1) - 65536)) /var/tmp/filler",
        undoes="rm -f /var/tmp/filler",
        checks="B07 C01 C02 C03 C06 C07 C08:blank",
        right="disk|room|full|file system",
    ),
    "the DHCP agent is stopped": Breakage(
        role="neutron",
        does="systemctl stop neutron-dhcp-agent",
        undoes="systemctl start neutron-dhcp-agent",
        checks="C01 C02 C03 C05",
        right="neutron-dhcp-agent",
        shows=_SILENT,
    ),
    "a wrong line in hosts of the dashboard's node": Breakage(
        role="horizon",
        does="cp -a /etc/hosts /etc/hosts.good; sed -i -E 's/^(172\\.16\\.[0-9]+)\\.[0-9]+/\\1.99/' /etc/hosts",
        undoes="mv /etc/hosts.good /etc/hosts",
        checks="B02 C01 C02 C03 C20:login",
        right="hosts|names",
    ),
    "a clock two hours late": Breakage(
        role="neutron",
        does="systemctl stop chrony; date -s '-2 hours' >/dev/null",
        undoes="date -s '+2 hours' >/dev/null; systemctl start chrony; chronyc makestep >/dev/null",
        checks="B05 C01 C02 C03 C04 C05 C06",
        right="clock|chrony",
    ),
    "Placement's account": changed(
        "compute",
        "/etc/nova/nova.conf",
        "placement",
        "password",
        "wrong",
        "nova-compute",
        "B08 C01 C02 C03 C04",  # nova-compute does not start with it
        "nova-compute",
    ),
    "a cell's mapping": Breakage(
        role="mariadb",
        does="mariadb nova_api -e \"UPDATE host_mappings SET host=CONCAT(host, '-x')\"",
        undoes="mariadb nova_api -e \"UPDATE host_mappings SET host=REPLACE(host, '-x', '')\"",
        checks="C01 C03 C04 C10",
        right="cell",
    ),
    "the secret of metadata": changed(
        "neutron",
        "/etc/neutron/metadata_agent.ini",
        "DEFAULT",
        "metadata_proxy_shared_secret",
        "wrong",
        "neutron-metadata-agent",
        "C01 C03 C04 C05 C10 C11",
        "shared secret",
    ),
    "iSCSI's address": changed(
        "cinder",
        "/etc/cinder/cinder.conf",
        "lvm",
        "target_ip_address",
        "10.0.0.99",
        "cinder-volume",
        "C01 C03 C06 C08:blank C10 C11 C12 C13 C17",
        "iscsi|tgt|target",
    ),
    "Glance asks for no token": changed(
        "glance",
        "/etc/glance/glance-api.conf",
        "paste_deploy",
        "flavor",
        "",
        "glance-api",
        "C01 C02 C03",
        "pipeline checks no tokens",
    ),
    "a security group that is open": Breakage(
        role="keystone",
        does=". /root/admin-openrc; "
        "group=$(openstack security group list --project demo -f value -c ID -c Name | sed -n 's/ default$//p'); "
        "openstack security group rule create --protocol tcp $group -f value -c id >/root/rule",
        undoes=". /root/admin-openrc; openstack security group rule delete $(cat /root/rule); rm /root/rule",
        checks="C01 C02 C03 C04 C05 C07 C08 C09 C10 C11 C12 C13 C14",
        right="neutron",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("team")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(BREAKAGES)}")
    options = parser.parse_args()
    home = Home()
    nodes = records.plan_of(records.record_of(home, options.team)).nodes
    print("| broken | red | suspects, the likeliest first | the right one |\n|---|---|---|---|", flush=True)
    for name in options.names or BREAKAGES:
        each = BREAKAGES[name]
        node = next(node.name for node in nodes if each.role in node.roles)
        try:
            _type(options.team, node, each.does)
            time.sleep(each.shows)
            report = _checked(options.team, each.checks.split())
        finally:
            _type(options.team, node, each.undoes)
        print(_row(name, report, each.right), flush=True)
        time.sleep(_SETTLES)


def _row(name: str, report: dict[str, list[dict[str, object]]], right: str) -> str:
    red = [each for each in report["checks"] if each["result"] in ("FAIL", "ERROR")]
    first = set(report["frontier"])
    suspects: list[str] = []
    for each in sorted(red, key=lambda each: _name(each) not in first):
        listed = each["suspects"]
        assert isinstance(listed, list)
        suspects += [suspect for suspect in listed if suspect not in suspects]
    place = next((number for number, each in enumerate(suspects, 1) if re.search(right, each)), None)
    said = "; ".join(f"{_name(each)} ({each['evidence']})" for each in red)
    return f"| {name} | {said} | {'; '.join(suspects[:3])} | {place or 'not named'} |"


def _name(each: dict[str, object]) -> str:
    return f"{each['id']}:{each['part']}" if each["part"] else str(each["id"])


def _type(team: str, node: str, line: str) -> None:
    """Type a line on a node."""
    subprocess.run([LABCTL, "ssh", "-t", team, node], input=f"set -e\n{line}\n", text=True, check=True)


def _checked(team: str, checks: list[str]) -> dict[str, list[dict[str, object]]]:
    done = subprocess.run([LABCTL, "check", team, *checks, "-o", "json"], capture_output=True, text=True, check=False)
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main()
