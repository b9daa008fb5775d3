"""Pages that are connected with a node: a terminal, its serial console, its screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from labctl.board import sockets
from labctl.board.desk import Desk
from labctl.board.origin import ours
from labctl.door.terminals import Terminal, Terminals
from labctl.errors import InputError, LabctlError
from labctl.lab.passes import Pass

KINDS = {"terminal": "Terminal", "console": "Console", "picture": "Screen"}
"""What a page can show of a node, and what people call it."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""What browsers let pages do."""

_MORE = {
    False: ("style-src 'self'", "style-src 'self' 'unsafe-inline'"),  # xterm.js puts its colours into style elements
    True: ("img-src 'self'", "img-src 'self' data:"),  # noVNC draws the mouse's pointer so
}
_USUAL = (80, 24)
LIBRARIES = Path(__file__).parent / "static" / "lib" / "ready"
"""Is there when the JavaScript libraries are."""


class Windows:
    """These pages, and what they are connected with.

    Args:
        render: fills a template.
        session: finds out who asks; None where it is nobody.
    """

    def __init__(
        self,
        desk: Desk,
        terminals: Terminals,
        *,
        render: Callable[..., Response],
        session: Callable[[HTTPConnection], Pass | None],
    ) -> None:
        self._desk, self._terminals = desk, terminals
        self._render, self._session = render, session

    async def page(self, request: Request, session: Pass) -> Response:
        """Show a page that is connected with a node, by a terminal or otherwise."""
        words, team = request.path_params, request.path_params.get("team", session.team)
        joined = self._terminals.find(team, words["terminal"]) if "terminal" in words else None
        kind, node = (joined.kind, joined.node) if joined else (words.get("kind", ""), words.get("node", ""))
        view = self._desk.seen.teams.get(team)
        if kind not in KINDS or view is None or node not in {each.name for each in view.nodes}:
            raise HTTPException(404)
        answer = self._render(
            "picture.html" if kind == "picture" else "terminal.html",
            back=f"/team/{team}" if session.organiser else "/",
            session=session,
            title=f"{KINDS[kind]} of {node}",
            team=team,
            joined=joined is not None,
            kind=kind,
            socket=f"{request.url.path}/socket",
            there=LIBRARIES.exists(),
        )
        answer.headers["content-security-policy"] = POLICY.replace(*_MORE[kind == "picture"])
        return answer

    async def socket(self, socket: WebSocket) -> None:
        """Connect such a page; whoever may not see it gets nothing."""
        words, session = socket.path_params, self._session(socket)
        if session is None or ("team" in words) != session.organiser or not ours(socket):
            await socket.close()
            return
        team = words.get("team", session.team)
        await socket.accept()
        if words.get("kind") == "picture":
            await self._show(socket, team)
            return
        browser = sockets.Browser(socket, organiser=session.organiser)
        try:
            terminal = await self._terminal(socket, team)
        except LabctlError as exc:
            await browser.end(sockets.in_words(exc))
            return
        await sockets.carry(socket, browser, terminal, allowed=lambda: self._session(socket) is not None)

    async def _show(self, socket: WebSocket, team: str) -> None:
        """Connect a page with a node's screen."""
        address = socket.client.host if socket.client else ""
        try:
            async with self._terminals.picture(team, socket.path_params["node"], address) as picture:
                await sockets.relay(socket, picture, allowed=lambda: self._session(socket) is not None)
        except LabctlError:  # VNC has no place for words; the page says what to look at
            await socket.close()

    async def _terminal(self, socket: WebSocket, team: str) -> Terminal:
        """Return the terminal that a page is for.

        Raises:
            LabctlError: there is none, or the node cannot be reached.
        """
        words, address = socket.path_params, socket.client.host if socket.client else ""
        if "terminal" in words:
            found = self._terminals.find(team, words["terminal"])
            if found is None:
                raise InputError("this terminal has ended")
            self._terminals.joined(found, address)
            return found
        if words["kind"] == "terminal":
            wanted = sockets.size(*(socket.query_params.get(key, "") for key in ("columns", "rows")))
            columns, rows = wanted or _USUAL
            return await self._terminals.shell(team, words["node"], address, columns=columns, rows=rows)
        if words["kind"] == "console":
            return await self._terminals.console(team, words["node"], address)
        raise InputError("there is no such page")
