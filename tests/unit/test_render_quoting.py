"""The one quoting place: nothing gets out of shell, YAML or XML."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET

import pytest
import yaml

from labctl import quoting
from labctl.errors import InputError

HOSTILE = [
    "",
    " ",
    "plain",
    "it's",
    'say "hi"',
    "back\\slash\\n",
    "two\nlines",
    "tab\there",
    "a: b # c",
    "- item",
    "{{ jinja }} {% raw %}",
    "${HOME} $(reboot) `reboot`",
    "; reboot #",
    "]]>",
    "<!-- x --><b a='1'>&amp;</b>",
    "&{alias} *x !tag %TAG @ ` |",
    "null",
    "true",
    "0x10",
    "1e3",
    "~",
    "---",
    "...",
    "naïve · Größe → 漢字 😀",
    "no\u00a0break",
    "\u2028line\u2029paragraph",
    "\ufeffbom",
    "'\"'\"'",
]
CONTROL = ["\0", "a\x07b", "\x1b[31m", "\r", "\x7f", "\x85", "\ud800", "\ufffe"]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml.CSafeLoader])
def test_yaml_readers_get_the_value_back(loader, value):
    block, flow, item = (
        f"key: {quoting.yaml(value)}",
        f"{{a: {quoting.yaml(value)}, b: 1}}",
        f"- {quoting.yaml([value])}",
    )
    assert "\n" not in block + flow + item
    assert yaml.load(f"{block}\n", Loader=loader) == {"key": value}
    assert yaml.load(f"{flow}\n", Loader=loader) == {"a": value, "b": 1}
    assert yaml.load(f"{item}\n", Loader=loader) == [[value]]


@pytest.mark.parametrize(("value", "text"), [(None, "null"), (True, "true"), (7, "7"), (("a", 1), '["a", 1]')])
def test_yaml_scalars_and_lists(value, text):
    assert quoting.yaml(value) == text


def test_a_shell_gets_every_value_back():
    each = "; ".join(f"printf '%s\\0' {quoting.shell(value)}" for value in HOSTILE)
    assert printed(each) == HOSTILE
    assert printed(quoting.shell_line(["printf", "%s\\0", *HOSTILE])) == HOSTILE


def printed(line):
    """Return the words, each ended by a zero byte, that a shell line prints."""
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("value", HOSTILE)
def test_an_xml_reader_gets_the_value_back(value):
    element = ET.fromstring(f"<a>{quoting.xml(value)}</a>")
    assert (element.text or "") == value
    attribute = ET.fromstring(f'<a b="{quoting.xml(value)}"/>').get("b")
    assert attribute == value.replace("\n", " ").replace("\t", " ")  # as XML normalises attributes


@pytest.mark.parametrize("value", CONTROL)
@pytest.mark.parametrize("quote", [quoting.shell, quoting.yaml, quoting.word])
def test_control_characters_are_refused(quote, value):
    with pytest.raises(InputError, match=r"U\+"):
        quote(f"a{value}b")


@pytest.mark.parametrize("value", ["\0", "a\x07b", "\x1b", "\ud800", "\ufffe"])
def test_what_xml_cannot_hold_is_refused(value):
    with pytest.raises(InputError, match=r"U\+"):
        quoting.xml(value)


@pytest.mark.parametrize("value", ["", "two words", "two\nlines", "a#b", "\u2028"])
def test_a_word_is_one_word(value):
    with pytest.raises(InputError, match="one word"):
        quoting.word(value)


@pytest.mark.parametrize("value", ["plain", None, True, 1.5, ["list"]])
def test_templates_may_print_quoted_values_and_numbers_only(value):
    assert quoting.demand(quoting.yaml("x")) == '"x"'
    assert quoting.demand(7) == 7
    with pytest.raises(TypeError, match="without a quoting filter"):
        quoting.demand(value)
