"""Team names and ranges."""

from __future__ import annotations

import pytest

from labctl.errors import InputError
from labctl.spec import teams


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["team01"], ["team01"]),
        (["team01", "red"], ["team01", "red"]),
        (["team01,team05"], ["team01", "team05"]),
        (["team08..team11"], ["team08", "team09", "team10", "team11"]),
        (["team08..11"], ["team08", "team09", "team10", "team11"]),
        (["t1..t3"], ["t1", "t2", "t3"]),
        (["t9..t10"], ["t9", "t10"]),
        (["team0{1,2}"], ["team01", "team02"]),
        (["team{01..03}"], ["team01", "team02", "team03"]),
        (["{red,blue}"], ["red", "blue"]),
        (["team{1..2,5}x"], ["team1x", "team2x", "team5x"]),
        (["team0{1,2},b"], ["team01", "team02", "b"]),
        (["team01..team01"], ["team01"]),
    ],
)
def test_words_mean_teams(words, names):
    assert teams.expand(words) == tuple(names)


def test_nothing_means_nobody():
    assert teams.expand([]) == ()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["Team01"], '"Team01" is not a team name'),
        (["-x"], "is not a team name"),
        (["x" * 21], "at most 20 characters"),
        (["team 1"], "is not a team name"),
        (["../etc"], "is not"),
        (["team01; reboot"], "is not a team name"),
        ([""], "is not a team name"),
        (["a,"], "is not a team name"),
        (["a", "a"], '"a" is named twice'),
        (["team01..team03", "team02"], '"team02" is named twice'),
        (["team03..team01"], "counts down"),
        (["team01..other03"], "is not a range"),
        (["a..b"], "is not a range"),
        (["team1..team1000000000000"], "more than 100 teams"),
        (["team1..team101"], "more than 100 teams"),
        (["a1..a60", "b1..b60"], "more than 100 teams"),
        (["team0{1,2"], "braces"),
        (["team0{1,{2,3}}"], "braces"),
        (["team}1{"], "braces"),
        (["{}"], "is not a team name"),
        (["team{1..x}"], "is not a range"),
    ],
)
def test_what_is_no_team_is_refused(words, said):
    with pytest.raises(InputError) as caught:
        teams.expand(words)
    assert said in caught.value.brief
    assert caught.value.remedy
