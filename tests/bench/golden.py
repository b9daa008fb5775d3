"""Measures golden sets: a lab that boots beside one that is forked, a node reset by booting and from memory.

`python -m tests.bench.golden [--installed] [--home FOLDER [--team TEAM]]` prints a table. The floor is
`virsh restore` of the same memory images, whose heads labctl has written for the lab that is measured; then OpenSSH's
client logs in on every node.
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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.golden")
    parser.add_argument("--topology", default="gridka")
    parser.add_argument("--node", default="image-node", help="the node to reset")
    parser.add_argument("--installed", action="store_true", help="with the cloud; tens of minutes without KVM")
    parser.add_argument("--home", type=Path, help="a state folder whose host has the images; else a new one")
    parser.add_argument("--team", default="bench", help="a lab of this team that stands is taken as it is, and removed")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    host = LabHost(options.home or Path(tempfile.mkdtemp(prefix="labctl-bench-")))
    stage = "installed" if options.installed else "bare"
    try:
        if options.home is None:
            host.labctl("image", "build", "openstack" if options.installed else "debian-13", timeout=3600)
            if options.installed:
                host.labctl("golden", "bake", options.topology, timeout=3600)
        for row in measure(host, options.team, options.topology, stage, options.node, options.rounds):
            print(row, flush=True)  # noqa: T201 - a script's result
    finally:
        host.labctl("destroy", options.team, check=False)
        host.labctl("golden", "remove", options.team, check=False)
        if options.home is None:
            host.remove()


def measure(host: LabHost, team: str, topology: str, stage: str, node: str, rounds: int) -> list[str]:
    """Return the rows of the table."""
    create = ("create", team, "--topology", topology, "--stage", stage)
    stands = team in [lab["team"] for lab in host.document("list")]
    cold = None if stands else took(lambda: host.labctl(*create, "--cold", timeout=3600))
    captured = took(lambda: host.labctl("golden", "capture", team, "--name", team, timeout=3600))
    key = host.home / "scratch" / f"{team}.key"
    shutil.copy(host.home / "labs" / team / "id_ed25519", key)
    host.labctl("destroy", team)
    forks, floors, logins, warm = [], [], [], []
    for _ in range(rounds):
        forks.append(took(lambda: host.labctl(*create, "--from", team)))
        warm.append(took(lambda: host.labctl("reset", node, "-t", team)))
        floor, login = restored(host, team, key)
        floors.append(floor)
        logins.append(login)
        host.labctl("destroy", team)
    key.unlink()
    host.labctl(*create, "--from", team)
    booted = took(lambda: host.labctl("reset", node, "-t", team, "--cold", timeout=3600))
    size = host.document("golden", "show", team)["bytes"] / 1024**3

    def row(what: str, seconds: float | None, whole: float | None) -> str:
        ratio = f"{seconds / whole:.2f}" if seconds and whole else ""
        return f"| {topology} {stage}: {what} | {'' if seconds is None else f'{seconds:.1f} s'} | {ratio} |"

    return [
        row("create that boots, to ready", cold, cold),
        f"| {topology} {stage}: capture | {captured:.1f} s, {size:.1f} GiB | |",
        row("fork, to ready", min(forks), cold),
        row("`virsh restore` of the same images, 4 at a time", min(floors), cold),
        row("the same, to `ssh` logged in on every node", min(logins), cold),
        row(f"reset {node} --cold, to ready", booted, booted),
        row(f"reset {node} from memory, to ready", min(warm), booted),
    ]


def restored(host: LabHost, team: str, key: Path) -> tuple[float, float]:
    """Return how long libvirt itself takes to have all nodes of the lab back, and then `ssh` to log in on each."""
    shown = host.document("golden", "show", team)["memory"]
    connect = ["virsh", "--quiet", "--connect", host.uri]
    paths = [host.virsh("vol-path", "--pool", "labctl", each["volume"]).strip() for each in shown.values()]
    addresses = [node["addresses"]["internal"] for node in host.document("status", team)["nodes"]]
    # The disk has the fork's key by now, unless the restored guest still has the page in its memory.
    keys = f"-i {key} -i {host.home / 'labs' / team / 'id_ed25519'}"
    options = "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    logins = f"printf '%s\\n' {' '.join(addresses)} | xargs -P 8 -I NODE ssh {keys} {options} root@NODE true"
    for node in shown:
        host.virsh("destroy", f"{team}-{node}")

    def all_of_them() -> None:
        with ThreadPoolExecutor(max_workers=4) as executor:
            list(executor.map(lambda path: subprocess.run([*connect, "restore", path, "--running"], check=True), paths))

    floor = took(all_of_them)
    return floor, floor + took(lambda: host.labctl("enter", team, "--", "sh", "-c", logins))


def took(work: Callable[[], object]) -> float:
    """Return the seconds that something took."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


if __name__ == "__main__":
    main()
