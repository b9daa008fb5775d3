"""The command line: the only room that prints, asks and exits."""

from __future__ import annotations

import sys


def main() -> None:
    """Run labctl and exit with its code: 0 done, 1 failed, 2 bad input, 3 refused, 4 checks red, 130 interrupted."""
    from labctl.cli import streams
    from labctl.cli.errors import guarded
    from labctl.cli.root import root

    streams.prepare()
    sys.exit(guarded(lambda: root.main(prog_name="labctl", standalone_mode=False)))
