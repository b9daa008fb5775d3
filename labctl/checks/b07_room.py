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
    real = "-l -x tmpfs -x devtmpfs -x iso9660"
    return (
        f"{{ df -P -k {real}; df -P -k /var/tmp; }} | grep -v Mounted | sort -u; echo; "
        f"{{ df -P -i {real}; df -P -i /var/tmp; }} | grep -v Mounted | sort -u; echo; "
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
        space, inodes, *rest = [*answer.text.split("\n\n"), "", ""]
        short = [f"{left} KiB left on {where}" for where, left in _left(space) if left < _BYTES]
        yield judged("; ".join(short), name="bytes", node=node.name, suspect="full disk", seconds=answer.seconds)
        few = [f"{left} inodes left on {where}" for where, left in _left(inodes) if left < _INODES]
        yield judged("; ".join(few), name="inodes", node=node.name, suspect="inodes used up")
        closed = " ".join(rest).split()
        trouble = f"{', '.join(closed)} cannot be written to" if closed else ""
        yield judged(trouble, name="write", node=node.name, suspect="file system")


def _left(table: str) -> Iterator[tuple[str, int]]:
    """Yield where a file system is mounted and what is left of it; read-only media have nothing left and may."""
    for line in table.splitlines():
        match line.split():
            case [_, _, _, left, _, where] if left.isdigit() and not where.startswith("/media/"):
                yield where, int(left)
