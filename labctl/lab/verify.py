"""Tries faults on a living lab: what each says, its repair, its undo; what was seen is kept, to go on from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from labctl.checks.model import Report
from labctl.errors import RefusedError
from labctl.lab import check
from labctl.lab.sabotage import TRIAL, Ledger, engine_of
from labctl.lab.trials import Trial, restore
from labctl.sabotage import draw, matrix, tutorial
from labctl.sabotage.engine import Engine
from labctl.sabotage.fault import FAULTS, Scene
from labctl.sabotage.matrix import Verified
from labctl.site.work import Work
from labctl.state import records

KEPT = "verified.json"

_ALONE = "the rest of the lab was not checked after it"
_TOGETHER = 8  # faults after which everything is checked: in an emulated cloud that takes as long as a fault


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which faults are tried, and how.

    Attributes:
        ids: of faults; all of the lab's stage where there are none.
        service: whose faults are tried, by the name of its role; empty for all.
        resume: leave out those that were good in an earlier run on this lab, or are good in the file for labs like it;
            not those of the tutorial of which what a learner meets is missing.
        matrix: a file; what was seen is merged into it as soon as it counts.
    """

    ids: Sequence[str] = ()
    service: str = ""
    resume: bool = False
    matrix: Path | None = None


def verify(work: Work, team: str, wanted: Wanted) -> list[Verified]:
    """Try faults on a team's lab, each of their variants, one after the other.

    After each, the checks are asked that it names; after some, all that change nothing. Only then they are good.

    Raises:
        RefusedError: the lab is not green.
        InputError: the file holds something else.
        LabctlError: the lab was lost.
    """
    home, say = work.home, work.progress.say
    with records.locked(home, [team]):
        plan = records.lab_of(home, team).plan
        folder, book = home.lab(team), Ledger(home.lab(team))
        kept = {each.key: each for each in matrix.kept(folder.read(KEPT))}
        elsewhere = matrix.of(wanted.matrix) if wanted.matrix else []
        faults = [FAULTS[name] for name in wanted.ids] or list(FAULTS)
        trials = draw.singly(Scene(lab=plan, service=wanted.service), faults)
        seen: list[Verified] = []
        with check.subject(work, plan) as lab, engine_of(work, plan, lab, book) as engine:
            restore(engine, book, TRIAL)  # what a killed run left
            if wrong := engine.wrong(plan.stage):
                raise RefusedError(
                    f"the lab of {team} is not green, so no fault could be proven",
                    details=wrong,
                    remedy=f"labctl check {team} --quick; labctl sabotage heal {team}",
                )
            # Now the rest of the lab was checked after them.
            kept = {key: replace(each, trouble=each.trouble.removeprefix(_ALONE)) for key, each in kept.items()}
            good = {each.key: each for each in (*elsewhere, *kept.values()) if wanted.resume and _done(each)}
            left = []
            for fault, variant, scene in trials:
                key = (fault.id, variant, plan.topology, work.site.virt)
                if key in good:
                    say(f"{f'{fault.id} {variant}'.strip()}: verified earlier")
                    seen.append(good[key])
                else:
                    left.append(Trial(scene, engine, book, (fault, variant), work.cancelled))
            left.sort(key=lambda trial: trial.turn)

            def keep(rows: Sequence[Verified]) -> None:
                kept.update({each.key: each for each in rows})
                folder.write(KEPT, matrix.write(kept.values()))
                if wanted.matrix:
                    matrix.merge(wanted.matrix, (each for each in rows if each.trouble != _ALONE))

            keep(seen)
            return seen + _in_turn(left, engine, plan.stage, say, keep)


def _done(row: Verified) -> bool:
    """Whether a fault is good, and what a learner meets was recorded where the tutorial has it."""
    lesson = tutorial.lesson(row.fault, row.variant)
    return row.ok and (lesson is None or lesson.met(row.meets) is not None)


def _in_turn(
    trials: Sequence[Trial],
    engine: Engine,
    stage: str,
    say: Callable[[str], None],
    keep: Callable[[Sequence[Verified]], None],
) -> list[Verified]:
    """Run trials. After some, see that all of the lab is green; until then is kept that it was not looked at.

    A lab that is not ends the run: nothing could be proven in it.
    """
    seen: list[Verified] = []
    tried: list[Verified] = []  # since all was checked
    known: Report | None = None
    for turn, (one, after) in enumerate(zip_longest(trials, trials[1:]), 1):
        say(f"{one.name}: trial {turn} of {len(trials)}")
        found = one.run(known, after.names if after else ())
        if engine.cancelled.is_set():
            break  # what was interrupted says nothing about a fault
        known = one.report if found.ok else None
        say(f"{one.name}: {found.trouble or 'does what it says'} ({sum(found.seconds.values()):.0f} s)")
        tried.append(found)
        keep([replace(found, trouble=found.trouble or _ALONE)])
        if after and len(tried) < _TOGETHER:
            continue
        wrong = engine.wrong(stage)
        if engine.cancelled.is_set():
            break
        why = f"after its repair and its heal, or those of a fault next to it: {wrong}" if wrong else ""
        tried = [replace(each, trouble=each.trouble or why) for each in tried]
        keep(tried)
        seen += tried
        tried = []
        if wrong:
            say(f"The lab is not green any more, so nothing else is tried: {wrong}")
            break
    return seen
