"""What the Debian package has besides Python: its unit, manual pages, completion, dependencies."""

from __future__ import annotations

import configparser
import gzip
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from labctl import __version__
from labctl.cli.root import SECTIONS
from labctl.host import packages
from labctl.host.packages import Kind
from tests.unit.test_docs import complaint

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not Path("/usr/bin/dpkg").exists(), reason="needs dpkg")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("deb") / "tree"
    environment = os.environ | {"PYTHON": sys.executable}
    subprocess.run([ROOT / ".debian/files", root], check=True, env=environment, stderr=subprocess.PIPE)
    return root


def page(tree: Path, name: str) -> str:
    return gzip.decompress((tree / f"usr/share/man/man1/{name}.1.gz").read_bytes()).decode()


def control(tree: Path) -> dict[str, str]:
    lines = (tree / "DEBIAN/control").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if not line.startswith(" "))


def test_every_command_has_a_manual_page(tree: Path) -> None:
    names = [name for section in SECTIONS.values() for name in section]
    overview = page(tree, "labctl")
    for name in names:
        assert page(tree, f"labctl-{name}").startswith(f'.TH "LABCTL\\-{name.upper()}" "1"'.replace("SSH-", "SSH\\-"))
        assert f".BR labctl\\-{name} (1)".replace("ssh-c", "ssh\\-c") in overview


def test_a_manual_page_says_what_help_says_and_its_examples_can_be_copied(tree: Path) -> None:
    text = page(tree, "labctl-inventory")
    assert ".B \\-\\-door HOST[:PORT]" in text
    assert (
        ".EX\nlabctl inventory > labs.ini; ansible \\-i labs.ini role_nova \\-m ping\nprintf \\(aq#!/bin/sh\\en" in text
    )
    assert ".SS labctl snapshot restore" in page(tree, "labctl-snapshot")


def test_the_unit_opens_doors_that_the_command_line_knows(tree: Path) -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(tree / "usr/lib/systemd/system/labctl-serve.service")
    assert unit["Service"]["EnvironmentFile"] == "/etc/default/labctl-serve"
    said = (tree / "etc/default/labctl-serve").read_text().splitlines()
    doors = dict(line.split("=", 1) for line in said if not line.startswith("#"))["DOORS"]
    line = unit["Service"]["ExecStart"].replace("$DOORS", shlex.split(doors)[0])
    assert line == "/usr/bin/labctl serve --ssh 2222 --https 8443"
    assert complaint(line.removeprefix("/usr/bin/")) == ""
    assert "/etc/default/labctl-serve" in (tree / "DEBIAN/conffiles").read_text()


def test_the_package_depends_on_what_doctor_asks_for(tree: Path) -> None:
    fields = control(tree)
    assert fields["Version"] == __version__
    depends, recommends = fields["Depends"].split(", "), fields["Recommends"].split(", ")
    assert "python3-libvirt" in depends
    assert [each.name for each in packages.known() if each.kind is Kind.RUN and each.name not in depends] == []
    assert [each.name for each in packages.known() if each.kind is Kind.IMAGE] == recommends


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_where_the_shell_looks(tree: Path, shell: str) -> None:
    places = {"bash": "bash-completion/completions/labctl", "zsh": "zsh/vendor-completions/_labctl"}
    place = places.get(shell, "fish/vendor_completions.d/labctl.fish")
    assert "_LABCTL_COMPLETE" in (tree / "usr/share" / place).read_text()


def test_scripts_are_programs_and_all_else_is_not(tree: Path) -> None:
    programs = {"usr/bin/labctl", "DEBIAN/postinst", "DEBIAN/prerm", "DEBIAN/postrm"}
    modes = {str(path.relative_to(tree)): path.stat().st_mode & 0o777 for path in tree.rglob("*") if path.is_file()}
    assert {name for name, mode in modes.items() if mode == 0o755} == programs
    assert set(modes.values()) == {0o755, 0o644}
    for name in programs - {"usr/bin/labctl"}:
        subprocess.run(["sh", "-n", tree / name], check=True)


def test_the_package_has_the_versions_that_are_tested() -> None:
    def pins(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE))

    run, dev = pins("run.txt"), pins("dev.txt")
    assert {name: version for name, version in run.items() if dev.get(name) != version} == {}, "make update"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["classroom"], *extras["cloud"]]
    names = {re.split(r"[>=\[]", each)[0] for each in wanted} - {"libvirt-python"}
    assert names - run.keys() == set(), "make update writes requirements/run.txt"
