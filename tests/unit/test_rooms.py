"""Rooms of the house: who may import whom. A breach fails the test."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import labctl

PACKAGE = Path(labctl.__file__).parent

_PURE = {"errors", "quoting", "spec", "plan"}
_DOING = {"host", "images", "installing", "remote", "site", "state"}

# Room: the rooms that it may import. A room is a module or a package right under labctl; "" is labctl/__init__.py.
ROOMS: dict[str, set[str]] = {
    "": set(),
    "errors": set(),
    "registry": {"errors"},
    "data": set(),
    "modes": set(),
    "process": {"errors", "modes"},
    "pace": set(),
    "sizes": set(),
    "waiting": set(),
    "locking": set(),
    "quoting": {"errors"},
    "ini": {"errors", "quoting"},
    "secret": {"errors", "quoting"},
    "guest": {"errors", "quoting"},
    "changes": {"sizes", "waiting", "errors", "guest", "ini", "quoting", "secret"},
    "spec": {"sizes", "errors", "data"},
    "plan": {"sizes", "errors", "spec"},
    "render": {"errors", "data", "plan", "quoting"},
    "hypervisor": {"waiting", "errors", "guest"},
    "host": {"locking", "sizes", "waiting", "errors", "data", "modes", "process", "quoting"},
    "state": {"locking", "waiting", "errors", "modes", "plan", "spec"},
    "images": {
        "sizes",
        "errors",
        "data",
        "hypervisor",
        "modes",
        "plan",
        "process",
        "quoting",
        "render",
        "spec",
        "state",
    },
    "remote": {"waiting", "errors", "guest", "host", "process", "quoting"},
    "site": {"sizes", "errors", "host", "hypervisor", "images", "pace", "plan", "remote", "render", "spec", "state"},
    "sets": {
        "sizes",
        "waiting",
        "errors",
        "hypervisor",
        "images",
        "plan",
        "process",
        "render",
        "site",
        "spec",
        "state",
    },
    "cloud": {"errors", "plan", "quoting", "secret", "spec"},
    "roles": {"changes", "cloud", "errors", "plan", "quoting", "registry", "secret", "spec"},
    "installing": {
        "changes",
        "cloud",
        "errors",
        "guest",
        "host",
        "modes",
        "plan",
        "quoting",
        "remote",
        "render",
        "roles",
        "secret",
        "site",
        "state",
    },
    "sabotage": {"changes", "checks", "errors", "guest", "pace", "plan", "quoting", "registry"},
    "checks": {"waiting", "cloud", "errors", "guest", "plan", "quoting", "registry"},
    "rounds": {"errors", "spec"},
    "lab": _PURE
    | _DOING
    | {
        "changes",
        "checks",
        "cloud",
        "guest",
        "secret",
        "data",
        "sizes",
        "waiting",
        "hypervisor",
        "modes",
        "pace",
        "process",
        "render",
        "roles",
        "rounds",
        "sabotage",
        "sets",
    },
    "report": {
        "sizes",
        "changes",
        "checks",
        "errors",
        "host",
        "images",
        "lab",
        "plan",
        "quoting",
        "rounds",
        "sabotage",
        "sets",
        "spec",
    },  # for the types of what it shows
    "cli": {
        "sizes",
        "checks",
        "sabotage",
        "data",
        "errors",
        "host",
        "images",
        "lab",
        "plan",
        "quoting",
        "report",
        "roles",
        "rounds",
        "secret",
        "sets",
        "site",
        "spec",
        "state",
    },
}

# Third-party library, or a module of the standard one that is as sharp: the rooms that may import it.
LIBRARIES: dict[str, set[str]] = {
    "click": {"cli"},
    "jinja2": {"render", "report"},
    "keystoneauth1": {"cloud"},
    "libvirt": {"hypervisor"},
    "libvirt_qemu": {"hypervisor"},
    "markupsafe": {"render", "report"},
    "paramiko": {"remote"},
    "pycdlib": {"render"},
    "pydantic": {"spec", "state"},
    "openstack": {"cloud", "checks", "roles"},  # of roles, what runs inside a node
    "requests": {"cloud"},
    "rich": {"cli"},
    "subprocess": {"process"},
    "urllib3": {"cloud"},
    "weasyprint": {"report"},
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
