"""Faults of files, played through without a lab: the files of the roles, the change, the repair in a shell."""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from labctl.changes import Context
from labctl.changes import undo as undoing
from labctl.changes.files import FileChange
from labctl.cloud.cloud import Cloud
from labctl.guest import File
from labctl.guest.fake import FakeGuest
from labctl.installing.passwords import complete
from labctl.installing.tasks import plan_tasks
from labctl.lab import fault_files
from labctl.sabotage import draw
from labctl.sabotage.fault import FAULTS, Drawn, Fault, Typed

SCENES = {scene.lab.topology: scene for scene in fault_files.scenes() if scene.lab.stage == "installed"}
WHOLE = ("gridka", "allinone", "havana")
"""Topologies whose faults are all played; of the others, those alone that none of these has."""
PACKAGED = {
    "/etc/apache2/sites-available/horizon.conf": "<Directory /x>\n    Require all granted\n</Directory>\n",
    "/etc/fstab": "# what is mounted\n",
    "/etc/hosts": "127.0.0.1 localhost\n",
    "/etc/init.d/cinder-api": "#!/bin/sh\nUWSGI_PORT=8776\nrun\n",
    "/etc/init.d/heat-api": "#!/bin/sh\nUWSGI_PORT=8004\nrun\n",
    "/etc/init.d/neutron-api": "#!/bin/sh\nUWSGI_PORT=9696\nrun\n",
    "/etc/init.d/nova-api": "#!/bin/sh\nUWSGI_PORT=8774\nrun\n",
    "/etc/init.d/placement-api": "#!/bin/sh\nUWSGI_PORT=8778\nrun\n",
    "/etc/neutron/policy.d/00_default_policy.yaml": '# Create a router\n#"create_router": "rule:x"\n',
    "/etc/nova/policy.d/00_default_policy.yaml": '# Make one\n#"os_compute_api:servers:create": "rule:x"\n',
    "/etc/nsswitch.conf": "passwd:         files\nhosts:          files dns\n",
    "/etc/rabbitmq/rabbitmq-env.conf": "#NODE_IP_ADDRESS=127.0.0.1\n",
    "/etc/tgt/conf.d/cinder_tgt.conf": "include /var/lib/cinder/volumes/*\n",
    "/usr/sbin/dnsmasq": "a program\n",
}
"""Files that packages bring and roles leave alone, as far as faults change them."""
CONFIGURED = ("cinder", "glance", "heat", "keystone", "neutron", "nova", "placement")
"""Services whose main file their package brings, for themselves alone."""
AS_GOOD = {"CP-06 glance", "DB-02", "KS-14"}
"""Faults whose repair writes something that is as good as what was there: a default, or a wider address."""
FOLDERS = {
    "/etc/keystone/fernet-keys": ("keystone:keystone", 0o700),
    "/var/lib/cinder": ("cinder:cinder", 0o750),
    "/var/lib/glance/images": ("glance:glance", 0o750),
    "/var/lib/nova/instances": ("nova:nova", 0o755),
    "/var/log/neutron": ("neutron:adm", 0o750),
    "/var/log/nova": ("nova:adm", 0o750),
}
"""Folders likewise, whose they are, and their modes."""
_TOOLS = """
systemctl() { :; }
chown() { [ "$1" != -R ] || shift; echo "$2 $1" >>%(owners)s; }
chgrp() { echo "$2 :$1" >>%(owners)s; }
"""


def played() -> Iterator[tuple[str, Fault, str]]:
    """Yield the faults and variants that change files alone and are repaired without the cloud's own client."""
    seen: set[tuple[str, str]] = set()
    for topology in (*WHOLE, *sorted(SCENES.keys() - WHOLE)):
        scene = SCENES[topology]
        for fault in FAULTS:
            for variant in fault.variants:
                narrow = replace(scene, only=frozenset({variant}))
                if topology not in WHOLE and (fault.id, variant) in seen:
                    continue
                if "installed" in fault.stages and draw.applies(fault, narrow):
                    drawn = fault.draw(narrow, Random(0))
                    typed = "".join(each.line for each in drawn.repair)
                    if all(isinstance(each.change, FileChange) for each in drawn.breaks) and "openstack" not in typed:
                        seen.add((fault.id, variant))
                        yield topology, fault, variant


@functools.cache
def files(topology: str) -> Mapping[str, Mapping[str, File]]:
    """Return the files of every node of a lab, as its packages and roles leave them."""
    lab = SCENES[topology].lab
    cloud = Cloud.of(lab, complete({}, lab), slow=True, nested={node.name: "qemu" for node in lab.nodes})
    guests = {node.name: FakeGuest(name=node.name) for node in lab.nodes}
    for guest in guests.values():
        for path, content in PACKAGED.items():
            guest.file(path, content, mode=0o755 if path == "/usr/sbin/dnsmasq" else 0o644)
        for name in CONFIGURED:
            conf = "glance-api.conf" if name == "glance" else f"{name}.conf"
            guest.file(f"/etc/{name}/{conf}", "", mode=0o640, owner=f"root:{name}")
        for path, (owner, mode) in FOLDERS.items():
            guest.files[path] = File(kind="folder", mode=mode, owner=owner, mtime=0)
        names = "".join(f"{each.address}\t{' '.join(each.names)}\n" for each in lab.hosts)
        guest.file("/etc/hosts", PACKAGED["/etc/hosts"] + names)
    for task in plan_tasks(cloud):
        for step in task.steps:
            for action in step.actions:
                if isinstance(action, FileChange):
                    action.apply(context(guests[step.node]))
    return {name: guest.files for name, guest in guests.items()}


@pytest.mark.parametrize(
    ("topology", "fault", "variant"), list(played()), ids=lambda each: each.id if isinstance(each, Fault) else each
)
def test_a_repair_that_is_typed_makes_of_the_files_what_they_were(
    topology: str, fault: Fault, variant: str, tmp_path: Path
) -> None:
    scene = replace(SCENES[topology], only=frozenset({variant}))
    for seed in range(3):
        drawn = fault.draw(scene, Random(seed))
        guests = {name: FakeGuest(name=name, files=dict(found)) for name, found in files(topology).items()}
        before = meant(drawn, guests)
        inject(drawn, guests)
        broken = meant(drawn, guests)
        assert broken != before, "the fault changes nothing that anybody reads"
        repaired = meant(drawn, typed(drawn.repair, guests, tmp_path / f"{seed}-repair"))
        assert repaired != broken
        assert repaired == before or f"{fault.id} {variant}".strip() in AS_GOOD
        if drawn.cheat:
            assert meant(drawn, typed(drawn.cheat, guests, tmp_path / f"{seed}-cheat")) != before
        for typing in (drawn.alternative, drawn.cheat):
            typed(typing, guests, tmp_path / f"{seed}-{len(typing)}")  # a shell can read them, at least


def test_most_faults_of_files_are_played() -> None:
    assert len({fault.id for _, fault, _ in played()}) >= 45


def inject(drawn: Drawn, guests: Mapping[str, FakeGuest]) -> None:
    for each in drawn.breaks:
        place = context(guests[each.node])
        undoing.act(undoing.record(each.change, place), place)


def meant(drawn: Drawn, guests: Mapping[str, FakeGuest]) -> dict[str, object]:
    """Return what the files that a fault changes say to those who read them, with owner and mode."""
    found: dict[str, object] = {}
    for each in drawn.breaks:
        file = guests[each.node].files.get(each.change.target)
        said = meaning(file.content.decode()) if file else {}
        there = file is not None and (said or file.kind == "folder")
        found[f"{each.node} {each.change.target}"] = (said, file.mode, file.owner) if file and there else None
    return found


def meaning(text: str) -> dict[str, str]:
    """Return what a reader of configuration makes of a text: of an option that comes twice the last one counts."""
    section, found = "", {}
    for line in text.splitlines():
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        if head := re.fullmatch(r"\[(.*)\]", words):
            section = head[1]
        else:
            key, _, value = words.partition("=")
            found[f"{section} {key.strip()}"] = value.strip()
    return found


def typed(lines: Sequence[Typed], guests: Mapping[str, FakeGuest], folder: Path) -> Mapping[str, FakeGuest]:
    """Type lines in a shell, in a folder that stands for the root of the node; return the nodes as they are then."""
    for each in lines:
        root, owners = folder / each.node, folder / f"{each.node}.owners"
        before = guests[each.node].files
        for path in (*PACKAGED, *FOLDERS, *before):
            (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        for path, file in before.items():
            here = root / path[1:]
            if file.kind == "folder":
                here.mkdir(exist_ok=True)
            else:
                here.write_bytes(file.content)
            here.chmod(file.mode)
        line = re.sub(r"(?<![\w./$-])/(etc|usr|var)/", rf"{root}/\1/", each.line)
        done = subprocess.run(
            ["sh", "-c", _TOOLS % {"owners": owners} + line], capture_output=True, text=True, check=False
        )
        assert not done.stderr, (line, done.stderr)
        said = owners.read_text().splitlines() if owners.exists() else []
        known = {path: file.owner for path, file in before.items()}
        for path, owner in (each.removeprefix(f"{root}").split() for each in said):
            user, _, group = owner.partition(":")
            old = known[path].split(":")
            known[path] = f"{user or old[0]}:{group or old[1]}"
        guests = {**guests, each.node: FakeGuest(name=each.node, files=looked(root, known))}
    return guests


def looked(root: Path, owners: Mapping[str, str]) -> dict[str, File]:
    found = {}
    for here in root.rglob("*"):
        path, mode = f"/{here.relative_to(root)}", here.stat().st_mode & 0o7777
        owner = owners.get(path, "root:root")
        if here.is_file():
            found[path] = File(
                kind="file", mode=mode, owner=owner, mtime=0, content=here.read_bytes().replace(f"{root}".encode(), b"")
            )
        elif path in FOLDERS:
            found[path] = File(kind="folder", mode=mode, owner=owner, mtime=0)
    return found


def context(guest: FakeGuest) -> Context:
    guest.answers.setdefault(".*systemctl reset-failed .*", 0)
    return Context(guest=guest, say=lambda line: None)
