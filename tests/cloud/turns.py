"""Resets every node of a lab with a cloud in turn, from memory, and sees after each that the whole cloud works.

    python tests/cloud/turns.py TEAM CLOUDS.YAML KEY --sdk PYTHON [--nodes a,b] [--hosts compute-1] [--once]

After each reset: every probe of every role, then `prove.py --brief` with a Python that has openstacksdk; with --once
only after the last. LABCTL_HOME says whose lab. Prints a line for each with its seconds; the first that fails ends the
run.
"""

# ruff: noqa: T201 - what it prints is its result
from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from labctl.cli.labs import site_of, working
from labctl.lab import capture
from labctl.state import Home, records

LABCTL = Path(sys.executable).with_name("labctl")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("team")
    parser.add_argument("clouds")
    parser.add_argument("key")
    parser.add_argument("--sdk", required=True, help="a Python that has openstacksdk")
    parser.add_argument("--nodes", help="default: all")
    parser.add_argument("--hosts", default="compute-1", help="compute nodes that are to boot a server each time")
    parser.add_argument("--once", action="store_true", help="boot servers after the last reset alone")
    options = parser.parse_args()
    home = Home()
    known = [node.name for node in records.plan_of(records.record_of(home, options.team)).nodes]
    proof = [options.sdk, str(Path(__file__).with_name("prove.py")), options.clouds, options.key, "--brief"]
    nodes = options.nodes.split(",") if options.nodes else known
    for node in nodes:
        timed(f"reset {node}", LABCTL, "reset", node, "-t", options.team, "--quiet")
        began = time.monotonic()
        seen = probes(home, options.team)
        print(f"{time.monotonic() - began:8.1f} s  {seen} probes hold", flush=True)
        if node == nodes[-1] or not options.once:
            timed(f"after {node}: proven", LABCTL, "enter", options.team, "--", *proof, "--hosts", options.hosts)


def probes(home: Home, team: str) -> int:
    """Wait until every probe of every role holds; return how many there are."""
    with site_of(home, team) as place, working(home, place) as work:
        return len(capture.prove(work, records.lab_of(home, team)))


def timed(title: str, *argv: str | Path) -> None:
    began = time.monotonic()
    subprocess.run(argv, check=True)
    print(f"{time.monotonic() - began:8.1f} s  {title}", flush=True)


if __name__ == "__main__":
    main()
