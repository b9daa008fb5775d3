"""Rooms of the house: who may import whom. A breach fails the test."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import labctl
from docs.rooms import FLOORS, GROUND
from docs.rooms import ROOMS as TABLE

PACKAGE = Path(labctl.__file__).parent
ROOMS = {"": set[str](), **TABLE}
"""Room to the rooms that it may import; "" is labctl/__init__.py."""

# Third-party library, or a module of the standard one that is as sharp: the rooms that may import it.
LIBRARIES: dict[str, set[str]] = {
    "asyncssh": {"door"},
    "click": {"cli"},
    "jinja2": {"board", "render", "report"},
    "keystoneauth1": {"cloud", "roles"},  # as openstack
    "libvirt": {"hypervisor"},
    "libvirt_qemu": {"hypervisor"},
    "markupsafe": {"render", "report"},
    "paramiko": {"remote"},
    "pycdlib": {"render"},
    "pydantic": {"spec", "state"},
    "openstack": {"cloud", "checks", "roles"},  # of roles, what runs inside a node
    "requests": {"cloud"},
    "rich": {"cli"},
    "starlette": {"board"},
    "subprocess": {"process"},
    "urllib3": {"cloud"},
    "uvicorn": {"board"},
    "weasyprint": {"report"},
    "websockets": {"board"},
    "zstandard": {"sets"},
    "yaml": {"cli", "images", "spec"},
}


def breaches(package: Path) -> list[str]:
    """Return every import that the tables do not allow."""
    found = []
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package)
        room = "" if place.name == "__init__.py" and len(place.parts) == 1 else place.parts[0].removesuffix(".py")
        if room not in ROOMS:
            found.append(f"{place}: the room {room} is not in the table")
            continue
        for line, module in imports(path, package):
            top, *below = module.split(".")
            if top == "labctl":
                target = below[0] if below and below[0] in ROOMS else ""  # labctl.__version__ is the package's own
                allowed = target in ROOMS[room] or target in (room, "")
            else:
                allowed = room in LIBRARIES.get(top, {room})
            if not allowed:
                found.append(f"{place}:{line}: {room} may not import {module}")
    return found


def imports(path: Path, package: Path) -> Iterator[tuple[int, str]]:
    """Name all that a module imports, late imports and those for type checkers too."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parent.relative_to(package.parent).parts
            base = ".".join([*folder[: len(folder) - node.level + 1], *(node.module or "").split(".")]).rstrip(".")
            yield from ((node.lineno, f"{base}.{name.name}") for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "labctl":
            yield from ((node.lineno, f"labctl.{name.name}") for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, str(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            match node.args:
                case [ast.Constant(value=str(name)), *_]:
                    yield node.lineno, name


def test_rooms_import_downwards_only():
    assert breaches(PACKAGE) == []


def test_the_table_has_no_circle():
    tuple(graphlib.TopologicalSorter(ROOMS).static_order())


def test_a_room_imports_from_floors_below_or_its_own() -> None:
    floor_of = {room: number for number, floor in enumerate(FLOORS.values()) for room in floor}
    wrong = [(room, other) for room, allowed in TABLE.items() for other in allowed if floor_of[other] > floor_of[room]]
    assert wrong == []


def test_the_table_allows_nothing_that_nobody_needs() -> None:
    used = {room: set[str]() for room in ROOMS}
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE)
        room = place.parts[0].removesuffix(".py") if place.name != "__init__.py" or len(place.parts) > 1 else ""
        used[room] |= {parts[1] for _, module in imports(path, PACKAGE) if len(parts := module.split(".")) > 1}
    spare = {room: allowed - used[room] - GROUND for room, allowed in TABLE.items() if room != "lab"}
    assert {room: names for room, names in spare.items() if names} == {}


def test_every_kind_of_breach_is_found(tmp_path: Path):
    package = tmp_path / "labctl"
    bad = {
        "plan/lab.py": "from labctl.hypervisor import connection",
        "plan/late.py": "def f():\n    import libvirt",
        "spec/up.py": "from labctl import lab",
        "render/near.py": "from ..remote import ssh",
        "render/inner.py": "from . import seed",
        "host/shell.py": "import subprocess",
        "hypervisor/name.py": "import importlib\nimportlib.import_module('paramiko.client')",
        "hypervisor/fine.py": "import libvirt\nfrom labctl.errors import LabctlError",
        "cellar/new.py": "",
    }
    for name, text in bad.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert breaches(package) == [
        "cellar/new.py: the room cellar is not in the table",
        "host/shell.py:1: host may not import subprocess",
        "hypervisor/name.py:2: hypervisor may not import paramiko.client",
        "plan/lab.py:1: plan may not import labctl.hypervisor",
        "plan/late.py:2: plan may not import libvirt",
        "render/near.py:1: render may not import labctl.remote.ssh",
        "spec/up.py:1: spec may not import labctl.lab",
    ]
