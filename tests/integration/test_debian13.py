"""Debian 13 as a host: labctl runs in a root file system of Debian 13, with its Python, its libvirt and its QEMU.

The file system takes some hundred megabytes and some minutes to make: `LABCTL_TEST_TRIXIE=1` asks for it. Where
mmdebstrap or the archive is missing, the test is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labctl.host import packages
from labctl.host.packages import Kind
from tests.integration import other_debian

ROOT = Path(__file__).parents[2]
PYTHON = ("python3", "python3-libvirt")
WHEELS = (
    *("click", "cryptography", "jinja2", "netaddr", "paramiko", "platformdirs"),
    *("pycdlib", "pydantic", "pyyaml", "rich", "zstandard"),
)
ENVIRONMENT = ("PYTHONPATH=/src:/site", "LABCTL_HOME=/var/lib/labctl", "PYTHONDONTWRITEBYTECODE=1")
IMPORTS = """
EXTRAS = ("labctl.board", "labctl.cloud", "labctl.door", "labctl.roles.inside")  # which need more Python packages
import importlib, pkgutil, sys, labctl
assert sys.version_info >= (3, 13)
for module in pkgutil.walk_packages(labctl.__path__, "labctl."):
    if not module.name.startswith(EXTRAS):
        importlib.import_module(module.name)
"""

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif("LABCTL_TEST_TRIXIE" not in os.environ, reason="LABCTL_TEST_TRIXIE=1 asks for it"),
]


@pytest.fixture(scope="module")
def trixie(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a root file system of Debian 13 with what labs need, and the Python packages that labctl needs."""
    folder = tmp_path_factory.mktemp("trixie")
    names = [package.name for package in packages.known() if package.kind is Kind.RUN]
    other_debian.make("trixie", folder / "root", [*names, *PYTHON])
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    target = ["--target", str(folder / "site"), "--python-version", "3.13", "--implementation", "cp"]
    subprocess.run([*pip, *target, *WHEELS], check=True)
    yield folder
    shutil.rmtree(folder / "root", ignore_errors=True)


def inside(folder: Path, *command: str, check: bool = True) -> str:
    """Run a program in that file system, which is a mount point of its own there."""
    binds = {str(ROOT): "src", str(folder / "site"): "site"}
    return other_debian.run(folder / "root", "env", *ENVIRONMENT, *command, binds=binds, check=check)


def labctl(folder: Path, *words: str, check: bool = True) -> str:
    return inside(folder, "python3", "-c", "from labctl.cli import main; main()", *words, check=check)


def test_every_module_is_imported_by_the_python_of_debian_13(trixie: Path) -> None:
    inside(trixie, "python3", "-c", IMPORTS)


def test_doctor_finds_nothing_missing_on_debian_13(trixie: Path) -> None:
    found: list[dict[str, Any]] = json.loads(labctl(trixie, "doctor", "-o", "json", check=False))
    levels = {finding["id"]: finding["level"] for finding in found}
    assert {levels[name] for name in ("python", "packages", "kernel")} == {"ok"}, found


def test_a_private_host_of_debian_13_starts_and_leaves_nothing(trixie: Path) -> None:
    try:
        labctl(trixie, "host", "up", "local")
        assert "bookworm" not in inside(trixie, "cat", "/etc/os-release")
        (status,) = json.loads(labctl(trixie, "host", "status", "-o", "json"))
        assert status["state"] == "up"
        assert json.loads(labctl(trixie, "image", "list", "--host", "local", "-o", "json")) == []
    finally:
        labctl(trixie, "host", "down", "local", "--force", "--purge")
    assert not (trixie / "root/var/lib/labctl/hosts/local").exists()
