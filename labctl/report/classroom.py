"""The classroom as pages show it: points for each pair of eyes, times, and the organiser's table as CSV."""

from __future__ import annotations

import csv
import io

from labctl.lab.classroom import Classroom
from labctl.report import rounds as views
from labctl.report.rounds import Board

_COLUMNS = ("team", "lab", "nodes", "running", "hand")
_ROUND = ("round", "seconds_left", "seconds_idle", "points", "hints", "reports", "resets", "red")


def points(seen: Classroom) -> dict[str, int]:
    """Return each team's points as the organiser may see them."""
    if not seen.seats:
        return {}
    return {each.score.player: each.score.total for each in views.board(seen.seats, (), "organiser").standings}


def points_for_team(seen: Classroom, team: str) -> int | None:
    """Return a team's points as the team may see them; None where it does not play."""
    if not any(seat.player == team for seat in seen.seats):
        return None
    standings = views.board(seen.seats, [team], "team").standings
    return standings[0].score.total if standings else None


def public(seen: Classroom) -> Board | None:
    """Return the scores as everybody may see them; None where no round was opened."""
    return views.board(seen.seats, (), "public") if seen.seats else None


def minutes(seconds: float) -> str:
    """Return a time in whole minutes."""
    return f"{seconds / 60:.0f} min"


def clock(seconds: float) -> str:
    """Return a time as a clock shows it: 1:02:03, or 02:03."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    text = f"{rest // 60:02}:{rest % 60:02}"
    return f"{hours}:{text}" if hours else text


def csv_text(seen: Classroom) -> str:
    """Return the organiser's table, a line a team."""
    won = points(seen)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*_COLUMNS, *_ROUND))
    for team in seen.stuck_first:
        play, hand = team.round, _plain(team.hand.text or "up") if team.hand else ""
        row: list[object] = [team.team, team.lab, len(team.nodes), team.running, hand]
        if play is not None:
            row += [play.state, round(play.left), round(play.idle), won.get(team.team, 0)]
            row += [play.hints, play.reports, play.resets, " ".join(play.red)]
        writer.writerow(row + [""] * (len(_COLUMNS) + len(_ROUND) - len(row)))
    return out.getvalue()


def _plain(text: str) -> str:
    """Return a text that a spreadsheet takes for no formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text
