"""Scores one repair of one fault, as a round would: pure. It proves that the rules are fair to a fault's repairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from labctl.rounds import points
from labctl.rounds.events import Checked, Closed, Injected, Opened, Reported, Restarted, Started
from labctl.spec.scoring import Rules


def percent(fault: Injected, verdicts: Mapping[str, str], *, held: bool, rules: Rules = Rules()) -> int:  # noqa: B008
    """Return what share of a fault's points a team gets that finds it, and whose repair leads to these verdicts.

    Args:
        fault: what was injected; its time does not count.
        verdicts: check to what it said after the repair; all were green before the fault.
        held: whether they stayed so when the units that the fault touched were restarted.

    Returns:
        Percent of its points, less what the repair broke.
    """
    base = rules.base(fault.level)
    after = 10.0 + rules.sustained
    score = points.score(
        [
            Opened(at=0, round="trial", minutes=60 + rules.sustained, player="trial", faults=1),
            Checked(at=1, verdicts=dict.fromkeys(verdicts, "PASS"), baseline=True),
            Checked(at=2, verdicts=dict.fromkeys(verdicts, "PASS") | dict.fromkeys(fault.red, "FAIL")),
            replace(fault, at=2),
            Started(at=3),
            Reported(at=4, service=fault.services[0], node=fault.nodes[0], symptom=fault.red[0]),
            Checked(at=10, verdicts=dict(verdicts)),
            Checked(at=after, verdicts=dict(verdicts)),
            Restarted(at=after, slot=fault.slot, held=held),
            Closed(at=after),
        ],
        rules,
    )
    return round(100 * score.total / base) if score else 0
