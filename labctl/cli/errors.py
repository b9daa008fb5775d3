"""Turns every failure into a message and an exit code; a traceback only with --debug."""

from __future__ import annotations

import errno
import os
import sys
import textwrap
import traceback
from collections.abc import Callable

import click

from labctl.errors import LabctlError

INTERRUPTED = 130


def guarded(command: Callable[[], object]) -> int:
    """Run a command and return its exit code, having said what went wrong, if anything."""
    try:
        result = command()
        sys.stdout.flush()
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except (KeyboardInterrupt, click.Abort) as exc:
        interrupt = exc.__cause__ or exc  # click raises Abort from it
        notes = [f"  {note}" for note in getattr(interrupt, "__notes__", ())]
        click.echo("\n".join(("\nInterrupted. Run the same command to continue.", *notes)), err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left, as `head` does. Nobody is left to tell; keep the interpreter from trying.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except LabctlError as exc:
        _traceback()
        click.echo(message(exc), err=True)
        return exc.exit_code
    except OSError as exc:
        _traceback()
        click.echo(f"Error: {exc.strerror or exc}{f': {exc.filename}' if exc.filename else ''}", err=True)
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            click.echo("  → Free space on that file system, then run the command again.", err=True)
        elif exc.filename and str(exc.filename).startswith(home := _home()):
            click.echo(f"  → State is kept in {home}: set LABCTL_HOME to a folder that you can write to.", err=True)
        return 1
    except Exception as exc:  # noqa: BLE001 - the last line of defence
        _traceback()
        click.echo(f"Error: labctl itself failed ({type(exc).__name__}: {exc})", err=True)
        click.echo(
            "  This is a bug in labctl. Run the command again with --debug, and report what it prints.", err=True
        )
        return 1
    return result if isinstance(result, int) else 0


def message(error: LabctlError) -> str:
    """Return what a user reads: what happened, why, and what to do next."""
    parts = [f"Error: {error.brief}"]
    if error.details:
        parts.append(textwrap.indent(error.details, "  "))
    if error.remedy:
        parts.append(f"  → {error.remedy}")
    return "\n".join(parts)


def _home() -> str:
    from labctl.state import Home

    return str(Home().root)


def _traceback() -> None:
    if os.environ.get("LABCTL_DEBUG"):
        traceback.print_exc()
