"""B11: users other than root."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.checks.check import Subject, check
from labctl.checks.model import Step, judged
from labctl.plan.model import NodePlan


def question(subject: Subject, node: NodePlan) -> str:  # noqa: ARG001
    """Do as a user what services do all the time; print each thing that does not go, and why."""
    return r"""
su -s /bin/sh nobody -c '
for folder in /tmp /var/tmp; do
    made=$(mktemp -p $folder) && (echo x >"$made") 2>/dev/null || echo "write: $folder cannot be written to"
    rm -f "$made"
done
for file in /etc/passwd /etc/hosts /etc/nsswitch.conf /etc/resolv.conf; do
    head -c 1 $file >/dev/null 2>&1 || echo "read: $file cannot be read"
done
echo x >/dev/null || echo "devices: /dev/null"
' 2>&1 || echo "log in: su to nobody failed"
[ "$(stat -c %a /tmp /var/tmp | sort -u)" = 1777 ] || echo "write: /tmp or /var/tmp has not mode 1777"
[ "$(stat -c '%a %U' /root)" = "700 root" ] || echo "homes: /root is $(stat -c '%a %U' /root), not 700 root"
"""


@check(
    "B11",
    "Users other than root can work",
    exercises="PAM, limits, modes of folders that everybody uses",
    needs=("B01",),
    asks=question,
    limit=(15, 90),
)
def users(subject: Subject) -> Iterator[Step]:
    """Become an ordinary user through PAM on every node, write temporary files, and read what every program reads.
    Homes must be closed to others."""
    for node, answer in subject.said("B11"):
        trouble = "; ".join(answer.text.splitlines()[:3])
        yield judged(trouble, name="work as a user", node=node.name, suspect="users' rights", seconds=answer.seconds)
