"""Rules files: what a round of the challenge is worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from labctl.errors import InputError
from labctl.spec import document, problems
from labctl.spec.document import Location
from labctl.spec.values import Count, Switch

Percent = Annotated[Count, Field(ge=0, le=100)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Shares(_Part):
    """How the points of a fault are shared out, in percent; together 100."""

    detect: Percent = 20
    """A red check of the fault was reported as its symptom."""

    localise: Percent = 30
    """Service and node were reported; one of the two is worth half."""

    repair: Percent = 40
    """The fault's red checks became green and stayed so."""

    lasting: Percent = 10
    """They were green again after the touched units restarted."""


class Resets(_Part):
    """What resets of nodes cost, in percent of each fault on those nodes."""

    free: Count = Field(default=1, ge=0, le=100)
    """Resets in a round that cost nothing."""

    node: Percent = 30
    """Cost of each further reset of one node."""

    lab: Percent = 60
    """Cost of each further reset of the whole lab."""


class Downtime(_Part):
    """What it costs when services that nobody sabotaged do not answer."""

    misses: Count = Field(default=5, ge=1, le=1000)
    """Red results of a check in a row that count as one outage."""

    percent: Percent = 10
    """Percent of the round's points that an outage costs."""

    cap: Percent = 50
    """Percent of the round's points that all outages together may cost."""


class Rules(_Part):
    """What a round is worth."""

    levels: dict[str, Annotated[Count, Field(ge=1, le=100_000)]] = Field(
        default={"1": 100, "2": 200, "3": 400}, min_length=1
    )
    """Level of a fault to its points."""

    shares: Shares = Shares()
    """How the points of a fault are shared out."""

    sustained: Count = Field(default=60, ge=0, le=3600)
    """Seconds for which a fault's red checks must stay green before the repair counts."""

    hints: tuple[Percent, ...] = (10, 20, 30)
    """What the first, second and third hint cost, in percent of the fault's points."""

    wrong: Percent = 10
    """What a diagnosis that fits no fault costs, in percent of the points of a fault of the lowest level."""

    drill: Annotated[Count, Field(ge=0, le=100_000)] = 100
    """Points for reporting that nothing is broken in a round without a fault."""

    collateral: Annotated[Count, Field(ge=0, le=100_000)] = 50
    """Points that each check costs which was green before the round, is red at its end, and belongs to no fault."""

    resets: Resets = Resets()
    """What resets cost."""

    resets_repair: Switch = False
    """Whether a fault that a reset took away counts as repaired."""

    downtime: Downtime = Downtime()
    """What it costs when services that nobody sabotaged do not answer."""

    def base(self, level: int) -> int:
        """Return the points of a fault of that level; a level above the highest known is worth as much as that."""
        known = sorted(self.levels, key=int)
        return self.levels[next((name for name in known if int(name) >= level), known[-1])]


def load(path: Path) -> Rules:
    """Read a rules file.

    Raises:
        InputError: it cannot be read or is not valid; the message lists every problem with its line.
    """
    return loads(document.read(path), str(path))


def loads(text: str, source: str) -> Rules:
    """Read rules from the text of a file.

    Raises:
        InputError: they are not valid; the message lists every problem with its line.
    """
    doc = document.parse(text, source)
    found = list(doc.problems)
    rules = Rules()
    try:
        rules = Rules.model_validate({} if doc.data is None else doc.data)
    except ValidationError as exc:
        found += problems.found(exc, _keys_at)
    found += _unfit(rules)
    if found:
        remedy = "labctl round rules prints the rules with all their keys; an empty file is valid."
        raise problems.refusal(doc, found, what="rules file", remedy=remedy)
    return rules


def _unfit(rules: Rules) -> list[document.Problem]:
    found = []
    together = sum(rules.shares.model_dump().values())
    if together != 100:
        found.append(document.Problem(("shares",), f"the shares are {together} percent together; 100 is expected"))
    found += [
        document.Problem(("levels", name), f'"{name}" is no level; give 1 to 9')
        for name in rules.levels
        if name not in tuple("123456789")
    ]
    return found


def _keys_at(location: Location) -> tuple[str, ...]:
    models: dict[Location, type[BaseModel]] = {
        (): Rules,
        ("shares",): Shares,
        ("resets",): Resets,
        ("downtime",): Downtime,
    }
    return tuple(models[location].model_fields) if location in models else ()


def document_of(rules: Rules) -> dict[str, Any]:
    """Return rules as plain data: what a record keeps, and what a file may say."""
    return rules.model_dump(mode="json")


def text_of(rules: _Part) -> str:
    """Return rules as the text of a file, with what each key means."""
    lines = []
    for name, field in type(rules).model_fields.items():
        value = getattr(rules, name)
        lines.append(f"# {field.description}")
        if isinstance(value, _Part):
            lines += [f"{name}:", *(f"  {line}" for line in text_of(value).splitlines())]
        else:
            lines.append(f"{name}: {json.dumps(value)}")  # JSON is YAML
    return "\n".join([*lines, ""])


def restored(plain: dict[str, Any]) -> Rules:
    """Return rules from what `document_of` returned; what a record of an older labctl lacks is as shipped.

    Raises:
        InputError: it is something else.
    """
    try:
        return Rules.model_validate(plain)
    except ValidationError as exc:
        raise InputError("the rules on record cannot be read", details=str(exc)) from exc
