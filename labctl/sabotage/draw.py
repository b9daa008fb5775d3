"""Draws faults: candidates by ID, one seeded generator, equal difficulty for all teams. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from random import Random

from labctl.errors import InputError
from labctl.sabotage import matrix
from labctl.sabotage.fault import FAULTS, Drawn, Fault, Scene


@dataclass(frozen=True, kw_only=True)
class Lot:
    """What one team gets.

    Attributes:
        order: the faults to try, the drawn one first; a later one is taken where an earlier does not do what it says.
        seed: of its parameters; the same words give the same node and values again.
        candidates: IDs of all that were in the draw; none where the fault was named.
        service: whose faults alone were in the draw; empty for all.
    """

    team: str
    order: tuple[Fault, ...]
    seed: str
    candidates: tuple[str, ...]
    service: str = ""


def candidates(
    scene: Scene, *, level: int | None = None, taken: Collection[Fault] = (), faults: Sequence[Fault] | None = None
) -> list[Fault]:
    """Return the faults that may be drawn for a lab, by ID.

    Args:
        level: that they must have.
        taken: faults that stand in the lab: none of their group, and none whose checks they have turned red already.
    """
    groups = {fault.group for fault in taken}
    covered = {check for fault in taken for check in fault.red}
    return [
        fault
        for fault in (FAULTS if faults is None else faults)
        if fault.pool
        and scene.lab.stage in fault.stages
        and level in (None, fault.level)
        and fault.group not in groups
        and not set(fault.red) <= covered
        and applies(fault, narrowed(scene, fault))
    ]


def applies(fault: Fault, scene: Scene) -> bool:
    """Whether the lab has what the fault breaks, of the service that is wanted."""
    if scene.only is not None and not scene.only:
        return False
    try:
        found = fault.draw(scene, Random(0))  # noqa: S311
    except LookupError:
        return False
    return bool(found.variant) or not scene.service or f"{found.service}-".startswith(f"{scene.service}-")


def services(fault: Fault, scene: Scene) -> set[str]:
    """Return which services a fault may have to blame in a lab."""
    every = [replace(scene, only=frozenset({variant})) for variant in fault.variants]
    return {fault.draw(each, Random(0)).service for each in every if applies(fault, each)}  # noqa: S311


def narrowed(scene: Scene, fault: Fault) -> Scene:
    """Return the lab as a fault may be drawn for it: in those of its variants that were seen to work."""
    return replace(scene, only=matrix.proven(fault))


def singly(scene: Scene, faults: Sequence[Fault]) -> list[tuple[Fault, str, Scene]]:
    """Return the faults and variants that a lab can have, each with the lab as that variant alone is drawn for it."""
    every = [
        (fault, variant, replace(scene, only=frozenset({variant})))
        for fault in faults
        for variant in fault.variants
        if scene.lab.stage in fault.stages
    ]
    return [(fault, variant, narrow) for fault, variant, narrow in every if applies(fault, narrow)]


def lots(teams: Sequence[str], found: Sequence[Fault], *, seed: str, same: bool, service: str = "") -> list[Lot]:
    """Draw for all teams: distinct faults of one level and weight, or the same for all.

    Where teams outnumber the faults of a class, these come again in turn, on other nodes.

    Raises:
        InputError: there is nothing to draw from.
    """
    if not found:
        raise InputError(
            "no fault is left to draw",
            details="No fault in the pool fits the stage, the level, the service and the faults that labs have. "
            "What was never verified is not drawn.",
            remedy="labctl sabotage list shows all; labctl sabotage heal makes room.",
        )
    random = Random(f"{seed}")  # noqa: S311 - reproducible, not secret
    classes: dict[tuple[int, float], list[Fault]] = {}
    for fault in sorted(found, key=lambda fault: fault.id):
        classes.setdefault((fault.level, matrix.weight(fault)), []).append(fault)
    wanted = 1 if same else len(teams)
    most = max(map(len, classes.values()))
    fair = [key for key in sorted(classes) if len(classes[key]) >= min(wanted, most)]
    drawn = classes[random.choice(fair)]
    random.shuffle(drawn)
    ids = tuple(sorted(fault.id for fault in found))
    made = []
    for number, team in enumerate(teams):
        first = 0 if same else number % len(drawn)
        rest = drawn[first + 1 :] + drawn[:first]
        made.append(
            Lot(
                team=team,
                order=(drawn[first], *rest),
                seed=seed if same else f"{seed}/{team}",
                candidates=ids,
                service=service,
            )
        )
    return made


def drawn(fault: Fault, scene: Scene, lot: Lot) -> Drawn:
    """Return a fault of a lot with node and parameters drawn; by chance only what was seen to work.

    Raises:
        InputError: the lab has nothing that it breaks.
    """
    scene = replace(narrowed(scene, fault) if lot.candidates else scene, service=lot.service)
    try:
        return fault.draw(scene, Random(f"{lot.seed}/{fault.id}"))  # noqa: S311
    except LookupError as exc:
        raise InputError(f"{fault.id} does not fit topology {scene.lab.topology}") from exc
