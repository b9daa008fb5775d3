"""A real browser on the classroom's pages: typing, pages that follow by themselves."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from labctl.lab import access, hands, notices, passes
from tests.integration.browser import ENTER, TAB, Driver, driver, needs_chromium
from tests.unit.conftest import world
from tests.unit.test_board import Pages, open_round, pages

__all__ = ["driver", "pages", "world"]  # fixtures

pytestmark = needs_chromium


def test_a_hand_raised_by_keyboard_appears_on_the_open_board_by_itself(
    pages: Pages,
    driver: str,
    tmp_path: Path,
) -> None:
    place = f"https://localhost:{pages.port}"
    with contextlib.ExitStack() as stack:
        board, team = (Driver(driver, tmp_path / name) for name in ("board", "team"))
        for browser in (board, team):
            stack.callback(browser.close)
        board.open(f"{place}/in/{passes.issue(pages.home, passes.ORGANISER, passes.LINK, seconds=60)}")
        assert "2 of 2 run" in board.text()
        board.click("details > summary")
        team.open(place)
        team.type("#team", f"red{TAB}{access.known(pages.home, 'red').password}{ENTER}")
        team.until("Raise a hand")
        team.type("#text", f"the clock is wrong{ENTER}")
        board.until("the clock is wrong")
        assert "It is shown on their pages" in board.text()  # what was opened is open
        team.until("Your hand is up")
        hands.put(pages.home, "red", up=False)
        team.until("Raise a hand")  # without loading the page again
        team.type("#text", "half a sentence")
        open_round(pages.home)
        board.until("running")
        notices.give(pages.home, [], "Lunch is at 12")
        team.until("Lunch is at 12")  # also on the page of somebody who is typing
        time.sleep(1.5)
        assert team.ask("GET", f"/element/{team.find('#text')}/property/value") == "half a sentence"
        for browser in (board, team):
            assert browser.complaints() == []
