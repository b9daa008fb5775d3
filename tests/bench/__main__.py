"""Measures labctl beside its floor and its neighbours, all in one run on one private host; prints a table.

`python -m tests.bench [--rounds N] [--boot]`. Ratios of one run mean something; seconds of different machines do not.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench import contestants
from tests.bench.contestants import Bench
from tests.integration.lab_host import LabHost

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def main() -> None:
    """Measure, print, and write the table into docs/benchmarks.md."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--boot", action="store_true", help="also boot to seeded-and-SSH; minutes without KVM")
    options = parser.parse_args()
    host = LabHost(Path(tempfile.mkdtemp(prefix="labctl-bench-")))
    try:
        host.labctl("image", "build", "debian-13")
        rows = measure(Bench.on(host), rounds=options.rounds, boot=options.boot)
    finally:
        host.remove()
    table = "\n".join(["| what | median | ratio |", "|---|---|---|", *rows])
    print(table)  # noqa: T201 - a script's result
    text = PAGE.read_text()
    machine = (
        f"{os.cpu_count()} processors, no KVM" if not Path("/dev/kvm").exists() else f"{os.cpu_count()} processors"
    )
    note = f"Measured {time.strftime('%Y-%m-%d')}, {machine}, {options.rounds} rounds, alternating."
    PAGE.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{note}\n\n{table}\n{END}", text, flags=re.DOTALL))


def measure(bench: Bench, *, rounds: int, boot: bool) -> list[str]:
    """Return the rows of the table."""
    running: dict[str, Callable[[], float]] = {
        "labctl": bench.labctl,
        "raw libvirt calls, 4 threads (the floor)": bench.floor,
        "virt-lightning 2.5.0": bench.virt_lightning,
        "kcli 99.0 (provider, one after the other)": bench.kcli,
    }
    seconds: dict[str, list[float]] = {name: [] for name in running}
    for _ in range(rounds):
        for name, contestant in running.items():
            seconds[name].append(contestant())
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ours = medians["labctl"]
    rows = [f"| eight nodes, command to all running: {name} | {value:.2f} s | labctl takes {ours / value:.2f} of it |"
            for name, value in medians.items()]  # fmt: skip
    rows.append(f"| `labctl --help` | {median_of(bench.help, 10) * 1000:.0f} ms | |")
    rows.append(f"| `labctl plan team01..team20` | {median_of(bench.plan, 3):.2f} s | |")
    memory, disk = bench.footprint()
    rows.append(f"| a gridka node 30 s after its start: QEMU's memory / disk | {memory} MiB / {disk} MiB | |")
    if boot:
        ours, theirs = bench.labctl_ready(), bench.virt_lightning_ready()
        rows.append(f"| eight nodes, command to seeded and SSH: labctl | {ours:.0f} s | |")
        rows.append(f"| the same: virt-lightning | {theirs:.0f} s | labctl takes {ours / theirs:.2f} of it |")
    return rows


def median_of(contestant: Callable[[], float], rounds: int) -> float:
    """Return the median of several runs, seconds."""
    return statistics.median(contestant() for _ in range(rounds))


if __name__ == "__main__":
    for program in ("virsh", "nsenter"):
        assert shutil.which(program), f"{program} is missing: make setup"
    contestants.install_peers()
    subprocess.run(["sync"], check=False)
    main()
