"""The contestants: each makes eight nodes of gridka's sizes on the same private host, and takes them away again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from netaddr import IPNetwork

from labctl.hypervisor import Hypervisor
from labctl.images.store import ImageStore
from labctl.plan.lab import plan
from labctl.plan.model import Identity
from labctl.remote import keys
from labctl.render import seed, xml
from labctl.render.seed import SeedKeys
from labctl.spec import topology
from tests.integration.lab_host import LabHost, output

PEERS = Path.home() / ".cache" / "labctl-bench"
POOL = "labctl"
VL_POOL = Path("/var/lib/virt-lightning/pool")  # compiled into virt-lightning
DEADLINE = 120.0
INSIDE = "qemu:///system"  # the private host's own, seen from inside its namespaces


def install_peers() -> None:
    """Install the neighbours into an environment of their own, once."""
    if not (PEERS / "bin" / "kcli").exists():
        subprocess.run([sys.executable, "-m", "venv", PEERS], check=True)
        subprocess.run([PEERS / "bin/pip", "-q", "install", "virt-lightning==2.5.0", "kcli==99.0"], check=True)


@dataclass(frozen=True)
class Bench:
    """A host to compete on.

    Attributes:
        image: path of the base image, as the host's libvirt sees it.
        disk: the same file, as this machine sees it.
        nodes: name, memory (MiB), vcpus and networks of gridka's nodes.
    """

    host: LabHost
    uri: str
    pid: int
    image: str
    disk: Path
    nodes: tuple[dict[str, Any], ...]

    @classmethod
    def on(cls, host: LabHost) -> Bench:
        """Look at a host that has the base image."""
        with Hypervisor(host.uri) as hypervisor:
            image = ImageStore(hypervisor, POOL).images()["debian-13"]
        folder = Path(host.document("host", "status")[0]["folder"])
        disk = folder / "lib" / Path(image.path).relative_to("/var/lib/libvirt")
        spec = topology.load("gridka").nodes
        nodes = tuple(
            {"name": name, "memory": node.memory, "vcpus": node.vcpus, "nics": [nic.network for nic in node.nics]}
            for name, node in spec.items()
        )
        return cls(host, host.uri, host.pid, image.path, disk, nodes)

    def labctl(self) -> float:
        """Time `labctl create`."""
        began = time.monotonic()
        self.host.labctl("create", "bench", "--topology", "gridka", "--no-wait")
        took = time.monotonic() - began
        self.host.labctl("destroy", "bench")
        return took

    def floor(self) -> float:
        """Time the raw calls; everything that can be computed before is."""
        folder = self.host.home / "floor"
        self._documents(folder)
        began = time.monotonic()
        script = Path(__file__).with_name("floor.py")
        subprocess.run([sys.executable, script, self.uri, POOL, folder], check=True, timeout=DEADLINE)
        took = time.monotonic() - began
        shutil.rmtree(folder)
        self._clear("floor-")
        return took

    def virt_lightning(self) -> float:
        """Time virt-lightning until libvirt says that all run; its wait for SSH is cut off."""
        with self._virt_lightning() as process:
            return self._until_running(process)

    def virt_lightning_ready(self) -> float:
        """Time virt-lightning until it says that all its machines answer by SSH."""
        began = time.monotonic()
        with self._virt_lightning() as process:
            assert process.wait(timeout=600) == 0
            return time.monotonic() - began

    def labctl_ready(self) -> float:
        """Time `labctl create` until every node is seeded and answers."""
        began = time.monotonic()
        self.host.labctl("create", "bench", "--topology", "gridka")
        took = time.monotonic() - began
        self.host.labctl("destroy", "bench")
        return took

    def kcli(self) -> float:
        """Time kcli's provider."""
        self._peers_networks()
        nodes = json.dumps([node | {"name": f"kcli-{node['name']}"} for node in self.nodes])
        script = Path(__file__).with_name("kcli_plan.py")
        argv = [PEERS / "bin/python", script, INSIDE, POOL, self.disk.name, nodes]
        began = time.monotonic()
        done = subprocess.run(self._inside(argv), env=self._env(), capture_output=True, text=True, timeout=DEADLINE)
        took = time.monotonic() - began
        self._clear("kcli-")
        self._clear("peer-")
        assert done.returncode == 0, done.stdout + done.stderr
        return took

    def help(self) -> float:
        """Time `labctl --help`."""
        began = time.monotonic()
        self.host.labctl("--help")
        return time.monotonic() - began

    def plan(self) -> float:
        """Time the plan of twenty teams."""
        began = time.monotonic()
        self.host.labctl("plan", "team01..team20", "--topology", "gridka", "-o", "json")
        return time.monotonic() - began

    def footprint(self) -> tuple[int, int]:
        """Return MiB resident per node of a young lab, and MiB that its disks take."""
        self.host.labctl("create", "bench", "--topology", "gridka", "--no-wait")
        time.sleep(30)  # a point in time is what is measured
        resident = []
        for name in self.host.virsh("list", "--name").split():
            stats = self.host.virsh("dommemstat", name)
            resident.append(int(re.search(r"rss (\d+)", stats)[1]) // 1024)  # type: ignore[index]
        volumes = [file.stat().st_blocks * 512 for file in self.disk.parent.glob("bench-*")]
        self.host.labctl("destroy", "bench")
        return sum(resident) // len(resident), sum(volumes) // len(self.nodes) // 1024**2

    def _documents(self, folder: Path) -> None:
        spec = topology.load("gridka")
        identity = Identity(team="floor", lab=uuid4(), owner=uuid4(), mgmt=IPNetwork("192.168.99.0/24"))
        lab = plan(spec, identity)
        machine = xml.Machine(
            virt="qemu",
            volumes=Path(self.image).parent,
            cpu="qemu64",
            lacks=("cx16",),  # type: ignore[arg-type]
        )
        folder.mkdir()
        for network in lab.networks:
            (folder / f"network-{network.key}.xml").write_text(xml.network_xml(network, lab))
        login = keys.generate("floor")
        for node in lab.nodes:
            place = folder / node.name
            place.mkdir()
            pair = keys.generate(node.name)
            secrets = SeedKeys(
                authorized=(login.public,), host_private=pair.private, host_public=pair.public, known_hosts=""
            )
            content = seed.iso(seed.documents(node, lab, keys=secrets))
            (place / "seed.iso").write_bytes(content)
            (place / "volume-seed.xml").write_text(xml.volume_xml(node.seed, "raw", len(content)))
            for disk in node.disks:
                backing = self.image if disk.image else None
                (place / f"volume-{disk.device}.xml").write_text(xml.disk_xml(disk, backing=backing))
            (place / "domain.xml").write_text(xml.domain_xml(node, lab, machine=machine))

    @contextmanager
    def _virt_lightning(self) -> Iterator[subprocess.Popen[bytes]]:
        home = self.host.home / "vl"
        configuration = home / ".config/virt-lightning/config.ini"
        configuration.parent.mkdir(parents=True)
        pair = keys.generate("vl")
        (home / "id.pub").write_text(pair.public + "\n")
        (home / "id").write_text(pair.private)
        configuration.write_text(f"[main]\nlibvirt_uri = {INSIDE}\nssh_key_file = {home}/id.pub\n")
        machines = [
            {"name": f"vl-{node['name']}", "distro": "debian-13", "username": "root"}
            | {"memory": node["memory"], "vcpus": node["vcpus"], "disks": [{"size": 10}]}
            | {"networks": [{}, *({"network": f"peer-{key}"} for key in node["nics"][1:])]}
            # Its defaults are an IDE CD, for which Debian's cloud kernel has no driver, and OpenStack's metadata.
            | {"meta_data_media_type": "disk", "metadata_format": {"provider": "nocloud"}}
            for node in self.nodes
        ]
        (home / "virt-lightning.yaml").write_text(json.dumps(machines))
        self._peers_networks()
        (VL_POOL / "upstream").mkdir(parents=True)
        VL_POOL.chmod(0o755)
        shutil.copy(self.disk, VL_POOL / "upstream" / "debian-13.qcow2")
        argv = [PEERS / "bin/vl", "up", "--virt-lightning-yaml", home / "virt-lightning.yaml"]
        log = (self.host.home / "vl.log").open("wb")
        process = subprocess.Popen(self._inside(argv), env=self._env(home), cwd=home, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            self._clear("vl-", pool="virt-lightning")
            self._clear("peer-")
            for kind in ("pool", "net"):
                for verb in ("destroy", "undefine"):
                    self._try(f"{kind}-{verb}", "virt-lightning")
            shutil.rmtree(VL_POOL.parent)
            shutil.rmtree(home)

    def _peers_networks(self) -> None:
        """Make the networks of gridka for a neighbour, before its time begins."""
        for number, key in enumerate(("mgmt", "internal", "public", "private"), start=100):
            document = self.host.home / "network.xml"
            document.write_text(  # virt-lightning wants an address on each
                f"<network><name>peer-{key}</name><bridge name='lab{key}'/>"
                f"<ip address='192.168.{number}.1' netmask='255.255.255.0'>"
                f"<dhcp><range start='192.168.{number}.2' end='192.168.{number}.99'/></dhcp></ip></network>"
            )
            self.host.virsh("net-define", str(document))
            self.host.virsh("net-start", f"peer-{key}")

    def _until_running(self, process: subprocess.Popen[bytes]) -> float:
        """Wait until eight domains run; return the seconds."""
        began = time.monotonic()
        while len(self.host_running()) < len(self.nodes):
            assert process.poll() is None, (self.host.home / "vl.log").read_text()
            assert time.monotonic() - began < DEADLINE
            time.sleep(0.02)
        return time.monotonic() - began

    def host_running(self) -> list[str]:
        """Return the names of the domains that run."""
        return output(["virsh", "--connect", self.uri, "list", "--name", "--state-running"]).split()

    def _inside(self, argv: Sequence[str | Path]) -> list[str]:
        namespaces = ["nsenter", f"--net=/proc/{self.pid}/ns/net", f"--mount=/proc/{self.pid}/ns/mnt", "--"]
        return [*namespaces, *map(str, argv)]

    def _env(self, home: Path | None = None) -> dict[str, str]:
        return {key: value for key, value in os.environ.items() if key != "LABCTL_HOME"} | {
            "HOME": str(home or self.host.home)
        }

    def _clear(self, prefix: str, *, pool: str = POOL) -> None:
        """Remove all domains, volumes and networks whose names begin so."""
        for name in self.host.virsh("list", "--all", "--name").split():
            if name.startswith(prefix):
                self._try("destroy", name)
                self.host.virsh("undefine", name)
        if not self._try("pool-refresh", pool):
            return
        for line in self.host.virsh("vol-list", pool).splitlines()[2:]:
            if line.strip().startswith(prefix):
                self.host.virsh("vol-delete", "--pool", pool, line.split()[0])
        for name in self.host.virsh("net-list", "--all", "--name").split():
            if name.startswith(prefix):
                self._try("net-destroy", name)
                self.host.virsh("net-undefine", name)

    def _try(self, *arguments: str) -> bool:
        done = subprocess.run(["virsh", "--connect", self.uri, *arguments], capture_output=True, check=False)
        return done.returncode == 0
