"""What all tests share: where they are to be complete, none is skipped for what could be installed."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

NEEDS = "Skipped: needs "
"""How the reason of a skip begins that a package, or running as root, would mend; others are about the machine."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn such a skip into a failure where LABCTL_CI is set."""
    report = yield
    if report.skipped and os.environ.get("LABCTL_CI") and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if reason.startswith(NEEDS):
            report.outcome = "failed"
            report.longrepr = f"{reason.removeprefix('Skipped: ')}: not to be skipped where LABCTL_CI is set"
    return report
