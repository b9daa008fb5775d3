"""A state folder with a private host of its own, and the ways to look at it that share no code with labctl."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LABCTL = Path(sys.executable).with_name("labctl")

HALT = bytes.fromhex("fa f4 ebfd")
"""Boot code that stops the processor (cli; again: hlt; jmp again): a guest that costs nothing."""


@dataclass(frozen=True)
class LabHost:
    """One installation of labctl with its private host.

    Attributes:
        home: its LABCTL_HOME.
    """

    home: Path

    def labctl(self, *arguments: str, timeout: float = 1500, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run labctl; a failure shows what it said."""
        done = subprocess.run(
            [LABCTL, *arguments], env=self.env, timeout=timeout, capture_output=True, text=True, check=False
        )
        if check:
            assert done.returncode == 0, f"labctl {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def popen(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start labctl in a process group of its own."""
        quiet = subprocess.DEVNULL
        return subprocess.Popen([LABCTL, *arguments], env=self.env, stdout=quiet, stderr=quiet, start_new_session=True)

    def document(self, *arguments: str) -> Any:
        """Return what a reading command says as JSON."""
        return json.loads(self.labctl(*arguments, "-o", "json").stdout)

    def ssh(self, team: str, node: str, command: str, *, check: bool = True) -> str:
        """Run a shell line on a node."""
        return self.labctl("ssh", "-t", team, node, "--", command, check=check, timeout=180).stdout

    def virsh(self, *arguments: str, timeout: float = 60) -> str:
        """Ask the private host's libvirt."""
        return output(["virsh", "--connect", self.uri, *arguments], timeout=timeout)

    def inside(self, *argv: str) -> str:
        """Run a program in the private host's network namespace."""
        return output(["nsenter", f"--net=/proc/{self.pid}/ns/net", *argv])

    def inventory(self) -> dict[str, Any]:
        """List what libvirt, the kernel and the file system hold, for comparing before and after."""
        links = json.loads(self.inside("ip", "-json", "link"))
        home = str(self.home)
        return {
            "domains": sorted(self.virsh("list", "--all", "--name").split()),
            "networks": sorted(self.virsh("net-list", "--all", "--name").split()),
            "volumes": sorted(line.split()[0] for line in self.virsh("vol-list", "labctl").splitlines()[2:] if line),
            "links": sorted(link["ifname"] for link in links),
            "rules": [line for line in self.inside("nft", "list", "ruleset").splitlines() if "counter" not in line],
            "processes": sorted(name for name in processes(self.pid) if name.startswith(("qemu", "dnsmasq"))),
            "labs": sorted(str(path.relative_to(home)) for path in (self.home / "labs").rglob("*")),
            "locks": sorted(path.name for path in (self.home / "locks").glob("*")),
        }

    @property
    def env(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("LABCTL_")}
        return kept | {"LABCTL_HOME": str(self.home), "LABCTL_HOST": "local"}

    @property
    def uri(self) -> str:
        return str(self._status["uri"])

    @property
    def pid(self) -> int:
        return int(self._status["pid"])

    @functools.cached_property
    def _status(self) -> dict[str, Any]:
        """What is said of the private host, which runs from when it is first asked for until the end."""
        (status,) = self.document("host", "status")
        return dict(status)

    def remove(self) -> None:
        """End the private host and delete the folder."""
        self.labctl("host", "down", "local", "--force", "--purge", check=False, timeout=120)
        shutil.rmtree(self.home, ignore_errors=True)


def output(argv: Sequence[str], *, timeout: float = 60) -> str:
    """Return what a program prints."""
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=timeout).stdout


def stub_disk(path: Path, *, code: bytes = HALT, content: bytes = b"") -> Path:
    """Write a qcow2 disk whose boot code is all that a guest runs.

    Args:
        content: what follows the boot code's sector; up to a MiB it is zeros.
    """
    raw = path.with_suffix(".part")
    with raw.open("wb") as file:
        file.write(code.ljust(510, b"\0") + b"\x55\xaa" + content)
        file.truncate(max(file.tell(), 1024**2))
    output(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(path)])
    raw.unlink()
    return path


def processes(init: int) -> list[str]:
    """Return the names of all processes in the PID namespace of a private host that are not zombies."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if not (folder / "ns/pid").samefile(f"/proc/{init}/ns/pid"):
                continue
            name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if rest.split()[0] != "Z":
            found.append(name)
    return found


def root_namespace() -> dict[str, str]:
    """Describe this machine's own networks: they stay as they are."""
    return {
        "links": "\n".join(sorted(link["ifname"] for link in json.loads(output(["ip", "-json", "link"])))),
        "routes": output(["ip", "route", "show", "table", "all"]),
        "rules": output(["nft", "list", "ruleset"]),
    }
