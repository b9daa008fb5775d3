"""Applies changes so that they can be undone: a record first, then the act; the undo respects what others did since."""

from __future__ import annotations

import posixpath

from labctl import quoting
from labctl.changes.action import Context
from labctl.changes.change import Change, Outcome, Record
from labctl.changes.kinds import KINDS


def record(change: Change, context: Context, *, restart: tuple[str, ...] = (), waits: bool = True) -> Record:
    """Look and judge, but do not act: return what must be on disk before anything is touched.

    A file keeps the time of the one that it replaces, a new one gets that of its folder, or of the one above.

    Raises:
        InputError: the change cannot be made here.
        RemoteError: the guest cannot be looked at.
    """
    before = change.kind.look(context, change.target)
    after = change.judge(before)
    if after.get("kind") == "file" and after["mtime"] is None:
        after = {**after, "mtime": before.get("mtime") or _folder_time(context, change.target)}
    return Record(kind=change.kind.name, target=change.target, before=before, after=after, restart=restart, waits=waits)


def act(record: Record, context: Context) -> Record:
    """Do what a record says and return it with how the thing really is now."""
    kind = KINDS[record.kind]
    kind.become(context, record.target, record.before, record.after)
    restart(record.restart, context, waits=record.waits)
    return Record(**{**vars(record), "after": kind.look(context, record.target)})


def again(record: Record, context: Context) -> None:
    """Do what a record says once more, from however the thing is now; nothing where it is so already."""
    kind = KINDS[record.kind]
    now = kind.look(context, record.target)
    if not kind.same(now, record.after):
        kind.become(context, record.target, now, record.after)
        restart(record.restart, context, waits=record.waits)


def undo(record: Record, context: Context) -> Outcome:
    """Bring a thing back to its state before a change, unless somebody else changed it since.

    Now as before: nothing to do. Now as after: restored. Anything else: left.

    Raises:
        RemoteError: the guest was lost.
    """
    kind = KINDS[record.kind]
    now = kind.look(context, record.target)
    if kind.same(now, record.before):
        return Outcome.MENDED
    if not kind.same(now, record.after):
        return Outcome.FOREIGN
    kind.become(context, record.target, now, record.before)
    restart(record.restart, context)
    return Outcome.RESTORED


def restore(record: Record, context: Context) -> None:
    """Bring a thing back to its state before a change, whoever changed it since, and restart what reads it."""
    kind = KINDS[record.kind]
    now = kind.look(context, record.target)
    if now != record.before:
        kind.become(context, record.target, now, record.before)
    restart(record.restart, context)


def difference(record: Record) -> str:
    """Return what a record changes, for people."""
    return KINDS[record.kind].show(record.target, record.before, record.after)


def restart(units: tuple[str, ...], context: Context, *, waits: bool = True) -> None:
    """Restart units, also those that gave up, and wait until those that listened before listen again or have ended.

    One that cannot start is what the fault is about.
    """
    if units:
        words, how = quoting.shell_line(units), "" if waits else "--no-block "
        # Somebody may have changed a unit's files and not told systemd.
        stale = f'case "$(systemctl show -P NeedDaemonReload {words})" in *yes*) systemctl daemon-reload;; esac'
        line = f"systemctl reset-failed {words} 2>/dev/null; systemctl --quiet {how}restart {words} || :"
        wait = _WAIT.format(seconds=int(30 * context.slow))
        context.run(f"{_HEARD}; {_BEFORE.format(units=words)}; {stale}; {line}; {wait}", timeout=120)


# uWSGI opens its port before it has loaded its application, but eventlet's servers do not: Glance for instance.
_HEARD = (
    "heard() { group=$(systemctl show -P ControlGroup $1); pids=$(tr '\\n' '|' </sys/fs/cgroup$group/cgroup.procs); "
    'ss -ltnpH | grep -qE "pid=(${pids}none),"; } 2>/dev/null'
)
_BEFORE = "before=$(for unit in {units}; do heard $unit && echo $unit; done)"
_WAIT = (
    "count=0; for unit in $before; do until heard $unit || ! systemctl --quiet is-active $unit || "
    "[ $count -ge {seconds} ]; do sleep 1; count=$((count + 1)); done; done"
)


def _folder_time(context: Context, path: str) -> int | None:
    """Return the time of the folder of a file, or of the nearest one above where that is still to be made."""
    folder = posixpath.dirname(path)
    found = context.guest.look(folder, timeout=60 * context.slow)
    if found is None and folder not in ("", "/"):
        return _folder_time(context, folder)
    return found.mtime if found else None
