"""MariaDB: its settings at run time, its accounts, single values of rows; as its root, by the socket of its node."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from labctl.changes.action import Context
from labctl.changes.change import Change, Kind, State
from labctl.errors import InputError, RemoteError
from labctl.guest import Result
from labctl.quoting import sql, sql_name


class Variables:
    """Global variables by name; a restart of the database forgets them."""

    name = "database-variable"

    def look(self, context: Context, target: str) -> State:
        """Return the value."""
        return {"value": _ask(context, f"SELECT @@GLOBAL.{sql_name(target)}")}

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Set it; numbers alone."""
        _tell(context, _setting(target, wanted))

    def same(self, one: State, other: State) -> bool:
        """Whether the values are equal."""
        return one == other

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return what differs."""
        return f"{target}: {now['value']} -> {wanted['value']}"


class Crowds(Variables):
    """How many may be in at once; whoever is in when they become fewer is put out, and comes again."""

    name = "database-crowd"

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Set it, and put out whom the database does not itself need.

        Both in one connection: with too many inside, the database lets in nobody any more.
        """
        inside = _ask(context, _VISITORS).split() if int(wanted["value"]) < int(now["value"]) else []
        _tell(context, "; ".join([_setting(target, wanted), *(f"KILL USER {sql(user)}" for user in inside)]))


_FULL = "Too many connections"
_PUT_OUT = "ss -K state established '( sport = :3306 )' >/dev/null"
_TRIES = 5  # after the first
_VISITORS = (
    "SELECT DISTINCT USER FROM information_schema.PROCESSLIST "
    "WHERE USER NOT IN ('root', 'system user', 'event_scheduler', 'unauthenticated user')"
)


class Accounts:
    """Accounts by user name: whether they are locked."""

    name = "database-account"

    def look(self, context: Context, target: str) -> State:
        """Return whether it is locked.

        Raises:
            RemoteError: there is no such account.
        """
        said = _ask(context, f"SHOW CREATE USER {sql(target)}@'%'")
        return {"locked": "ACCOUNT LOCK" in said}

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Lock or unlock it; whoever is in by it is put out when it is locked."""
        account = f"{sql(target)}@'%'"
        if wanted["locked"]:
            _tell(context, f"ALTER USER {account} ACCOUNT LOCK; KILL USER {account}")
        else:
            _tell(context, f"ALTER USER {account} ACCOUNT UNLOCK")

    def same(self, one: State, other: State) -> bool:
        """Whether both are locked, or none."""
        return one == other

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return what differs."""
        return f"{target}: locked: {now['locked']} -> {wanted['locked']}"


class Values:
    """Single values: `DATABASE TABLE KEY KEY'S VALUE COLUMN`, none of which holds blanks."""

    name = "database-value"

    def look(self, context: Context, target: str) -> State:
        """Return the value.

        Raises:
            InputError: there is not exactly one such row.
        """
        table, where, column = _place(target)
        found = _ask(context, f"SELECT COUNT(*), MAX({column}) FROM {table} WHERE {where}").split("\t")  # noqa: S608
        if found[0] != "1":
            raise InputError(f"the database has {found[0]} rows {target}")
        return {"value": found[1]}

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Set it."""
        table, where, column = _place(target)
        _tell(context, f"UPDATE {table} SET {column} = {sql(wanted['value'])} WHERE {where}")  # noqa: S608

    def same(self, one: State, other: State) -> bool:
        """Whether the values are equal."""
        return one == other

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return what differs."""
        return f"{target}: {now['value']} -> {wanted['value']}"


CROWDS: Kind = Crowds()
VARIABLES: Kind = Variables()
ACCOUNTS: Kind = Accounts()
VALUES: Kind = Values()


@dataclass(frozen=True, kw_only=True)
class Variable(Change):
    """Sets a global variable of the database."""

    kind: ClassVar[Kind] = VARIABLES
    name: str
    value: int

    @property
    def target(self) -> str:
        """The variable."""
        return self.name

    def judge(self, now: State) -> State:
        """Return the value."""
        return {"value": str(self.value)}

    def describe(self) -> str:
        """Say which."""
        return f"set the database's {self.name} to {self.value}"


@dataclass(frozen=True, kw_only=True)
class Crowd(Change):
    """Has the database let in only so many at once; its root has a place of its own.

    Attributes:
        most: connections, ten at least.
    """

    kind: ClassVar[Kind] = CROWDS
    most: int

    @property
    def target(self) -> str:
        """The variable."""
        return "max_connections"

    def judge(self, now: State) -> State:
        """Return the number.

        Raises:
            InputError: the database lets in no more as it is.
        """
        if int(now["value"]) <= self.most:
            raise InputError(f"the database lets in {now['value']} at once as it is")
        return {"value": str(self.most)}

    def describe(self) -> str:
        """Say how many."""
        return f"let {self.most} into the database at once"


@dataclass(frozen=True, kw_only=True)
class Account(Change):
    """Locks an account of the database, or unlocks it."""

    kind: ClassVar[Kind] = ACCOUNTS
    user: str
    locked: bool = True

    @property
    def target(self) -> str:
        """The user."""
        return self.user

    def judge(self, now: State) -> State:
        """Return whether it is to be locked."""
        return {"locked": self.locked}

    def describe(self) -> str:
        """Say which."""
        return f"{'lock' if self.locked else 'unlock'} the database's account {self.user}"


@dataclass(frozen=True, kw_only=True)
class Value(Change):
    """Changes one value of a row of the database.

    Attributes:
        name: which, as `Values` names it.
        find: a regular expression within the value; the first match is replaced.
        put: what stands in its place, groups as \\1.
    """

    kind: ClassVar[Kind] = VALUES
    name: str
    find: str
    put: str

    @property
    def target(self) -> str:
        """The value."""
        return self.name

    def judge(self, now: State) -> State:
        """Return the value changed.

        Raises:
            InputError: it is not as expected.
        """
        after, count = re.subn(self.find, self.put, now["value"], count=1)
        if not count or after == now["value"]:
            raise InputError(f"the database's {self.name} is not as expected")
        return {"value": after}

    def describe(self) -> str:
        """Say which."""
        return f"change the database's {self.name}"


def _place(target: str) -> tuple[str, str, str]:
    database, table, key, value, column = target.split()
    return f"{sql_name(database)}.{sql_name(table)}", f"{sql_name(key)} = {sql(value)}", sql_name(column)


def _setting(variable: str, wanted: State) -> str:
    return f"SET GLOBAL {sql_name(variable)} = {int(wanted['value'])}"


def _ask(context: Context, question: str) -> str:
    said = _run(context, "mariadb -BN --raw", question)
    if not said.ok:
        raise RemoteError(f"{context.guest.name}: the database does not say", details=said.tail())
    return said.stdout.removesuffix("\n")


def _tell(context: Context, statement: str) -> None:
    said = _run(context, "mariadb", statement)
    if not said.ok:
        raise RemoteError(f"{context.guest.name}: the database does not do what it is told", details=said.tail())


def _run(context: Context, client: str, statement: str) -> Result:
    """Give root's client a statement.

    The database keeps a place for root, but somebody who is about to be turned away may stand in it, and none is left
    where more are inside than it lets in. Then those who came over the network are put out first; they come again.
    """
    for line in (client, *[f"{_PUT_OUT}; {client}"] * _TRIES):
        said = context.guest.run(line, stdin=f"{statement};".encode(), timeout=60 * context.slow, check=False)
        if said.ok or _FULL not in said.stderr:
            break
    return said
