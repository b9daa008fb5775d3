"""A test that is skipped says so; where LABCTL_CI is set, it fails when a package would have let it run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
TESTS = """
import pytest

@pytest.mark.skipif(True, reason="needs openssh-server")
def test_marked(): ...

def test_called():
    pytest.skip("needs bash")

@pytest.fixture
def guest():
    pytest.skip("needs root, to make namespaces")

def test_fixture(guest): ...

@pytest.mark.skipif(True, reason="this kernel has no br_netfilter")
def test_of_another_machine(): ...
"""


@pytest.mark.parametrize(("ci", "closing"), [("", "4 skipped"), ("1", "1 failed, 1 skipped, 2 errors")])
def test_what_a_package_would_mend_is_no_skip_in_ci(tmp_path: Path, ci: str, closing: str) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "test_it.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", tmp_path],
        env=os.environ | {"LABCTL_CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    assert closing in done.stdout, done.stdout
