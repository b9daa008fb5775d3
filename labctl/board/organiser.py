"""What the organiser does by buttons of the board, each asked once: notices, heal, snapshot, checks; and the tables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from labctl.board.desk import Desk
from labctl.board.forms import form
from labctl.errors import InputError
from labctl.lab import notices
from labctl.lab.classroom import TeamView
from labctl.lab.passes import Pass
from labctl.report import classroom as views

Page = Callable[[Request, Pass], Awaitable[Response]]
Guard = Callable[[Page], Callable[[Request], Awaitable[Response]]]


class Organiser:
    """The organiser's buttons and tables."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, guard: Guard) -> list[Route]:
        """Return the addresses of all of them.

        Args:
            guard: lets the organiser alone see a page.
        """
        post = ["POST"]
        return [
            Route("/board.csv", guard(self.board_table)),
            Route("/score.csv", guard(self.score_table)),
            Route("/team/{team}/nodes.csv", guard(self.node_table)),
            Route("/notice", guard(self.notice), methods=post),
            Route("/notice/back", guard(self.take_back), methods=post),
            Route("/checks", guard(self.check_all), methods=post),
            Route("/team/{team}/checks", guard(self.check), methods=post),
            Route("/team/{team}/heal", guard(self.heal), methods=post),
            Route("/team/{team}/snapshot", guard(self.snapshot), methods=post),
        ]

    async def notice(self, request: Request, session: Pass) -> Response:
        """Tell one team or all of them something."""
        fields = await form(request)
        team = fields.get("team", "")
        notices.give(self._desk.home, [team] if team else [], fields.get("text", ""))
        return await self._back(f"/team/{team}" if team else "/")

    async def take_back(self, request: Request, session: Pass) -> Response:
        """Take a notice back."""
        notices.take_back(self._desk.home, [(await form(request)).get("id", "")])
        return await self._back("/")

    async def check_all(self, request: Request, session: Pass) -> Response:
        """Begin the quick checks of all labs, but those that are being checked."""
        for lab in sorted({team.lab for team in self._desk.seen.teams.values() if team.lab}):
            if not self._desk.busy(f"{lab} checks"):
                self._desk.start_checks(lab)
        return await self._back("/")

    async def check(self, request: Request, session: Pass) -> Response:
        """Begin the quick checks of a team's lab."""
        team = self._with_lab(request)
        self._desk.start_checks(team.lab)
        return await self._back(f"/team/{team.team}")

    async def heal(self, request: Request, session: Pass) -> Response:
        """Begin to undo what was broken in a team's lab on purpose."""
        team = self._with_lab(request)
        self._desk.start_heal(team.lab)
        return await self._back(f"/team/{team.team}")

    async def snapshot(self, request: Request, session: Pass) -> Response:
        """Begin to save a team's lab."""
        team = self._with_lab(request)
        self._desk.start_snapshot(team.lab, (await form(request)).get("name", "").strip())
        return await self._back(f"/team/{team.team}")

    async def board_table(self, request: Request, session: Pass) -> Response:
        """Give the table of all teams."""
        return _table("board", views.csv_text(self._desk.seen))

    async def score_table(self, request: Request, session: Pass) -> Response:
        """Give the scores."""
        return _table("score", views.scores_csv(self._desk.seen))

    async def node_table(self, request: Request, session: Pass) -> Response:
        """Give a team's nodes."""
        team = self._with_lab(request)
        return _table(f"{team.team}-nodes", views.nodes_csv(team))

    def _with_lab(self, request: Request) -> TeamView:
        team = self._desk.seen.teams.get(request.path_params["team"])
        if team is None or not team.lab:
            raise InputError("that team has no lab")
        return team

    async def _back(self, where: str) -> Response:
        await self._desk.refresh()
        return RedirectResponse(where, status_code=303)


def _table(name: str, text: str) -> Response:
    disposition = f'attachment; filename="{name}.csv"'
    return PlainTextResponse(
        text, media_type="text/csv", headers={"content-disposition": disposition, "cache-control": "no-store"}
    )
