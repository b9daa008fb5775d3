"""A whole installation of labctl in a test: a state folder, a fake host with an image, and guests that get ready.

    world.create("red")
    world.host.guest("red-node-1").write(ruined=True)
    world.reset("red", "node-1")

Each command gets a connection of its own, as each process has. Guests boot at once; they take keys from their seeds, or
from what labctl tells their agents, and let in who has the right ones.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import shlex
import shutil
import socket
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import yaml
from cryptography.hazmat.primitives import serialization
from netaddr import IPNetwork

from labctl.errors import DeadlineError, RemoteError
from labctl.guest import Result
from labctl.host.private import PrivateHost
from labctl.hypervisor import Hypervisor, Owner
from labctl.hypervisor.fake import FakeHypervisor
from labctl.hypervisor.fake_disk import qcow2
from labctl.hypervisor.fake_host import FakeHost
from labctl.hypervisor.fake_objects import FakeDomain, FakeGuest
from labctl.images.store import Manifest
from labctl.lab import capture, create, destroy, power, reset, snapshot, status
from labctl.lab.create import Created
from labctl.lab.decisions import Choice, Starting
from labctl.lab.power import Started
from labctl.lab.status import LabStatus
from labctl.plan.model import LabPlan
from labctl.remote.ssh import SshTransport
from labctl.remote.translate import HostKeyError, LoginError
from labctl.render import identity
from labctl.sets.manifest import GoldenManifest
from labctl.site.progress import Phase
from labctl.site.site import Site
from labctl.site.work import Work
from labctl.spec import topology
from labctl.spec.host import Host
from labctl.state import Home, LabRecord, records

AUTHORIZED = "/root/.ssh/authorized_keys"
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"
MACHINE_ID = "/etc/machine-id"
GIB = 1024**3

Trace = Callable[[str], None]


@dataclass
class Notes:
    """A progress that keeps what it is told."""

    said: list[str] = field(default_factory=list)
    phases: list[tuple[str, str, Phase]] = field(default_factory=list)

    def node(self, team: str, node: str, phase: Phase, detail: str = "") -> None:
        self.phases.append((team, node, phase))

    def say(self, text: str) -> None:
        self.said.append(text)


class World:
    """An installation, its fake host, and its commands.

    Attributes:
        folder: for files that are no state.
        trace: told of every call to the host or a guest, before and after it.
        groups: the domains of each lab that have its share of the host, with the documents of their machines.
        seen: lab, node and generation of the guests whose SSH server labctl has met.
    """

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        self.home.root.mkdir(mode=0o700)
        self.host = FakeHost()
        self.host.booted = seeded
        self.host.answers = [
            (r"^modprobe virtio_balloon", lambda *_: said()),
            (rf"^{re.escape(identity.CLOCK)}$", lambda *_: said()),
            (r"^exec sh -s$", told),
        ]
        self.notes = Notes()
        self.trace: Trace = _nothing
        self.groups: dict[str, dict[str, str | None]] = {}
        self.seen: set[tuple[UUID, str, int]] = set()
        self.folder = folder
        self.image("debian-13")

    def twin(self, folder: Path) -> World:
        """Return another installation that stands as this one does.

        Args:
            folder: for its state, which is not there yet.
        """
        other = copy.copy(self)
        shutil.copytree(self.home.root, folder / "home")
        other.home, other.host, other.notes, other.trace = Home(folder / "home"), self.host.twin(), Notes(), _nothing
        other.seen, other.groups = set(self.seen), dict(self.groups)
        return other

    def site(self) -> Site:
        """Connect to the host."""
        hypervisor = cast(Hypervisor, FakeHypervisor(self.host, trace=self.trace))
        private = cast(PrivateHost, FakeShares(self))
        return Site("fake", Host(), hypervisor, FakeDialer(self), "qemu", self.log_in, private=private)

    def image(self, name: str, *, virtual_size: int = 2 * GIB, extras: tuple[str, ...] = ()) -> str:
        """Give the host a base image; return its volume."""
        file = self.folder / f"{name}.qcow2"
        file.write_bytes(qcow2(virtual_size) + name.encode() + "".join(extras).encode())
        made = Manifest(
            name=name,
            sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
            size=file.stat().st_size,
            virtual_size=virtual_size,
            os_info="",
            created="2026-11-26T08:00:00+00:00",
            source="a test",
            extras=extras,
        )
        return self.site().images.publish(file, made).volume

    def record(self, team: str) -> LabRecord:
        """Return the record of a team's lab."""
        record = self.home.lab(team).load()
        assert record is not None, f"{team} has no lab"
        return record

    def plan(self, team: str) -> LabPlan:
        """Return the plan of a team's lab."""
        return records.plan_of(self.record(team))

    def inventory(self) -> dict[str, list[str]]:
        """List what stands on the host and in the state folder, for comparing before and after."""
        return {
            "domains": sorted(domain.name for domain in self.host.domains.values()),
            "networks": sorted(network.facts.name for network in self.host.networks.values()),
            "files": sorted(self.host.files),
            "labs": sorted(str(path.relative_to(self.home.root)) for path in self.home.root.glob("labs/*")),
        }

    # -- commands -----------------------------------------------------------------------------------------------

    def create(self, *teams: str, named: str | None = "mini", wait: bool = True, **options: Any) -> list[Created]:
        """Run `labctl create`; `named=None` completes labs that there are."""
        spec = topology.load(named) if named else None
        choice = replace(options.pop("choice", Choice()), topology=spec)
        return create.create(self.work(), teams, choice, Starting(wait=wait, **options))

    def reset(self, team: str, *names: str, wait: bool = True, **options: Any) -> list[str]:
        """Run `labctl reset`."""
        stage = options.pop("stage", None)
        return reset.reset(self.work(), team, names, stage=stage, how=Starting(wait=wait, **options))

    def destroy(self, team: str) -> None:
        """Run `labctl destroy`."""
        destroy.destroy(self.work(), team)

    def start(self, team: str, *names: str, wait: bool = True, overcommit: bool = False) -> Started:
        """Run `labctl start`."""
        return power.start(self.work(), team, names, Starting(wait=wait, overcommit=overcommit))

    def stop(self, team: str, *names: str, force: bool = False) -> list[str]:
        """Run `labctl stop`."""
        return power.stop(self.work(), team, names, force=force)

    def capture(self, team: str, name: str | None = None) -> GoldenManifest:
        """Run `labctl golden capture`."""
        return capture.capture(self.work(), team, name)

    def snapshot(self, team: str, name: str) -> GoldenManifest:
        """Run `labctl snapshot save`."""
        return capture.snapshot(self.work(), team, name)

    def restore(self, team: str, name: str) -> None:
        """Run `labctl snapshot restore`."""
        snapshot.restore(self.work(), team, name)

    def status(self, team: str) -> LabStatus:
        """Run `labctl status`."""
        return status.status(self.home, self.site(), team)

    def work(self, *, jobs: int = 1) -> Work:
        """Return a command's work on the host, which is connected to anew."""
        cancelled = threading.Event()
        return Work(home=self.home, site=self.site(), jobs=jobs, progress=self.notes, cancelled=cancelled)

    # -- the way in ---------------------------------------------------------------------------------------------

    def log_in(
        self,
        dialer: object,
        address: str,
        *,
        name: str,
        key: str,
        host_key: str,
        greeted: Callable[[], object] = lambda: None,
        **_: object,
    ) -> SshTransport:
        """Log in to the guest at an address, which must show that host key and know that key."""
        self.trace(f"before: log in to {name}")
        guest = self.host.at(address)
        if guest is None:
            raise DeadlineError(f"{address} did not answer by SSH in time", details="Last state seen: no route to host")
        greeted()
        files = guest.memory.get("files", {})
        if str(files.get(HOST_KEY, "")).strip() != host_key.strip():
            raise HostKeyError(f"{name}: another machine answers: its host key is not this node's")
        if public(key) not in {" ".join(line.split()[:2]) for line in str(files.get(AUTHORIZED, "")).splitlines()}:
            raise LoginError(f"{name}: the node refuses the lab's key")
        self.met(guest)
        self.trace(f"after: log in to {name}")
        return cast(SshTransport, FakeTransport(self, address, name))

    def met(self, guest: FakeGuest) -> None:
        """Note that labctl has been in touch with a guest."""
        owner = owner_of(guest.domain)
        self.seen.add((owner.lab, owner.node, owner.generation))


class FakeShares:
    """The private host that a fake host is, as far as it shares its processors."""

    def __init__(self, world: World) -> None:
        self._world = world

    def share(self, lab: str, domains: Collection[str]) -> None:
        """Note the guests that run now."""
        every = self._world.host.domains.values()
        self._world.groups[lab] = {each.name: each.live for each in every if each.name in domains and each.guest}

    def unshare(self, lab: str) -> None:
        """Note that the lab has no guests any more."""
        gone = self._world.groups.pop(lab, {})
        assert not [each for each in self._world.host.domains.values() if each.name in gone and each.guest]


class Died(BaseException):
    """The process ended here."""


def died(world: World, moment: str, command: Callable[[], object]) -> None:
    """Run a command whose process dies at a moment: it does nothing more to the host, whatever it still tries."""
    dead = threading.Event()

    def trace(call: str) -> None:
        if call == moment:
            dead.set()
        if dead.is_set():
            raise Died(moment)

    world.trace = trace
    try:
        command()
    except Died:
        return
    finally:
        world.trace = lambda _: None
    raise AssertionError(f"there was no {moment}")


class FakeDialer:
    """Reaches a fake host's guests."""

    patience = 0.01

    def __init__(self, world: World) -> None:
        self._world = world

    def connect(self, address: str, port: int, *, timeout: float) -> socket.socket:
        """Open a connection to a guest's SSH server, which greets."""
        guest = self._world.host.at(address)
        if port != 22 or guest is None:
            raise RemoteError(f"{address} port {port}: no route to host")
        self._world.met(guest)
        ours, theirs = socket.socketpair()
        theirs.sendall(b"SSH-2.0-OpenSSH_10.0\r\n")
        theirs.close()
        return ours

    def routes(self) -> list[IPNetwork]:
        return []

    def command(self, argv: Sequence[str]) -> list[str]:
        return list(argv)

    def remove_bridge(self, name: str) -> bool:
        return self._world.host.bridges.pop(name, None) is not None

    def ssh_options(self) -> list[str]:
        return []

    def close(self) -> None:
        """Do nothing: nothing is kept."""


class FakeTransport:
    """A connection to a guest; it knows the scripts that labctl runs over SSH."""

    def __init__(self, world: World, address: str, name: str) -> None:
        self.name = name
        self._world, self._address = world, address
        self.alive = True

    def __enter__(self) -> FakeTransport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.alive = False

    def run(self, command: str, **_: object) -> Result:
        """Answer what cloud-init made of the seed; nothing else is known."""
        self._world.trace(f"before: run a command in {self.name}")
        guest = self._world.host.at(self._address)
        if guest is None:
            raise RemoteError(f"{self.name}: the connection was lost")
        assert "/run/cloud-init/result.json" in command, f"{self.name} does not know {command!r}"
        result = json.dumps({"v1": {"datasource": "DataSourceNoCloud", "errors": guest.memory["errors"]}})
        self._world.trace(f"after: run a command in {self.name}")
        return Result(exit_code=0, stdout=f"=result\n{result}\n", stderr="")


def seeded(guest: FakeGuest) -> None:
    """Do what cloud-init does at a first boot: take keys and names from the seed."""
    seed = bytes(guest.cds["sda"].content) if "sda" in guest.cds else b""
    start = seed.find(b"#cloud-config\n")
    guest.memory["errors"] = [] if start >= 0 else ["no seed"]
    if start < 0:
        return
    end = seed.find(b"\0", start)
    user = yaml.safe_load(seed[start:end].decode())
    found = re.search(rb"instance-id: (\S+)\n", seed)
    assert found is not None
    guest.memory["instance"] = found[1].decode().strip("\"'")
    guest.memory["files"] = {
        AUTHORIZED: "\n".join(user["ssh_authorized_keys"]),
        HOST_KEY: user["ssh_keys"]["ed25519_public"],
    }


def told(guest: FakeGuest, script: str, stdin: bytes) -> Result:
    """Obey the scripts that labctl sends to agents: an identity, or questions, whose answers are all yes."""
    text = stdin.decode()
    if re.match(r"end=\$\(", text):
        return said()
    assert text.startswith(f"set -eu\n{identity.CLOCK}\n"), f"{guest.domain.name} does not know {text!r}"
    files = guest.memory["files"]
    write = r"^(?:if \[ -e (\S+) \]; then )?printf (?:%s|'%s\\n') (.*?) >(/\S+?)(?:; fi)?$"
    for asked, words, path in re.findall(write, text, re.MULTILINE | re.DOTALL):
        if not asked or asked in files:
            files[path] = "\n".join(shlex.split(words))
    assert MACHINE_ID in guest.memory["files"]
    return said()


def said(stdout: str = "", *, exit_code: int = 0) -> Result:
    return Result(exit_code=exit_code, stdout=stdout, stderr="")


def owner_of(domain: FakeDomain) -> Owner:
    """Return the metadata in a domain's document."""
    document = domain.live or domain.document
    owner = Owner.from_element(ET.fromstring(document).find("metadata")) if document else None
    assert owner is not None
    return owner


def _nothing(_: str) -> None:
    """Watch nothing."""


def public(key: str) -> str:
    """Return the public half of a private key, as authorized_keys has it."""
    loaded = serialization.load_ssh_private_key(key.encode(), password=None)
    return loaded.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
