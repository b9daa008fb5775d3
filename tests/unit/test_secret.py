"""Secrets are carried to where they are used; whatever prints them shows their names."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from labctl import quoting
from labctl.secret import Secret, join, reveal, scrub, shown

WORD = Secret("pa'ss/wo\"rd", "<admin>")


def test_a_secret_grows_and_is_quoted_and_stays_one() -> None:
    url = "rabbit://openstack:" + WORD.map(quote) + "@10.0.0.1"
    assert isinstance(url, Secret)
    assert url.value == "rabbit://openstack:pa%27ss/wo%22rd@10.0.0.1"
    assert url.shown == "rabbit://openstack:<admin>@10.0.0.1"
    assert isinstance(join(["a", "b"]), str)
    assert reveal(join(["a ", WORD.map(quoting.shell)])).startswith("a ")


def test_what_prints_a_secret_by_accident_fails() -> None:
    with pytest.raises(TypeError):
        f"{WORD}"
    with pytest.raises(TypeError):
        str(WORD)
    with pytest.raises(TypeError):
        "".join([WORD])  # type: ignore[list-item]
    assert "wo" not in repr(WORD)


def test_data_has_two_faces() -> None:
    data = {"user": {"name": "demo", "words": [WORD, "x"]}}
    assert reveal(data) == {"user": {"name": "demo", "words": [WORD.value, "x"]}}
    assert shown(data) == {"user": {"name": "demo", "words": ["<admin>", "x"]}}


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("top-secret-word", "login top-secret-word"),
        ("pa/ss@word %", "mysql://nova:pa%2Fss%40word%20%25@db"),
        ("pa/ss@word %", "mysql://nova:pa/ss%40word%20%25@db"),
        ("it's a word", "IDENTIFIED BY 'it''s a word'"),
        ('say "word"', '{"password": "say \\"word\\""}'),
        ("abc", "password abc, refused"),
        ("first line\nsecond line", "it reads: second line"),
    ],
)
def test_output_of_programs_shows_no_secret_however_it_is_written(value: str, line: str) -> None:
    hidden = scrub(line, {"nova": value})
    assert "<nova>" in hidden
    assert all(word not in hidden for word in ("secret", "pa/ss", "pa%2F", "s a word", "say", " abc", "second"))


def test_a_short_secret_does_not_blot_innocent_words_out() -> None:
    assert scrub("abcdef abc", {"short": "abc"}) == "abcdef <short>"


def test_the_longest_secret_comes_first() -> None:
    assert scrub("key abcdef and abcdefgh", {"one": "abcdef", "two": "abcdefgh"}) == "key <one> and <two>"
