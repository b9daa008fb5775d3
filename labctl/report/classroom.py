"""The classroom as pages show it: points for each pair of eyes, times, and the organiser's table as CSV."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Iterable, Sequence
from typing import Any

from labctl.checks.model import Report
from labctl.lab.classroom import Classroom, TeamView
from labctl.lab.notices import Notice
from labctl.report import rounds as views
from labctl.report.rounds import Board
from labctl.report.table import table

_COLUMNS = ("team", "lab", "topology", "stage", "nodes", "running", "hand", "checked_seconds_ago", "checks_red")
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


def ago(seconds: float) -> str:
    """Return how long ago something was."""
    if seconds < 60:
        return "just now"
    return f"{seconds / 60:.0f} min ago" if seconds < 2 * 3600 else f"{seconds / 3600:.0f} h ago"


def hour(at: float) -> str:
    """Return a moment as this machine's clock shows it."""
    return datetime.datetime.fromtimestamp(at).astimezone().strftime("%H:%M")


def verdict(report: Report) -> str:
    """Return what checks said in a few words."""
    red = [each.name for each in report.results if each.red]
    return f"red: {', '.join(red)}" if red else "all green" if report.green else "something is left over"


def notice_document(notice: Notice) -> dict[str, Any]:
    """Return a notice as a document."""
    return {"id": notice.id, "at": notice.at, "teams": list(notice.teams), "text": notice.text}


def notices_text(some: Sequence[Notice]) -> str:
    """Return notices as people read them."""
    rows = [[each.id, hour(each.at), ",".join(each.teams) or "all", each.text] for each in some]
    return table(["ID", "AT", "FOR", "TEXT"], rows) if rows else "No notice stands."


def csv_text(seen: Classroom) -> str:
    """Return the organiser's table, a line a team."""
    won = points(seen)
    rows = []
    for team in seen.stuck_first:
        play, hand = team.round, (team.hand.text or "up") if team.hand else ""
        row: list[object] = [team.team, team.lab, team.topology, team.stage, len(team.nodes), team.running, hand]
        row += [round(seen.at - team.checks.at), " ".join(team.checks.red)] if team.checks else ["", ""]
        if play is not None:
            row += [play.state, round(play.left), round(play.idle), won.get(team.team, 0)]
            row += [play.hints, play.reports, play.resets, " ".join(play.red)]
        rows.append(row + [""] * (len(_COLUMNS) + len(_ROUND) - len(row)))
    return _csv((*_COLUMNS, *_ROUND), rows)


def scores_csv(seen: Classroom) -> str:
    """Return the scores of the round that was opened last as the organiser may see them."""
    if not seen.seats:
        return _csv(("place", "team", "points"), ())
    standings = views.board(seen.seats, (), "organiser").standings
    return _csv(("place", "team", "points"), [[each.place, each.score.player, each.score.total] for each in standings])


def nodes_csv(team: TeamView) -> str:
    """Return the nodes on which a team works."""
    networks = list(dict.fromkeys(network for node in team.nodes for network in node.addresses))
    rows = [
        [node.name, node.state, *(node.addresses.get(each, "") for each in networks), " ".join(node.roles)]
        for node in team.nodes
    ]
    return _csv(("node", "state", *networks, "roles"), rows)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_plain(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return out.getvalue()


def _plain(text: str) -> str:
    """Return a text that a spreadsheet takes for no formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text
