"""The fake hypervisor has the interface of the real one; tests/hypervisor proves that it behaves so."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labctl.hypervisor import Hypervisor
from labctl.hypervisor.fake import FakeHypervisor


def interface(kind: type) -> dict[str, inspect.Signature]:
    """Return the signatures of a class's public methods."""
    methods: dict[str, Callable[..., Any]] = {
        name: method for name, method in vars(kind).items() if callable(method) and not name.startswith("_")
    }
    return {name: inspect.signature(method) for name, method in methods.items()}


def test_the_fake_hypervisor_has_the_interface_of_the_real_one() -> None:
    assert interface(FakeHypervisor) == interface(Hypervisor)


def test_every_method_is_proven_on_the_fake_and_on_the_real_one() -> None:
    tests = Path(__file__).parents[1] / "hypervisor" / "test_hypervisor.py"
    unproven = [name for name in interface(Hypervisor) if f"hypervisor.{name}" not in tests.read_text()]
    assert unproven in ([], ["close"])  # which is proven on a further connection
