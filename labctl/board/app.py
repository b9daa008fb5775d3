"""Which page answers which address, to whom. What is not listed here does not exist."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import jinja2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labctl.board.actions import Actions
from labctl.board.desk import Desk
from labctl.board.forms import form, same_origin
from labctl.board.organiser import Organiser
from labctl.board.origin import COOKIE
from labctl.board.windows import KINDS, POLICY, Windows
from labctl.door.terminals import Terminals
from labctl.errors import InputError, LabctlError, RefusedError
from labctl.lab import notices, passes
from labctl.lab.passes import Pass
from labctl.lab.rounds import Diagnosis
from labctl.report import classroom as views

_SESSION = 12 * 3600.0  # seconds
_HERE = Path(__file__).parent
_HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",  # with no-referrer, browsers send forms with the origin "null"
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}

Page = Callable[[Request, Pass], Awaitable[Response]]


def application(desk: Desk, actions: Actions, terminals: Terminals) -> Starlette:
    """Return the pages."""
    board = _Board(desk, actions, terminals)
    windows = Windows(desk, terminals, render=board.page, session=board.session)
    team, organiser, anyone = board.for_team, board.for_organiser, board.for_both
    return Starlette(
        routes=[
            Route("/", anyone(board.home)),
            Route("/login", board.login, methods=["GET", "POST"]),
            Route("/in/{token}", board.enter),
            Route("/logout", anyone(board.logout), methods=["POST"]),
            Route("/score", board.score),
            Route("/events", anyone(board.events)),
            Route("/hand", team(board.hand), methods=["POST"]),
            Route("/hint", team(board.hint), methods=["POST"]),
            Route("/report", team(board.report), methods=["POST"]),
            Route("/files/{name}", team(board.file)),
            Route("/team/{team}", organiser(board.one_team)),
            Route("/team/{team}/hand", organiser(board.lower), methods=["POST"]),
            Route("/team/{team}/reset", organiser(board.reset), methods=["POST"]),
            *Organiser(desk).routes(organiser),
            Route("/open/{kind}/{node}", team(windows.page)),
            WebSocketRoute("/open/{kind}/{node}/socket", windows.socket),
            Route("/team/{team}/open/{kind}/{node}", organiser(windows.page)),
            WebSocketRoute("/team/{team}/open/{kind}/{node}/socket", windows.socket),
            Route("/team/{team}/join/{terminal}", organiser(windows.page)),
            WebSocketRoute("/team/{team}/join/{terminal}/socket", windows.socket),
            Mount("/static", StaticFiles(directory=_HERE / "static")),
        ],
        middleware=[Middleware(_Headers)],
        exception_handlers={404: board.not_found, 405: board.not_found, LabctlError: board.refused},
    )


class _Board:
    """The pages."""

    def __init__(self, desk: Desk, actions: Actions, terminals: Terminals) -> None:
        self._desk, self._actions, self._terminals = desk, actions, terminals
        loader = jinja2.FileSystemLoader(_HERE / "templates")
        self._templates = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
        shown = (views.ago, views.clock, views.hour, views.minutes)
        self._templates.filters |= {each.__name__: each for each in shown}

    # -- who is let in ----------------------------------------------------------------------------------------------

    def for_team(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """Let teams see a page."""
        return self._guarded(page, lambda session: not session.organiser)

    def for_organiser(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """Let the organiser see a page."""
        return self._guarded(page, lambda session: session.organiser)

    def for_both(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """Let everybody who has logged in see a page."""
        return self._guarded(page, lambda _: True)

    def _guarded(self, page: Page, allowed: Callable[[Pass], bool]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            session = self.session(request)
            if session is None:
                return RedirectResponse("/login", status_code=303)
            if not allowed(session):
                return await self.not_found(request, None)
            if request.method == "POST" and not await self._ours(request, session):
                return self.page("message.html", 403, title="Send it again", text="The page was too old.", link="/")
            return await page(request, session)

        return answer

    def session(self, request: HTTPConnection) -> Pass | None:
        text = request.cookies.get(COOKIE, "")
        return passes.read(self._desk.home, text, passes.SESSION) if text else None

    async def _ours(self, request: Request, session: Pass) -> bool:
        """Whether a form was sent by one of our own pages, of this session."""
        token = (await form(request)).get("token", "")
        right = passes.form_token(self._desk.home, session)
        return same_origin(request) and hmac.compare_digest(token.encode(), right.encode())

    async def login(self, request: Request) -> Response:
        """Ask for a team's password, and let it in."""
        if request.method == "GET":
            return self.page("login.html", team="", wrong="")
        fields = await form(request)
        team = fields.get("team", "").strip()
        address = request.client.host if request.client else ""
        if not same_origin(request):
            wrong = "Send it again from this page."
        else:
            wrong = self._actions.log_in(team, fields.get("password", ""), address)
            self._terminals.came("failed" if wrong else "login", team, address, "password")
        if wrong:
            return self.page("login.html", 403, team=team, wrong=wrong)
        return self._let_in(team)

    async def enter(self, request: Request) -> Response:
        """Let in whoever has a signed link."""
        found = passes.read(self._desk.home, request.path_params["token"], passes.LINK)
        if found is None:
            text = "This link has expired, or is not whole."
            return self.page("message.html", 403, title="No entry", text=text, link="/login")
        self._terminals.came("login", found.team, request.client.host if request.client else "", "link")
        return self._let_in(found.team)

    def _let_in(self, team: str) -> Response:
        answer = RedirectResponse("/", status_code=303)
        session = passes.issue(self._desk.home, team, passes.SESSION, seconds=_SESSION)
        answer.set_cookie(COOKIE, session, max_age=int(_SESSION), secure=True, httponly=True, samesite="lax")
        return answer

    async def logout(self, request: Request, session: Pass) -> Response:
        """Forget the session in this browser."""
        answer = RedirectResponse("/login", status_code=303)
        answer.delete_cookie(COOKIE, secure=True, httponly=True, samesite="lax")
        return answer

    # -- pages ------------------------------------------------------------------------------------------------------

    async def home(self, request: Request, session: Pass) -> Response:
        """Show a team its page, or the organiser the board."""
        seen = self._desk.seen
        if session.organiser:
            return self.page(
                "board.html",
                session=session,
                teams=seen.stuck_first,
                points=views.points(seen),
                jobs=self._desk.jobs,
                notices=seen.notices,
                now=seen.at,
            )
        return self._team(request, session, session.team)

    async def one_team(self, request: Request, session: Pass) -> Response:
        """Show the organiser one team."""
        return self._team(request, session, request.path_params["team"])

    def _team(self, request: Request, session: Pass, name: str) -> Response:
        seen = self._desk.seen
        if name not in seen.teams:
            text = "Nothing is known of this team yet. Reload the page in a moment."
            return self.page("message.html", 404, title=name, text=text, link="/")
        team = seen.teams[name]
        return self.page(
            "team.html",
            session=session,
            team=team,
            points=views.points_for_team(seen, name),
            files=self._actions.files(team) if not session.organiser else [],
            offer=self._actions.offer(name) if not session.organiser else None,
            choices=self._actions.choices(team),
            terminals=self._terminals.of(name),
            kinds=KINDS,
            jobs=self._desk.jobs,
            notices=notices.for_team(seen.notices, name),
            now=seen.at,
            ssh_port=self._actions.ssh_port,
            dashboard=self._actions.dashboard(team, request.url.hostname or "") if not session.organiser else None,
            host=request.url.hostname or "",
        )

    async def score(self, request: Request) -> Response:
        """Show everybody the scores, as they may be seen."""
        return self.page("score.html", board=views.public(self._desk.seen))

    async def file(self, request: Request, session: Pass) -> Response:
        """Give a team one of its files."""
        team = self._desk.seen.teams.get(session.team)
        name = request.path_params["name"]
        content = self._actions.file(team, name, request.url.hostname or "") if team is not None else None
        if content is None:
            return await self.not_found(request, None)
        headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
        return PlainTextResponse(content, media_type="application/octet-stream", headers=headers)

    async def events(self, request: Request, session: Pass) -> Response:
        """Tell a page whenever something has changed."""

        async def changes() -> AsyncIterator[str]:
            version = self._desk.version
            yield f"data: {version}\n\n"
            while not self._desk.closing and self.session(request) is not None:
                now = await self._desk.changed(version, seconds=15)
                yield f"data: {now}\n\n" if now != version else ": still here\n\n"
                version = now

        return StreamingResponse(changes(), media_type="text/event-stream", headers={"cache-control": "no-store"})

    # -- buttons ----------------------------------------------------------------------------------------------------

    async def hand(self, request: Request, session: Pass) -> Response:
        """Raise a team's hand, or lower it."""
        fields = await form(request)
        self._actions.hand(session.team, up=fields.get("up") == "yes", text=fields.get("text", ""))
        return await self._back()

    async def hint(self, request: Request, session: Pass) -> Response:
        """Take the hint that the page offered, at the price that it said."""
        fields = await form(request)
        text = self._actions.take_hint(session.team, fields.get("slot", ""), fields.get("number", ""))
        await self._desk.refresh()
        return self.page("message.html", title="Hint", text=text, link="/")

    async def report(self, request: Request, session: Pass) -> Response:
        """Write down what a team says is broken."""
        fields = await form(request)
        said = {key: fields.get(key, "").strip() for key in ("service", "node", "symptom")}
        left = self._actions.report(session.team, Diagnosis(nothing=fields.get("nothing") == "yes", **said))
        await self._desk.refresh()
        text = "It is noted. Nobody tells whether it is right before the end." if left else "Time is up: not counted."
        return self.page("message.html", title="Report", text=text, link="/")

    async def lower(self, request: Request, session: Pass) -> Response:
        """Lower a team's hand: somebody came."""
        self._actions.hand(request.path_params["team"], up=False)
        return await self._back()

    async def reset(self, request: Request, session: Pass) -> Response:
        """Begin to reset a node."""
        fields = await form(request)
        team = self._desk.seen.teams.get(request.path_params["team"])
        if team is None or not team.lab:
            raise InputError("that team has no lab")
        self._desk.start_reset(team.lab, fields.get("node", ""))
        return await self._back(f"/team/{team.team}")

    async def _back(self, where: str = "/") -> Response:
        await self._desk.refresh()
        return RedirectResponse(where, status_code=303)

    # -- what goes wrong --------------------------------------------------------------------------------------------

    async def not_found(self, request: Request, exc: Exception | None) -> Response:
        """Say that there is nothing, also of what somebody else has."""
        return self.page("message.html", 404, title="Not here", text="There is no such page.", link="/")

    async def refused(self, request: Request, exc: Exception) -> Response:
        """Say what went wrong."""
        assert isinstance(exc, LabctlError)
        status = 409 if isinstance(exc, RefusedError) else 400
        text = f"{exc.brief}. {exc.details}".strip()
        return self.page("message.html", status, title="That did not work", text=text, link="/")

    def page(self, name: str, status: int = 200, **values: Any) -> Response:
        session: Pass | None = values.get("session")
        token = passes.form_token(self._desk.home, session) if session is not None else ""
        text = self._templates.get_template(name).render({"session": None, "token": token, **values})
        return HTMLResponse(text, status_code=status, headers={"cache-control": "no-store"})


class _Headers:
    """Adds what keeps browsers from doing more than they are told."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message.get("headers", [])
                own = {name for name, _ in given}
                message["headers"] = [*given, *((name, text) for name, text in _HEADERS.items() if name not in own)]
            await send(message)

        await self._app(scope, receive, sending)
