"""Permissions do not depend on the umask of whoever runs labctl."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import labctl
from labctl import modes, process
from labctl.host import launch
from labctl.host.lock import locked
from labctl.images.build import copy_overlay
from labctl.state import Home


@pytest.fixture(params=[0o000, 0o022, 0o027, 0o077], ids=lambda mask: f"umask {mask:03o}", autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_the_state_folder_and_all_in_it_is_its_owners_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "new" / "home")
    with home.lock("lab", "team01"), home.scratch("image"), locked(home.hosts / "local", timeout=1, create=True):
        folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
        assert {folder.name for folder in folders} >= {"new", "home", "locks", "scratch", "image", "hosts", "local"}
        assert {mode(folder) for folder in folders} == {0o700}


def test_a_private_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    modes.private(tmp_path)
    assert mode(tmp_path) == 0o755


def test_qemu_may_enter_a_private_hosts_folders(tmp_path: Path) -> None:
    launch.make_folders(tmp_path)
    assert mode(tmp_path / "lib") == 0o755
    assert mode(tmp_path / "lib/images") == 0o711
    assert launch.closed(tmp_path) == ()


def test_folders_that_an_older_labctl_made_too_private_are_named_and_mended(tmp_path: Path) -> None:
    launch.make_folders(tmp_path)
    (tmp_path / "lib").chmod(0o750)
    assert launch.closed(tmp_path) == (tmp_path / "lib",)
    launch.make_folders(tmp_path)
    assert launch.closed(tmp_path) == ()


def test_programs_make_files_that_others_may_read(tmp_path: Path) -> None:
    process.run(["sh", "-c", "mkdir folder; touch folder/file"], timeout=10, cwd=tmp_path)
    process.execute(["sh", "-c", f"touch {tmp_path}/other"], timeout=10)
    assert [mode(tmp_path / name) for name in ("folder", "folder/file", "other")] == [0o755, 0o644, 0o644]


def test_an_images_files_have_their_modes_whatever_a_clone_gave_them(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay"
    (overlay / "etc").mkdir(parents=True)
    (overlay / "etc/setting").touch()
    (overlay / "program").touch()
    (overlay / "program").chmod(0o700)
    (overlay / "link").symlink_to("/nowhere")
    copy = copy_overlay(overlay, tmp_path / "scratch" / "copy")
    assert [mode(copy / name) for name in ("", "etc", "etc/setting", "program")] == [0o755, 0o755, 0o644, 0o755]


def test_no_folder_is_made_with_a_mode_that_the_umask_takes_from() -> None:
    package = Path(labctl.__file__).parent
    found = [
        f"{path.relative_to(package)}:{node.lineno}"
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".mkdir")
        if any(keyword.arg == "mode" for keyword in node.keywords) and path.name != "modes.py"
    ]
    assert found == []
