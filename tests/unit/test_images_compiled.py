"""The bytecode on an install medium, and the py3compile of a node that takes it."""

from __future__ import annotations

import importlib.util
import py_compile
import subprocess
from pathlib import Path

import pytest

from labctl import data
from labctl.images import compiled

MODULES = "usr/lib/python3/dist-packages/lamp"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root file system with one installed package, compiled."""
    root = tmp_path / "root"
    for module in ("__init__", "bulb", "inner/wire"):
        path = root / MODULES / f"{module}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("lit = True\n")
        py_compile.compile(str(path))
    (root / MODULES / "template.py").write_text("{{ not python\n")
    (root / "var/lib/dpkg/info").mkdir(parents=True)
    files = [f"/{path.relative_to(root)}" for path in sorted(root.rglob("*.py"))]
    (root / "var/lib/dpkg/info/python3-lamp:amd64.list").write_text("\n".join(["/.", f"/{MODULES}", *files]) + "\n")
    (root / "var/lib/dpkg/info/python3-lamp-extras.list").write_text("/usr/share/lamp\n")
    return root


@pytest.fixture
def packed(root: Path, tmp_path: Path) -> Path:
    """Return the folder of archives made of it."""
    packages, target = tmp_path / "packages", tmp_path / "compiled"
    packages.mkdir()
    for name in ("python3-lamp_1.0-1_amd64.deb", "python3-lamp-extras_1.0-1_all.deb"):
        (packages / name).touch()
    compiled.pack(root, packages, target)
    return target


def test_each_package_with_bytecode_has_an_archive_of_it(packed: Path, tmp_path: Path) -> None:
    assert [file.name for file in packed.iterdir()] == ["python3-lamp.tar"]
    node = tmp_path / "node"
    (node / MODULES / "inner").mkdir(parents=True)
    subprocess.run(["tar", "-C", node, "-xf", packed / "python3-lamp.tar"], check=True)
    for module in ("__init__", "bulb", "inner/wire"):
        cache = importlib.util.cache_from_source(str(node / MODULES / f"{module}.py"))
        assert Path(cache).exists(), module


@pytest.mark.parametrize(
    ("arguments", "compiles"),
    [
        ("-p python3-lamp:amd64", False),
        ("-p python3-lamp /usr/share/lamp", False),
        ("-p python3-other", True),
        ("/usr/share/lamp", True),
    ],
)
def test_a_node_compiles_only_what_the_medium_lacks(
    packed: Path, tmp_path: Path, arguments: str, compiles: bool
) -> None:
    node, debians = tmp_path / "node", tmp_path / "debians"
    node.mkdir()
    debians.write_text('#!/bin/sh\necho "compiled $*"\n')
    debians.chmod(0o755)
    script = (data.folder("images") / "debian-13/overlay/usr/lib/labctl/apt/py3compile").read_text()
    for old, new in (
        ("/media/labctl/compiled", packed),
        ("--directory=/", f"--directory={node}"),
        ("/usr/bin/py3compile", debians),
    ):
        assert old in script
        script = script.replace(old, str(new))
    done = subprocess.run(
        ["sh", "-s", "--", *arguments.split()], input=script, capture_output=True, text=True, check=True
    )
    assert done.stdout == (f"compiled {arguments}\n" if compiles else "")
    assert (node / MODULES).exists() is not compiles
