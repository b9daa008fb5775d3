"""The test instance image, built as users build it and booted in QEMU with user-mode networking.

QEMU itself plays DHCP server and metadata service, and lets nothing else out (`restrict`).
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labctl.images import instance, recipe
from labctl.remote import keys, wait
from labctl.remote.dial import Direct
from labctl.remote.keys import KeyPair
from labctl.remote.ssh import SshTransport

MINUTE = 60
METADATA = """#!{python} -S
import sys
path = sys.stdin.buffer.readline().split()[1].decode()
while sys.stdin.buffer.readline().strip():
    pass
try:
    status, body = "200 OK", open({folder!r} + "/" + path.rpartition("/")[2], "rb").read()
except OSError:
    status, body = "404 Not Found", b""
head = f"HTTP/1.1 {{status}}\\r\\nContent-Length: {{len(body)}}\\r\\nConnection: close\\r\\n\\r\\n"
sys.stdout.buffer.write(head.encode() + body)
"""

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86"),
]


@dataclass
class Guest:
    """A machine that boots a disk; what it needs lies in one folder."""

    folder: Path
    disk: Path
    key: KeyPair
    port: int
    process: subprocess.Popen[bytes]

    @property
    def console(self) -> str:
        file = self.folder / "console"
        return file.read_text(errors="replace") if file.exists() else ""

    def says(self, pattern: str, *, seconds: float = 3 * MINUTE) -> re.Match[str]:
        """Wait until the console shows a pattern."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.console)):
            assert time.monotonic() < deadline, f"no {pattern!r} on the console:\n{self.console[-2000:]}"
            assert self.process.poll() is None, f"the machine went off:\n{self.console[-2000:]}"
            time.sleep(0.1)
        return found

    def ssh(self, user: str) -> SshTransport:
        """Log in with the injected key; the host key is the one that the console shows."""
        host_key = self.says(r"instance: host key (ssh-ed25519 \S+)")[1]
        stream = wait.wait_for_ssh(Direct(), "127.0.0.1", port=self.port, deadline=time.monotonic() + MINUTE)
        return SshTransport.connect(
            stream, name="instance", user=user, key=self.key.private, host_key=host_key, timeout=MINUTE
        )

    def monitor(self, command: str, **arguments: object) -> None:
        """Have QEMU execute a command of its machine protocol."""
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(30)
            channel.connect(str(self.folder / "monitor"))
            stream = channel.makefile("rw")
            stream.readline()
            for request in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                stream.write(json.dumps(request) + "\n")
                stream.flush()
                answer: dict[str, Any] = {}
                while not answer.keys() & {"return", "error"}:
                    answer = json.loads(stream.readline())
                assert "error" not in answer, answer

    def press_power_button(self) -> None:
        """Have the machine go down by itself."""
        self.monitor("system_powerdown")
        assert self.process.wait(timeout=MINUTE) == 0


@contextlib.contextmanager
def booted(folder: Path, disk: Path, key: KeyPair, user_data: str | None = None) -> Iterator[Guest]:
    """Boot a disk with a metadata service that knows `key`; the machine is gone afterwards."""
    folder.mkdir()
    served = folder / "served"
    served.mkdir()
    document = {
        "uuid": "11111111-2222-3333-4444-555555555555",
        "hostname": "vm-1.novalocal",
        "public_keys": {"mine": key.public + "\n"},
        "keys": [{"name": "mine", "type": "ssh", "data": key.public + "\n"}],
    }
    (served / "meta_data.json").write_text(json.dumps(document))
    if user_data is not None:
        (served / "user_data").write_text(user_data)
    service = folder / "metadata"
    service.write_text(METADATA.format(python=sys.executable, folder=str(served)))
    service.chmod(0o700)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    network = (
        "user,model=virtio,restrict=on,net=169.254.0.0/16,host=169.254.0.2,dhcpstart=169.254.0.15,"
        f"hostfwd=tcp:127.0.0.1:{port}-:22,guestfwd=tcp:169.254.169.254:80-cmd:{service}"
    )
    command = [
        *("qemu-system-x86_64", "-M", "pc", "-accel", "tcg", "-cpu", "qemu64,-cx16", "-m", "128", "-display", "none"),
        *("-drive", f"file={disk},if=virtio,format=qcow2,cache=unsafe", "-nic", network),
        *("-serial", f"file:{folder / 'console'}", "-qmp", f"unix:{folder / 'monitor'},server=on,wait=off"),
    ]
    process = subprocess.Popen(command)
    try:
        yield Guest(folder, disk, key, port, process)
    finally:
        process.kill()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def key() -> KeyPair:
    return keys.generate("owner")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("instance-image")
    scratch = folder / "scratch"
    scratch.mkdir()
    image = instance.build(
        recipe.load("instance"),
        target=folder / "instance.qcow2",
        scratch=scratch,
        mirror=None,
        progress=lambda _: None,
        log=folder / "log",
    )
    assert image.size < 30 * 1024**2
    assert image.virtual_size <= 256 * 1024**2
    yield image.path
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def disk(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an instance's own disk, larger than the image as nova makes it."""
    disk = tmp_path_factory.mktemp("instance-disk") / "disk.qcow2"
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(built), "-F", "qcow2", str(disk), "1G"]
    subprocess.run(create, check=True)
    return disk


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory, disk: Path, key: KeyPair) -> Iterator[Guest]:
    folder = tmp_path_factory.mktemp("instance") / "first"
    with booted(folder, disk, key, "#!/bin/bash\necho user data of $(hostname) > /root/made\n") as running:
        running.says("instance: ready")
        yield running


def test_the_console_tells_the_boots_story_in_order(guest: Guest) -> None:
    story = [
        "instance: booting",
        "instance: lease 169.254.0.15/16 (eth0)",
        "instance: metadata ok, vm-1 11111111-2222-3333-4444-555555555555",
        "instance: 1 public key(s) for lab and root",
        "instance: host key ssh-ed25519",
        "instance: fingerprint SHA256:",
        "instance: user data ended with exit code 0",
        "instance: ready after",
    ]
    places = [guest.console.find(line) for line in story]
    assert -1 not in places, guest.console
    assert places == sorted(places)
    guest.says("vm-1 login:")


def test_the_owner_logs_in_by_key_as_lab_and_as_root(guest: Guest) -> None:
    with guest.ssh("lab") as session:
        assert session.run("whoami; hostname; sudo whoami", timeout=60).stdout.split() == ["lab", "vm-1", "root"]
        assert "1 packets received" in session.run("sh -lc 'ping -c1 127.0.0.1'", timeout=60).stdout
    with guest.ssh("root") as session:
        assert session.run("cat made", timeout=60).stdout == "user data of vm-1\n"


def test_the_file_system_has_grown_to_the_disk(guest: Guest) -> None:
    with guest.ssh("lab") as session:
        assert int(session.run("df -m / | awk 'NR == 2 { print $2 }'", timeout=60).stdout) > 900


def test_a_volume_is_attached_written_and_detached(guest: Guest, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    with volume.open("wb") as file:
        file.truncate(256 * 1024**2)
    node = {"driver": "file", "node-name": "volume", "filename": str(volume)}
    guest.monitor("blockdev-add", **node)
    guest.monitor("device_add", driver="virtio-blk-pci", id="volume-card", drive="volume")
    guest.says("instance: disk add /dev/vdb", seconds=30)
    with guest.ssh("lab") as session:
        made = "sudo mkfs.ext4 -q /dev/vdb && sudo mount /dev/vdb /mnt && echo written | sudo tee /mnt/file"
        assert session.run(f"{made} && sudo umount /mnt", timeout=60).stdout == "written\n"
        guest.monitor("device_del", id="volume-card")
        guest.says("instance: disk remove /dev/vdb", seconds=30)
    debugfs = ["debugfs", "-R", "cat /file", str(volume)]
    assert subprocess.run(debugfs, capture_output=True, check=True, timeout=60).stdout == b"written\n"


def test_a_network_card_plugged_in_gets_a_lease(guest: Guest) -> None:
    guest.monitor("netdev_add", type="user", id="second", restrict=True)
    guest.monitor("device_add", driver="virtio-net-pci", netdev="second")
    guest.says(r"instance: lease 10\.0\.2\.15/24 \(eth1\)", seconds=30)


def test_a_late_lease_is_told_too(guest: Guest) -> None:
    guest.monitor("netdev_add", type="user", id="third", restrict=True)
    guest.monitor("set_link", name="third", up=False)
    guest.monitor("device_add", driver="virtio-net-pci", netdev="third")
    card = guest.says(r"instance: no lease yet \((eth\d)\)", seconds=90)[1]
    guest.says("no lease, forking to background", seconds=30)
    guest.monitor("set_link", name="third", up=True)
    guest.says(rf"instance: lease 10\.0\.2\.15/24 \({card}\)", seconds=60)


def test_the_power_button_shuts_down_and_files_and_host_key_stay(
    guest: Guest, disk: Path, key: KeyPair, tmp_path: Path
) -> None:
    with guest.ssh("lab") as session:
        session.run("echo kept > file", timeout=60)
    host_key = guest.says(r"instance: host key (\S+ \S+)")[1]
    guest.press_power_button()
    assert "instance: going down" in guest.console
    with booted(tmp_path / "second", disk, key, "#!/bin/sh\nexit 1\n") as again:
        again.says("instance: ready")
        assert again.says(r"instance: host key (\S+ \S+)")[1] == host_key
        assert "user data" not in again.console, "it runs once in an instance's life"
        with again.ssh("lab") as session:
            assert session.run("cat file", timeout=60).stdout == "kept\n"
        again.press_power_button()
