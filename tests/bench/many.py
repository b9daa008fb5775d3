"""Measures many labs: booted, forked from one that booted, taken from the pool, caught up; and the memory of forks.

`python -m tests.bench.many [--labs N] [--forks N]` prints tables. The labs are of `mini`, with a cloud of which nothing
but the first chapter is ever installed. Memory is the sum of the proportional shares (PSS) of a host's QEMU processes,
so a page that two of them share counts once. Same-page merging is the whole machine's: other virtual machines are
scanned, too. Its settings are put back at the end.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.bench.golden import took
from tests.integration.lab_host import LabHost

CHAPTER = "chrony"
MERGING = Path("/sys/kernel/mm/ksm")
REST = 15.0  # seconds after which a lab has done what it does after a start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.many")
    parser.add_argument("--labs", type=int, default=4, help="labs that are booted, and forked from one")
    parser.add_argument("--forks", type=int, default=8, help="forks whose memory is measured: 1, 2, 4, ... of them")
    parser.add_argument("--patience", type=float, default=600, help="seconds at most that merging is waited for")
    parser.add_argument("--home", type=Path, help="a state folder whose host has the image and no labs; else a new one")
    options = parser.parse_args()
    host = LabHost(options.home or Path(tempfile.mkdtemp(prefix="labctl-bench-")))
    try:
        if options.home is None:
            host.labctl("image", "build", "debian-13", timeout=3600)
        for line in Bench(host).tables(options.labs, options.forks, options.patience):
            print(line, flush=True)  # noqa: T201 - a script's result
    finally:
        removed(host)
        for name in {each["name"] for each in host.document("golden", "list")}:
            host.labctl("golden", "remove", name, check=False)
        if options.home is None:
            host.remove()


class Bench:
    """The labs on one host."""

    def __init__(self, host: LabHost) -> None:
        self.host = host
        self.topology = host.home / "scratch" / "many.yaml"
        document = yaml.safe_load(host.labctl("init", "mini").stdout)
        cloud = {"internal": "internal", "public": "public", "floating": "172.16.1.0/24", "tenant": "10.99.0.0/22"}
        document |= {"name": "many", "openstack": cloud | {"medium": None}}
        document["nodes"]["node-1"]["roles"] = ["mariadb", "memcached", "keystone"]
        self.topology.write_text(yaml.safe_dump(document))

    def tables(self, labs: int, forks: int, patience: float) -> Iterator[str]:
        """Yield the lines of both tables."""
        yield from ["| what | time | ratio |", "|---|---|---|"]
        cold = took(lambda: self.create(labs, "--cold"))
        time.sleep(REST)
        booted = memory(self.host) / labs
        removed(self.host)
        once = took(lambda: self.create(labs))
        yield row(f"{labs} labs, each booted, until all are ready", cold, cold)
        yield row("the same: one boots and is captured, the others are forked from it", once, cold)
        removed(self.host)
        yield from self.singles()
        removed(self.host)
        yield from self.memories(booted, forks, patience)

    def singles(self) -> Iterator[str]:
        """Yield how long one lab is waited for."""
        forked = took(lambda: self.create(1))
        yield row("create of one lab, a fork, until it is ready", forked, forked)
        yield row("standby 1, until the lab waits", took(lambda: self.host.labctl("standby", "1", *self.of)), forked)
        taken = took(lambda: self.host.labctl("create", "taken", *self.of))
        yield row("create that takes it, until it is ready", taken, forked)
        until = took(lambda: self.host.labctl("golden", "capture", "taken", "--until", CHAPTER))
        yield row(f"golden capture --until {CHAPTER}", until, None)
        reset = took(lambda: self.host.labctl("reset", "--all", "-t", "many01"))
        yield row("reset --all from memory, until the lab is ready", reset, reset)
        caught = took(lambda: self.host.labctl("catchup", "many01", "--to", CHAPTER, "--yes"))
        yield row(f"catchup --to {CHAPTER}, until the lab is ready", caught, reset)

    def memories(self, booted: float, most: int, patience: float) -> Iterator[str]:
        """Yield how much memory forks take, without and with merging."""
        steps = [number for number in (1, 2, 4, 8, 16) if number <= most]
        alone, merged = {}, {}
        for number in steps:
            self.create(number)
            time.sleep(REST)
            alone[number] = memory(self.host)
        with merging(self.host, patience) as waited:
            saved = int((MERGING / "pages_sharing").read_text()) * os.sysconf("SC_PAGE_SIZE") / 1024**2
            for number in reversed(steps):
                removed(self.host, keep=number)
                merged[number] = memory(self.host)
        yield from [
            "",
            "| labs | memory, MiB | of as many booted ones | with merging | ratio |",
            "|---|---|---|---|---|",
        ]
        yield f"| 1, booted | {booted:.0f} | 1.00 | | |"
        for number in steps:
            of_booted, ratio = alone[number] / (booted * number), merged[number] / alone[number]
            what = f"{number} fork{'s' if number > 1 else ''}"
            yield f"| {what} | {alone[number]:.0f} | {of_booted:.2f} | {merged[number]:.0f} | {ratio:.2f} |"
        yield f"\nMerging was waited for {waited:.0f} s; it saved {saved:.0f} MiB on the whole machine then."

    def create(self, number: int, *options: str) -> None:
        """See that so many teams have labs."""
        self.host.labctl("create", f"many01..many{number:02}", *self.of, *options, timeout=3600)

    @property
    def of(self) -> tuple[str, str]:
        return "--topology", str(self.topology)


@contextmanager
def merging(host: LabHost, patience: float) -> Iterator[float]:
    """Switch same-page merging on; yield after how many seconds the kernel had looked at all memory twice.

    Args:
        patience: seconds that it has for that.
    """
    before = {name: (MERGING / name).read_text() for name in ("pages_to_scan", "sleep_millisecs", "run")}
    scans = int((MERGING / "full_scans").read_text())
    try:
        host.labctl("host", "tune", "--merging")
        began = time.monotonic()
        # Twice from its start: it was in the middle of a look when it was switched off.
        while int((MERGING / "full_scans").read_text()) < scans + 3 and time.monotonic() - began < patience:
            time.sleep(2)
        yield time.monotonic() - began
    finally:
        if int(before["run"]) != 1:
            (MERGING / "run").write_text("2")  # what was merged is taken apart
        for name, value in before.items():
            (MERGING / name).write_text(value)


def removed(host: LabHost, *, keep: int = 0) -> None:
    """Remove all labs but the first few."""
    surplus = [lab["team"] for lab in host.document("list")][keep:]
    if surplus:
        host.labctl("destroy", "--yes", *surplus)


def memory(host: LabHost) -> float:
    """Return the MiB that a host's QEMU processes take, shared pages by halves, thirds, ..."""
    shares = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            ours = (folder / "ns/pid").samefile(f"/proc/{host.pid}/ns/pid")
            if ours and (folder / "comm").read_text().startswith("qemu:"):
                shares.append(int(re.search(r"^Pss: +(\d+)", (folder / "smaps_rollup").read_text(), re.MULTILINE)[1]))  # type: ignore[index]
        except OSError:
            continue  # it ended meanwhile
    return sum(shares) / 1024


def row(what: str, seconds: float, whole: float | None) -> str:
    """Return a row of the table of times."""
    return f"| {what} | {seconds:.1f} s | {f'{seconds / whole:.2f}' if whole else ''} |"


if __name__ == "__main__":
    main()
