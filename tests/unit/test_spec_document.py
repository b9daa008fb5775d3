"""YAML files: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.errors import InputError
from labctl.spec import document


def test_each_value_knows_its_line():
    doc = document.parse("a: 1\nb:\n  - x\n  - c: y\n", "f.yaml")
    assert doc.data == {"a": 1, "b": ["x", {"c": "y"}]}
    assert doc.lines == {("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 4, ("b", 1, "c"): 4}


def test_a_missing_value_has_the_line_of_what_is_around_it():
    doc = document.parse("a:\n  b: 1\nc: 2\n", "f.yaml")
    assert doc.line(("a", "b", "nothing", 3)) == 2
    assert doc.line(()) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-7", -7),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("yes", "yes"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("0x1f", "0x1f"),
        ("010", "010"),
        ("2024-01-01", "2024-01-01"),
        ("10.0.0.3", "10.0.0.3"),
        ('"1"', "1"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_scalars_are_what_they_look_like(text, value):
    assert document.parse(f"key: {text}", "f.yaml").data == {"key": value}


def test_keys_are_always_text():
    assert document.parse("1: a\nno: b\n~: c", "f.yaml").data == {"1": "a", "no": "b", "~": "c"}


def test_a_duplicate_key_is_a_problem_with_both_lines():
    doc = document.parse("a: 1\nb: 2\na: 3\n", "f.yaml")
    assert [(problem.location, problem.message) for problem in doc.problems] == [
        (("a",), "the key is given twice, first on line 1")
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [1]\nb: *x", "f.yaml:1: anchors and aliases"),
        ("a: 1\nb: *x", "f.yaml:2: anchors and aliases"),
        ("a: !!python/object:os.system x", "f.yaml:1: the tag"),
        ("a: 1\n---\nb: 2", "f.yaml:2: a second document"),
        ("[1, 2]: x", "f.yaml:1: a key must be text"),
        ("a: 1\n b: 2", "f.yaml:2: this is not valid YAML"),
        ("a: 'x", "f.yaml:1: this is not valid YAML"),
        ("a: \x07", "f.yaml is not a YAML file"),
        ("[" * 5000, "f.yaml:1: more than 12 levels"),
        ("a: " + "[" * 1100 + "]" * 1100, "f.yaml:1: more than 12 levels"),
        ("{a: " * 5000, "f.yaml:1: more than 12 levels"),
        ("- " * 5000, "f.yaml:1: more than 12 levels"),
        ("a:\n" + "- x\n" * 100_000, "f.yaml is larger than 256 KiB"),
    ],
)
def test_what_no_topology_needs_is_refused(text, message):
    with pytest.raises(InputError) as caught:
        document.parse(text, "f.yaml")
    assert caught.value.brief.startswith(message)


def test_an_alias_bomb_is_refused_at_once():
    bomb = "a: &a [x]\n" + "".join(f"{n}: &{n} [*{p}, *{p}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True))
    with pytest.raises(InputError, match="anchors"):
        document.parse(bomb, "f.yaml")


def test_files_that_cannot_be_read_are_named(tmp_path: Path):
    missing, binary, large = tmp_path / "missing", tmp_path / "binary", tmp_path / "large"
    binary.write_bytes(b"\xff\xfe\x00")
    large.write_bytes(b"#" * (document.LARGEST + 1))
    for path, why in (
        (missing, "No such file"),
        (binary, "not UTF-8"),
        (large, "larger than 256 KiB"),
        (tmp_path, "directory"),
    ):
        with pytest.raises(InputError) as caught:
            document.read(path)
        assert str(path) in caught.value.brief
        assert why in str(caught.value)
