"""Says what is missing in a fault: everything that its rules ask for and that can be seen without a lab."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from labctl.checks.check import CHECKS
from labctl.sabotage.draw import applies
from labctl.sabotage.engine import untouchable
from labctl.sabotage.fault import Drawn, Fault, Scene

_SEEDS = 6


def problems(fault: Fault, scenes: Sequence[Scene]) -> list[str]:
    """Return what is missing or wrong, one sentence each; nothing when the fault is whole.

    Args:
        scenes: labs to draw for; those that it does not fit are left out.
    """
    found = [*_words(fault), *_checks(fault)]
    for scene in scenes:
        found += _anyhow(fault, scene)
    fitting = [scene for scene in scenes if scene.lab.stage in fault.stages and applies(fault, scene)]
    if not fitting:
        found.append("it fits no shipped topology")
    for variant in fault.variants:
        narrow = [replace(scene, only=frozenset({variant})) for scene in fitting]
        narrow = [scene for scene in narrow if applies(fault, scene)]
        if not narrow:
            found.append(f"no shipped topology can have its variant {variant}")
        for scene in narrow:
            for seed in range(_SEEDS):
                drawn = fault.draw(scene, Random(seed))  # noqa: S311 - reproducible, not secret
                found += _drawn(fault, scene, drawn)
                if fault.draw(scene, Random(seed)) != drawn:  # noqa: S311
                    found.append("the same seed draws something else the second time")
    return list(dict.fromkeys(found))


def _anyhow(fault: Fault, scene: Scene) -> Iterator[str]:
    """Say whether a lab that can have some of a fault's variants is ever offered one that it cannot have."""
    if scene.lab.stage not in fault.stages or not applies(fault, scene):
        return
    try:
        for seed in range(_SEEDS):
            fault.draw(scene, Random(seed))  # noqa: S311
    except LookupError as exc:
        yield f"it offers {scene.lab.topology} a variant that does not fit: {exc}"


def _words(fault: Fault) -> Iterator[str]:
    if not re.fullmatch(r"[A-Z]{2}-[0-9]{2}", fault.id):
        yield f"its ID is two letters and two digits, BA-01 for instance, not {fault.id}"
    if fault.level not in (1, 2, 3):
        yield "its level is 1, 2 or 3"
    if fault.weight <= 0:
        yield "its weight is a positive number"
    if len(fault.hints) != 3 or len(set(fault.hints)) != 3 or not all(fault.hints):
        yield "it has three different hints: where to look, what to look for, nearly the answer"
    if not fault.title or fault.title.endswith("."):
        yield "it has a title, without a full stop"
    if not fault.draw.__doc__:
        yield "its function says in its docstring what it breaks"
    if not fault.group:
        yield "it names the group of faults with which it never stands together"


def _checks(fault: Fault) -> Iterator[str]:
    known = set(CHECKS.names())
    if not fault.red:
        yield "it names a check that turns red"
    if "B01" not in fault.green:
        yield "B01 stays green: labctl can always log in"
    if unknown := sorted({*fault.red, *fault.green} - known):
        yield f"there is no check {', '.join(unknown)}"
    if fault.variants == ("",) and (both := sorted(set(fault.red) & set(fault.green))):
        yield f"{', '.join(both)} cannot be red and green"
    for name in sorted({*fault.red, *fault.green} & known):
        if not set(fault.stages) & set(CHECKS[name].stages):
            yield f"{name} is not for labs at stage {', '.join(fault.stages)}"


def _drawn(fault: Fault, scene: Scene, drawn: Drawn) -> Iterator[str]:
    names = {node.name for node in scene.lab.nodes}
    if drawn.node not in names:
        yield f"{drawn.node} is no node of {scene.lab.topology}"
        return
    if not drawn.breaks:
        yield "it breaks nothing"
    if not drawn.repair or not drawn.explanation or not drawn.service:
        yield "it has a reference repair, an explanation and a service to blame"
    for typed in (*drawn.repair, *drawn.alternative, *drawn.cheat):
        if typed.node not in names:
            yield f"{typed.node} is no node of {scene.lab.topology}"
    for why in untouchable(scene.lab, drawn):
        yield f"it would touch {why}: no fault touches a way into a node"
    yield from _variant(fault, drawn)
    yield from _spoilers(fault, drawn)


def _variant(fault: Fault, drawn: Drawn) -> Iterator[str]:
    if drawn.variant not in fault.variants:
        yield f"it has a variant {drawn.variant or 'without a name'}, which is not in its list"
    if stray := sorted({*drawn.red} - {*fault.red}):
        yield f"a variant turns {', '.join(stray)} red, and the fault does not say so"
    if both := sorted({*(drawn.red or fault.red)} & {*(drawn.green or fault.green)}):
        yield f"{', '.join(both)} cannot be red and green"
    places = [(each.node, each.change.kind.name, each.change.target) for each in drawn.breaks]
    if len(set(places)) < len(places):
        yield "two of its changes are of the same thing: each would bring back what the other changed"


def _spoilers(fault: Fault, drawn: Drawn) -> Iterator[str]:
    if drawn.node in fault.title:
        yield "its title names the node: that is a spoiler"
    for each in drawn.breaks:
        place = each.change.target.rpartition("/")[2]
        if len(place) > 3 and place.lower() in fault.title.lower():
            yield f"its title names {place}: that is a spoiler"
        if "labctl" in getattr(each.change, "path", "") and each.change.kind.name == "file":
            yield f"{each.change.target} bears the tool's name: that is a fingerprint"
