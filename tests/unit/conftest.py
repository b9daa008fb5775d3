"""What the tests of the pure rooms share: planned labs, keys, and golden files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from netaddr import IPNetwork

from labctl.plan.lab import plan
from labctl.plan.model import Identity, LabPlan
from labctl.render.seed import SeedKeys
from labctl.sets import capture
from labctl.spec import topology
from tests.unit.fake_site import World

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--regenerate", action="store_true", help="write golden files anew (pytest tests/unit --regenerate)"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the golden file of that name, or write the file with --regenerate."""
    regenerate = request.config.getoption("--regenerate", default=False)

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if regenerate:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"{path} is missing: pytest tests/unit --regenerate writes it"
        assert text == path.read_text()

    return compare


@pytest.fixture
def make_identity() -> Callable[..., Identity]:
    """Make up identities: the same arguments give the same one."""
    return _identity


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return an installation with a fake host; see `fake_site`."""
    monkeypatch.setattr(capture, "_WINDOW", 0.001)  # seconds for which a capture watches whether nodes are at rest
    return World(tmp_path)


@pytest.fixture
def gridka() -> LabPlan:
    return plan(topology.load("gridka"), _identity())


@pytest.fixture
def mini() -> LabPlan:
    return plan(topology.load("mini"), _identity())


@pytest.fixture
def keys() -> SeedKeys:
    return SeedKeys(
        authorized=("ssh-ed25519 AAAAC3Nz-lab labctl team01",),
        host_private="-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IGEga2V5\n-----END OPENSSH PRIVATE KEY-----\n",
        host_public="ssh-ed25519 AAAAC3Nz-host",
        known_hosts="db-node,10.0.0.3 ssh-ed25519 AAAAC3Nz-host\n",
    )


def _identity(team: str = "team01", *, lab: int = 1, mgmt: str = "192.168.128.0/24", **generations: int) -> Identity:
    return Identity(
        team=team,
        lab=UUID(int=lab, version=4),
        owner=UUID(int=99, version=4),
        mgmt=IPNetwork(mgmt),
        generations={name.replace("_", "-"): count for name, count in generations.items()},
    )
