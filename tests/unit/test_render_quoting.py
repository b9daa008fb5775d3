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
def test_yaml_readers_get_the_value_back(value):
    for document in (
        f"key: {quoting.yaml(value)}\n",
        f"{{a: {quoting.yaml(value)}, b: 1}}\n",
        f"- {quoting.yaml([value])}\n",
    ):
        assert "\n" not in document[:-1]
        for loader in (yaml.SafeLoader, yaml.CSafeLoader):
            loaded = yaml.load(document, Loader=loader)
            assert loaded in ({"key": value}, {"a": value, "b": 1}, [[value]])


@pytest.mark.parametrize(("value", "text"), [(None, "null"), (True, "true"), (7, "7"), (("a", 1), '["a", 1]')])
def test_yaml_scalars_and_lists(value, text):
    assert quoting.yaml(value) == text


@pytest.mark.parametrize("value", HOSTILE)
def test_a_shell_gets_the_value_back(value):
    done = subprocess.run(["/bin/sh", "-c", f"printf %s {quoting.shell(value)}"], capture_output=True, check=True)
    assert done.stdout.decode() == value


def test_a_shell_line_keeps_its_words():
    line = quoting.shell_line(["printf", "%s|", *HOSTILE])
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=True)
    assert done.stdout.decode() == "".join(f"{value}|" for value in HOSTILE)


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
