"""Checks the file of a fault before the fault is used."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from uuid import UUID

from netaddr import IPNetwork

from labctl.errors import InputError
from labctl.plan.lab import INSTALLED, plan
from labctl.plan.model import Identity
from labctl.sabotage import lint
from labctl.sabotage.fault import FAULTS, Fault, Scene
from labctl.spec import topology


def problems(file: Path) -> list[str]:
    """Return what is missing or wrong in the faults of a file.

    Raises:
        InputError: it is no Python module.
    """
    found = _faults(file)
    if not found:
        return ["it registers no fault: decorate a function with @fault"]
    every = scenes()
    return [f"{fault.id}: {problem}" for fault in found for problem in lint.problems(fault, every)]


def scenes() -> list[Scene]:
    """Return the shipped topologies as faults see them: bare, and installed where there is a cloud."""
    nobody = Identity(team="team01", lab=UUID(int=1), owner=UUID(int=2), mgmt=IPNetwork("192.168.99.0/24"))
    found = [topology.load(name) for name in topology.shipped()]
    bare = [Scene(lab=plan(each, nobody)) for each in found]
    return bare + [Scene(lab=plan(each, nobody, stage=INSTALLED)) for each in found if each.openstack is not None]


def _faults(file: Path) -> list[Fault]:
    """Return the faults that a file registers; shipped ones are looked at where they are."""
    FAULTS.names()  # shipped faults are registered before the file is looked at
    for name, module in list(sys.modules.items()):
        if name.startswith("labctl.sabotage.") and Path(str(module.__file__)).resolve() == file.resolve():
            return [fault for fault in FAULTS if fault.draw.__module__ == name]
    name = f"fault_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InputError(f"{file} is no Python module")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (SyntaxError, ImportError, TypeError, ValueError, NameError) as exc:
        raise InputError(f"{file} cannot be loaded", details=f"{type(exc).__name__}: {exc}") from exc
    return [fault for fault in FAULTS if fault.draw.__module__ == name]
