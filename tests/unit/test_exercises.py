"""The exercises: every page can be typed as it stands, cleans up after itself and is found."""

from __future__ import annotations

import subprocess

import pytest

from labctl.spec import topology
from tests.cloud import pages
from tests.cloud.pages import Page

EVERY = {page.name: page for page in pages.every()}


@pytest.fixture(params=EVERY)
def page(request: pytest.FixtureRequest) -> Page:
    return EVERY[request.param]


def test_a_page_is_found_and_says_where_it_is_typed(page: Page) -> None:
    assert f"]({page.name}.md)" in (pages.FOLDER / "README.md").read_text()
    nodes = {node for name in topology.shipped() for node in topology.load(name).nodes}
    assert page.node in nodes or page.name == "backup"  # no shipped lab has its role
    assert page.title


def test_every_block_is_a_script_that_a_shell_can_read(page: Page) -> None:
    assert page.blocks
    for block in page.blocks:
        done = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), block.text
        assert block.outside == block.text.startswith("labctl ")


def test_what_a_page_makes_it_removes(page: Page) -> None:
    text = "".join(block.text for block in page.blocks)
    for kind in ("server", "volume type", "flavor", "project", "user", "image", "aggregate", "container", "ip"):
        if f"{kind} create" in text:
            assert f"{kind} delete" in text, kind
    assert "rm " in text or ">/tmp/" not in text


def test_nobody_is_named_before_the_login(page: Page) -> None:
    first = next(block for block in page.blocks if not block.outside)
    assert first.text.startswith(". /root/")
