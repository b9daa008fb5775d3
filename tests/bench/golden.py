"""Measures golden sets: a lab that boots beside one that is forked, a node reset by booting and from memory.

`python -m tests.bench.golden [--installed] [--home FOLDER]` prints a table. The floor is `virsh restore` of the same
memory images, whose heads labctl has written for the lab that is measured; then OpenSSH's client logs in on every node
with the key that the nodes were captured with.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.integration.lab_host import LabHost

TEAM = "bench"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.golden")
    parser.add_argument("--topology", default="gridka")
    parser.add_argument("--node", default="image-node", help="the node to reset")
    parser.add_argument("--installed", action="store_true", help="with the cloud; tens of minutes without KVM")
    parser.add_argument("--home", type=Path, help="a state folder whose host has the images; else a new one")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    host = LabHost(options.home or Path(tempfile.mkdtemp(prefix="labctl-bench-")))
    stage = "installed" if options.installed else "bare"
    try:
        if options.home is None:
            host.labctl("image", "build", "openstack" if options.installed else "debian-13", timeout=3600)
            if options.installed:
                host.labctl("golden", "bake", options.topology, timeout=3600)
        for row in measure(host, options.topology, stage, options.node, options.rounds):
            print(row, flush=True)  # noqa: T201 - a script's result
    finally:
        host.labctl("destroy", TEAM, check=False)
        host.labctl("golden", "remove", TEAM, check=False)
        if options.home is None:
            host.remove()


def measure(host: LabHost, topology: str, stage: str, node: str, rounds: int) -> list[str]:
    """Return the rows of the table."""
    create = ("create", TEAM, "--topology", topology, "--stage", stage)
    cold = took(lambda: host.labctl(*create, "--cold", timeout=3600))
    captured = took(lambda: host.labctl("golden", "capture", TEAM, "--name", TEAM, timeout=3600))
    key = host.home / "scratch" / f"{TEAM}.key"
    shutil.copy(host.home / "labs" / TEAM / "id_ed25519", key)
    host.labctl("destroy", TEAM)
    forks, floors, logins, warm = [], [], [], []
    for _ in range(rounds):
        forks.append(took(lambda: host.labctl(*create, "--from", TEAM)))
        warm.append(took(lambda: host.labctl("reset", node, "-t", TEAM)))
        floor, login = restored(host, key)
        floors.append(floor)
        logins.append(login)
        host.labctl("destroy", TEAM)
    key.unlink()
    host.labctl(*create, "--from", TEAM)
    booted = took(lambda: host.labctl("reset", node, "-t", TEAM, "--cold", timeout=3600))
    size = host.document("golden", "show", TEAM)["bytes"] / 1024**3
    fork, floor, login, reset = min(forks), min(floors), min(logins), min(warm)
    return [
        f"| {topology} {stage}: create that boots, to ready | {cold:.1f} s | 1 |",
        f"| {topology} {stage}: capture | {captured:.1f} s, {size:.1f} GiB | |",
        f"| {topology} {stage}: fork, to ready | {fork:.1f} s | {fork / cold:.2f} |",
        f"| {topology} {stage}: `virsh restore` of the same images, 4 at a time | {floor:.1f} s | {floor / cold:.2f} |",
        f"| {topology} {stage}: the same, to `ssh` logged in on every node | {login:.1f} s | {login / cold:.2f} |",
        f"| {topology} {stage}: reset {node} --cold, to ready | {booted:.1f} s | 1 |",
        f"| {topology} {stage}: reset {node} from memory, to ready | {reset:.1f} s | {reset / booted:.2f} |",
    ]


def restored(host: LabHost, key: Path) -> tuple[float, float]:
    """Return how long libvirt itself takes to have all nodes of the lab back, and then `ssh` to log in on each."""
    shown = host.document("golden", "show", TEAM)["memory"]
    connect = ["virsh", "--quiet", "--connect", host.uri]
    paths = [host.virsh("vol-path", "--pool", "labctl", each["volume"]).strip() for each in shown.values()]
    addresses = [node["addresses"]["internal"] for node in host.document("status", TEAM)["nodes"]]
    options = "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    logins = f"printf '%s\\n' {' '.join(addresses)} | xargs -P 8 -I NODE ssh -i {key} {options} root@NODE true"
    for node in shown:
        host.virsh("destroy", f"{TEAM}-{node}")

    def all_of_them() -> None:
        with ThreadPoolExecutor(max_workers=4) as executor:
            list(executor.map(lambda path: subprocess.run([*connect, "restore", path, "--running"], check=True), paths))

    floor = took(all_of_them)
    return floor, floor + took(lambda: host.labctl("enter", TEAM, "--", "sh", "-c", logins))


def took(work: Callable[[], object]) -> float:
    """Return the seconds that something took."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


if __name__ == "__main__":
    main()
