"""Mutated topologies go all the way, from the file to the installer's dry run: whatever is not refused works.

The same ones in every run; `LABCTL_TEST_ROUNDS=1000` goes on with others.
"""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from labctl import ini
from labctl.changes import Ini, PutFile
from labctl.cloud.cloud import Cloud
from labctl.errors import InputError
from labctl.installing.passwords import complete
from labctl.installing.tasks import packages_first, plan_tasks
from labctl.plan import diff, names
from labctl.plan.lab import BARE, INSTALLED, plan
from labctl.plan.model import LabPlan
from labctl.render import seed
from labctl.render.seed import SeedKeys
from labctl.report import topologies, views
from labctl.roles import fit
from labctl.secret import reveal, shown
from labctl.spec import topology
from labctl.spec.topology import Topology
from tests.unit.test_fit import LAB
from tests.unit.test_render_xml import every_document
from tests.unit.test_roles import IDENTITY

ROUNDS = int(os.environ.get("LABCTL_TEST_ROUNDS", "20"))  # for each file and kind of change
WITH_ROLES = LAB.replace("passwords: {demo: secret}", "passwords: {demo: secret, rabbitmq: word, '*': other}")
FILES = {name: topology.source(name)[0] for name in topology.shipped()} | {"small": WITH_ROLES}
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 65, 1.5, 10**17, "", " ", "0", "1", "true", "null", "None", "[key]", "*", "-"),
    *("10", "0x1f", "localhost", "a-vdb", "x" * 12, "x" * 13, "x" * 20, "x" * 41, "é", "日本", "a b", "a\nb", "\x07"),
    *("10.0.0.3", "10.0.0.255", "10.0.0.0/24", "10.0.0.0/30", "172.16.0.0/16", "0.0.0.0/8", "::1", "1 TiB", "64 MiB"),
    *("pa$$w$ord", "a/b", '"quoted"', "-x", "{{ x }}", "%s", "${x}", "nat", "isolated", "short", "full", "none"),
    *([], {}, [[]], [None], {"": None}, ["x"], {"x": "y"}, {"network": "mgmt"}, {"size": 1}),
)


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container with each of its keys or positions."""
    if isinstance(data, (dict, list)):
        for key in list(data) if isinstance(data, dict) else range(len(data)):
            yield data, key
            yield from places(data[key])


def mutated(data: Any, draw: random.Random) -> Any:
    """Return a copy of a file's content with a few things changed."""
    changed = copy.deepcopy(data)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        every = list(places(changed))
        if not every:
            break
        around, key = draw.choice(every)
        other_around, other_key = draw.choice(every)
        match draw.randrange(7):
            case 0:
                del around[key]
            case 1:
                around[key] = copy.deepcopy(draw.choice(ODD))
            case 2:  # something of another place
                around[key] = copy.deepcopy(other_around[other_key])
            case 3 if isinstance(around, dict):  # another name
                around[draw.choice([str(odd) for odd in ODD])] = around.pop(key)
            case 4 if isinstance(around, list):
                around.insert(key, copy.deepcopy(draw.choice([around[key], *ODD])))
            case 5 if isinstance(around, list):
                draw.shuffle(around)
            case 6 if isinstance(around, dict):
                around[draw.choice([str(odd) for odd in ODD])] = copy.deepcopy(around[key])
    return changed


def torn(text: str, draw: random.Random) -> str:
    """Return a file's text with a few characters lost, added or put elsewhere."""
    for _ in range(draw.choice((1, 1, 2, 5))):
        begin = draw.randrange(len(text))
        end = min(len(text), begin + draw.choice((0, 1, 1, 3, 40)))
        put = draw.choice(("", " ", "\n", ":", "- ", "&a ", "*a", "{", "[", "'", '"', "#", "\t", "!!x ", "\u2028", "é"))
        text = text[:begin] + draw.choice((put, text[begin:end] * 2)) + text[end:]
    return text


def go_all_the_way(text: str, keys: SeedKeys) -> Topology:
    """Do with a topology what labctl does before it acts."""
    spec = topology.loads(text, "f.yaml", also=fit.problems)
    again = topology.restore(json.loads(json.dumps(spec.document())))
    assert again.document() == spec.document()
    assert diff.differences(spec.document(), again.document()) == []
    assert topologies.picture(spec)
    for stage in (BARE, INSTALLED) if spec.openstack else (BARE,):
        lab = plan(spec, IDENTITY, stage=stage)
        names.refuse_shared([lab])
        assert views.plan_table(lab, {})
        assert json.dumps(views.plan_document(lab, {}))
        render(lab, keys)
    if spec.openstack:
        install(lab, keys)
    return spec


def render(lab: LabPlan, keys: SeedKeys) -> None:
    for _, document in every_document(lab):
        ET.fromstring(document)
    for node in lab.nodes:
        for document in seed.documents(node, lab, keys=keys).values():
            assert yaml.safe_load(document)


def install(lab: LabPlan, keys: SeedKeys) -> None:
    """Do what `install --dry-run` does, and write what the actions would."""
    nested = {node.name: "qemu" for node in lab.nodes}
    cloud = Cloud.of(lab, complete({}, lab), slow=True, nested=nested, known_hosts=keys.known_hosts)
    for task in packages_first(plan_tasks(cloud)):
        for step in task.steps:
            for action in step.actions:
                program = isinstance(action, PutFile) and action.path.endswith(".py")
                assert program or "None:" not in action.describe()
                if isinstance(action, Ini):
                    ini.set_values("", reveal(action.values), action.dialect)
                if isinstance(action, PutFile):
                    assert shown(action.content)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("tear", [False, True])
def test_a_mutated_topology_is_refused_or_works(name: str, tear: bool, keys: SeedKeys) -> None:
    draw = random.Random(f"{name} {tear}")
    whole = yaml.safe_load(FILES[name])
    go_all_the_way(FILES[name], keys)
    outcomes = {"refused": 0, "works": 0}
    for number in range(ROUNDS):
        text = torn(FILES[name], draw) if tear else yaml.safe_dump(mutated(whole, draw), sort_keys=False)
        try:
            go_all_the_way(text, keys)
            outcomes["works"] += 1
        except InputError:
            outcomes["refused"] += 1
        except Exception as exc:
            raise AssertionError(f"round {number}: {exc!r} of\n{text}") from exc
    assert outcomes["refused"], outcomes
    assert outcomes["works"] or tear, outcomes  # a file that is torn seldom works
