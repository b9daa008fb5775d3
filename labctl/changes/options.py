"""Options of INI files as people get them wrong: misspelled, twice, under another name, in another section."""

from __future__ import annotations

from dataclasses import dataclass

from labctl import ini
from labctl.changes.change import State
from labctl.changes.files import FileChange, edited


class _Option(FileChange):
    """A change of one option that is there."""

    section: str
    option: str

    def judge(self, now: State) -> State:
        """Return the file with the option changed.

        Raises:
            InputError: there is no such file or option, or its value is not as expected.
        """
        return edited(now, self._edit)

    def _edit(self, text: str) -> str:
        raise NotImplementedError

    def describe(self) -> str:
        """Say which option."""
        return f"{type(self).__name__.lower()} [{self.section}] {self.option} of {self.path}"


@dataclass(frozen=True, kw_only=True)
class Respell(_Option):
    """Changes a part of an option's value, whatever the rest of it is.

    Attributes:
        find: a regular expression within the value; the first match is replaced.
        put: what stands in its place, groups as \\1.
        also: more sections and options that are changed in the same way.
    """

    path: str
    section: str
    option: str
    find: str
    put: str
    also: tuple[tuple[str, str], ...] = ()

    def _edit(self, text: str) -> str:
        for section, option in ((self.section, self.option), *self.also):
            text = ini.respell(text, section, option, self.find, self.put)
        return text


@dataclass(frozen=True, kw_only=True)
class Double(_Option):
    """Adds a second, changed line of an option at the end of its section; see `Respell`."""

    path: str
    section: str
    option: str
    find: str
    put: str

    def _edit(self, text: str) -> str:
        return ini.double(text, self.section, self.option, self.find, self.put)


@dataclass(frozen=True, kw_only=True)
class Rename(_Option):
    """Misspells the name of an option."""

    path: str
    section: str
    option: str
    name: str

    def _edit(self, text: str) -> str:
        return ini.rename(text, self.section, self.option, self.name)


@dataclass(frozen=True, kw_only=True)
class RaiseAbove(_Option):
    """Moves an option above the head of its section, and so into the section before."""

    path: str
    section: str
    option: str

    def _edit(self, text: str) -> str:
        return ini.raise_above(text, self.section, self.option)
