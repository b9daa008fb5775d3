"""B07: file systems."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.checks.check import Subject, check
from labctl.checks.model import Step, judged
from labctl.plan.model import NodePlan

_BYTES = 64 * 1024  # KiB that users other than root must have left
_INODES = 500


def question(subject: Subject, node: NodePlan) -> str:  # noqa: ARG001
    """Tell what is left of file systems on disks, write a file to each, and list those that cannot be written to."""
    left = "df -k --output=avail,iavail,target"
    return (
        f"{left} -l -x tmpfs -x devtmpfs -x iso9660; {left} /var/tmp; echo; "
        "for place in /var/tmp /run; do file=$place/.$$; "
        "{ echo x >$file && rm -f $file; } 2>/dev/null || echo $place; done"
    )


@check(
    "B07",
    "File systems have room",
    exercises="file systems: bytes, inodes, writing",
    needs=("B01",),
    asks=question,
    limit=(10, 60),
)
def room(subject: Subject) -> Iterator[Step]:
    """Require 64 MiB and 500 inodes that every user may use on each file system of every node; write a file."""
    for node, answer in subject.said("B07"):
        table, _, closed = answer.text.partition("\n\n")
        short = [f"{left} KiB left on {where}" for where, left in _left(table, 0) if left < _BYTES]
        yield judged("; ".join(short), name="bytes", node=node.name, suspect="full disk", seconds=answer.seconds)
        few = [f"{left} inodes left on {where}" for where, left in _left(table, 1) if left < _INODES]
        yield judged("; ".join(few), name="inodes", node=node.name, suspect="inodes used up")
        trouble = f"{', '.join(closed.split())} cannot be written to" if closed.strip() else ""
        yield judged(trouble, name="write", node=node.name, suspect="file system")


def _left(table: str, column: int) -> list[tuple[str, int]]:
    """Return where file systems are mounted and what is left of them; read-only media have nothing left and may.

    Args:
        column: 0 for KiB, 1 for inodes, of which some file systems have no number.
    """
    rows = dict.fromkeys(tuple(line.split(maxsplit=2)) for line in table.splitlines())
    return [
        (row[2], int(row[column]))
        for row in rows
        if len(row) == 3 and row[column].isdigit() and not row[2].startswith("/media/")
    ]
