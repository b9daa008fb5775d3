"""The Debian package and the wheel, each installed on a fresh Debian 12 and used there, without the checkout.

Both systems take some minutes and a gigabyte: `LABCTL_TEST_PACKAGES=1` asks for them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration import other_debian

ROOT = Path(__file__).parents[2]
STATE = "LABCTL_HOME=/var/lib/labctl"

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif("LABCTL_TEST_PACKAGES" not in os.environ, reason="LABCTL_TEST_PACKAGES=1 asks for it"),
]


@pytest.fixture(scope="module")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a Debian 12 on which apt has installed the package, with all that it depends on."""
    folder = tmp_path_factory.mktemp("deb")
    environment = os.environ | {"PYTHON": sys.executable}
    for part in ("python", "files"):
        subprocess.run([ROOT / ".debian" / part, str(folder / "tree")], check=True, env=environment)
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", folder / "tree", folder / "labctl.deb"], check=True)
    install = 'chroot "$1" apt-get install --yes --no-install-recommends /labctl.deb'
    root = folder / "root"
    other_debian.make("bookworm", root, ["apt"], hooks=[f'cp {folder / "labctl.deb"} "$1"', install])
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a Debian 12 with the wheel in an environment of its own, as pipx makes one."""
    folder = tmp_path_factory.mktemp("wheel")
    wheels = folder / "wheels"
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels], check=True, cwd=ROOT)
    locked = ["--require-hashes", "--only-binary=:all:", "-r", ROOT / "requirements/run.txt"]
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "-d", wheels, *locked], check=True)
    root = folder / "root"
    other_debian.make("bookworm", root, ["python3-venv", "python3-libvirt"])
    other_debian.run(root, "python3", "-m", "venv", "--system-site-packages", "/opt/labctl")
    pip = ["/opt/labctl/bin/pip", "install", "--no-index", "--find-links=/wheels", "labctl-openstack[classroom,cloud]"]
    other_debian.run(root, *pip, binds={str(wheels): "wheels"})
    yield root
    shutil.rmtree(root, ignore_errors=True)


def labctl(root: Path, *words: str, program: str = "labctl", check: bool = True) -> str:
    return other_debian.run(root, "env", STATE, program, *words, check=check)


@pytest.mark.parametrize(("kind", "program"), [("deb", "/usr/bin/labctl"), ("wheel", "/opt/labctl/bin/labctl")])
def test_an_installed_labctl_plans_and_opens_its_doors(request: pytest.FixtureRequest, kind: str, program: str) -> None:
    root: Path = request.getfixturevalue(kind)
    assert labctl(root, "--version", program=program).startswith("labctl ")
    (plan,) = json.loads(labctl(root, "plan", "team01", "-o", "json", program=program))
    assert len(plan["nodes"]) == 8
    other_debian.run(root, *_python(program), "-c", "import openstack, libvirt")
    labctl(root, "access", "add", "red", program=program)
    doors = ("serve", "--ssh", "127.0.0.1:0", "--https", "127.0.0.1:0")
    argv = other_debian.argv(root, "env", STATE, "PYTHONUNBUFFERED=1", program, *doors)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as served:
        try:
            assert served.stdout is not None
            said = "".join(served.stdout.readline() for _ in range(2))
            ssh, web = (int(port) for port in re.findall(r"open on port (\d+)", said))
            with socket.create_connection(("127.0.0.1", ssh), timeout=20) as line:
                assert line.recv(8) == b"SSH-2.0-"
            page = requests.get(f"https://127.0.0.1:{web}/login", verify=False, timeout=20)
            assert "as on your handout" in page.text
        finally:
            served.terminate()


def _python(program: str) -> list[str]:
    return ["/usr/lib/labctl/bin/python", "-I"] if program.startswith("/usr") else ["/opt/labctl/bin/python", "-I"]


def test_the_package_brings_all_that_labs_need(deb: Path) -> None:
    found: list[dict[str, Any]] = json.loads(labctl(deb, "doctor", "-o", "json", check=False))
    levels = {finding["id"]: finding["level"] for finding in found}
    assert {levels[name] for name in ("python", "packages", "kernel")} == {"ok"}, found


def test_a_private_host_of_the_package_starts_and_leaves_nothing(deb: Path) -> None:
    try:
        labctl(deb, "host", "up", "local")
        (status,) = json.loads(labctl(deb, "host", "status", "-o", "json"))
        assert status["state"] == "up"
        assert json.loads(labctl(deb, "image", "list", "--host", "local", "-o", "json")) == []
    finally:
        labctl(deb, "host", "down", "local", "--force", "--purge")


def test_the_shell_completes_the_commands_of_the_package(deb: Path) -> None:
    script = ". /usr/share/bash-completion/completions/labctl; COMP_WORDS=(labctl sab); COMP_CWORD=1; "
    said = other_debian.run(deb, "bash", "-c", f'{script} _labctl_completion labctl; echo "${{COMPREPLY[@]}}"')
    assert said.split() == ["sabotage"]


def test_the_package_goes_without_a_trace_and_leaves_the_labs(deb: Path) -> None:
    """The last test: it removes the package."""
    labctl(deb, "access", "add", "red")
    assert (deb / "etc/default/labctl-serve").is_file()
    assert other_debian.run(deb, "dpkg", "--verify", "labctl") == ""  # nothing was compiled or written by using it
    other_debian.run(deb, "dpkg", "--purge", "labctl")
    left = [path for place in ("usr", "etc") for path in (deb / place).rglob("*labctl*")]
    assert left == []
    assert (deb / "var/lib/labctl/door/access/red.json").is_file()
