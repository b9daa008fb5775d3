"""A host that is reached by SSH: qemu+ssh for libvirt, an SSH jump to its guests.

The host is a private one with an sshd among it; labctl runs beside it, in its network, with files of its own: it sees
neither libvirt's socket nor the host's folders.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from labctl.errors import RemoteError
from labctl.host.namespace import NetworkNamespace, connect
from labctl.remote import keys
from tests.integration.lab_host import LABCTL, LabHost, stub_disk

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif(SSHD is None, reason="needs openssh-server"),
]

PORT = 2222
URI = "qemu+ssh://root@kvm1/system"


@dataclass(frozen=True)
class Client:
    """An organiser's machine: a state folder and an SSH configuration that knows the host as kvm1."""

    home: Path
    host: LabHost

    def greeting_through_forward(self, name: str) -> bytes:
        """Read how the sshd of a name in the lab's networks greets, through `labctl forward`: by way of a node."""
        place = NetworkNamespace.of(self.host.pid)
        with subprocess.Popen(self._beside("forward", "far", "--port", f"2299:{name}:22"), env=self._env) as forward:
            try:
                deadline = time.monotonic() + 120
                while True:
                    with contextlib.suppress(RemoteError), connect(place, "127.0.0.1", 2299, timeout=5) as link:
                        link.settimeout(120)
                        return link.recv(64)
                    assert time.monotonic() < deadline
                    time.sleep(0.2)
            finally:
                forward.send_signal(signal.SIGINT)

    def labctl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self._beside(*arguments), env=self._env, capture_output=True, text=True, timeout=900, check=False
        )
        if check:
            assert done.returncode == 0, f"labctl {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def _beside(self, *arguments: str) -> list[str]:
        """Return the command line of labctl beside the host: in its network, with files of its own."""
        script = f'mount --bind {self.home}/ssh /root/.ssh && exec {LABCTL} "$@"'
        beside = ["nsenter", f"--net=/proc/{self.host.pid}/ns/net", "--", "unshare", "--mount"]
        return [*beside, "sh", "-c", script, "sh", *arguments]

    @property
    def _env(self) -> dict[str, str]:
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LABCTL_HOME": str(self.home / "state")}


@pytest.fixture(scope="module")
def client(set_host: LabHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Start an sshd in the host's namespaces, and configure a client for it."""
    folder = tmp_path_factory.mktemp("ssh-host")
    ours, theirs = keys.generate("organiser"), keys.generate("kvm1")
    (folder / "ssh").mkdir(mode=0o700)
    Path("/root/.ssh").mkdir(mode=0o700, exist_ok=True)
    files = {
        "authorized_keys": ours.public + "\n",
        "host_key": theirs.private,
        "sshd_config": f"Port {PORT}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nPermitRootLogin prohibit-password\n",
        "ssh/id": ours.private,
        "ssh/known_hosts": f"[127.0.0.1]:{PORT} {theirs.public}\n",
        "ssh/config": f"Host kvm1\n HostName 127.0.0.1\n Port {PORT}\n IdentityFile ~/.ssh/id\n IdentitiesOnly yes\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    start = f"mkdir -p /run/sshd && exec {SSHD} -D -e -f {folder}/sshd_config"
    namespaces = [f"--net=/proc/{set_host.pid}/ns/net", f"--mount=/proc/{set_host.pid}/ns/mnt"]
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen(["nsenter", *namespaces, "--", "sh", "-c", start], stdout=log, stderr=log)
    made = Client(folder, set_host)
    try:
        deadline = time.monotonic() + 10
        while b"Server listening" not in (folder / "sshd.log").read_bytes():
            assert process.poll() is None, (folder / "sshd.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield made
    finally:
        made.labctl("destroy", "far", check=False)
        process.terminate()
        process.wait(timeout=10)


def test_a_lab_lives_on_a_host_that_is_reached_by_ssh(client: Client) -> None:
    before = client.host.inventory()
    client.labctl("create", "far", "--topology", "mini", "--host", URI)
    status = json.loads(client.labctl("status", "far", "-o", "json").stdout)
    assert status["host"] == URI
    assert [node["ready"] for node in status["nodes"]] == [True, True]
    assert client.labctl("ssh", "node-1", "--", "hostname").stdout.strip() == "node-1"
    refused = client.labctl("enter", "far", "--", "true", check=False)
    assert refused.returncode == 3
    assert "another machine" in refused.stderr
    assert client.greeting_through_forward("node-2.example.org").startswith(b"SSH-2.0-")
    client.labctl("reset", "node-2", "--cold")
    assert client.labctl("ssh", "node-2", "--", "hostname").stdout.strip() == "node-2"
    client.labctl("destroy", "far")
    after = client.host.inventory()
    assert {key: after[key] for key in after if key != "labs"} == {key: before[key] for key in before if key != "labs"}


def test_an_image_is_uploaded_through_it(client: Client, tmp_path: Path) -> None:
    disk = stub_disk(tmp_path / "disk.qcow2")
    client.labctl("image", "import", "far-away", str(disk), "--host", URI)
    assert "far-away" in client.host.labctl("image", "list").stdout
    client.labctl("image", "remove", "far-away", "--host", URI)
