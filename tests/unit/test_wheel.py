"""The wheel carries the data folders, and labctl finds them there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import os, sys
from labctl import data
from labctl.images import recipe
from labctl.render import seed, xml
from labctl.spec import topology
assert str(data.folder("images")).startswith(sys.argv[1]), data.folder("images")
assert "debian-13" in recipe.names() and recipe.load("debian-13").layers[0].overlay.is_dir()
py3compile = recipe.load("debian-13").layers[0].overlay / "usr/lib/labctl/apt/py3compile"
assert os.access(py3compile, os.X_OK), py3compile
assert "gridka" in topology.shipped() and topology.load("gridka").nodes
assert "<pool" in xml.pool_xml("p", "/p")
assert (data.folder("cloud-init") / "user-data.j2").is_file()
from labctl.board import windows
for name in ("@xterm/xterm/lib/xterm.mjs", "@xterm/xterm/LICENSE", "@novnc/novnc/core/rfb.js", "ready"):
    assert (windows.LIBRARIES.parent / name).is_file(), f"{name}: make setup fetches it"
from labctl.report import handout
assert "Answer key" in handout.key([])
"""


def test_every_javascript_library_is_pinned_by_hash_and_no_registry_is_named() -> None:
    packages = json.loads((ROOT / "requirements/browser/package-lock.json").read_text())["packages"]
    wanted = json.loads((ROOT / "requirements/browser/package.json").read_text())["dependencies"]
    assert {name: each["version"] for name, each in packages.items() if name} == {
        f"node_modules/{name}": version for name, version in wanted.items()
    }
    for name, each in packages.items():
        assert not name or each["integrity"].startswith("sha512-"), name
        assert "resolved" not in each


def test_an_installed_wheel_finds_its_data(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("labctl_openstack-*.whl")
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(target)], env={"PYTHONPATH": str(target)}, cwd=tmp_path, check=True
    )
