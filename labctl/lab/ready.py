"""Sees whether a node is ready: its SSH answers, and it has become the node that it is to be."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from labctl.errors import DeadlineError, LabctlError, RemoteError
from labctl.lab import secrets, trouble
from labctl.plan.model import LabPlan, NodePlan
from labctl.remote import cloudinit
from labctl.remote import wait as remote_wait
from labctl.remote.ssh import SshTransport
from labctl.site.progress import Phase
from labctl.site.site import Site
from labctl.site.together import Cancelled
from labctl.site.work import Work
from labctl.state.ledger import Ledger


def wait(work: Work, ledger: Ledger, lab: LabPlan, node: NodePlan) -> None:
    """Wait until a node that boots is ready, and record it.

    Its SSH answers with the host key that we gave it, and its cloud-init succeeded.

    Raises:
        DeadlineError: it took too long; the details name the last state seen.
        RemoteError: the node shows another host key, or its cloud-init failed.
    """
    progress = work.progress
    deadline = time.monotonic() + work.site.pace.boot
    with _waiting(work, lab, node), _login(work, lab, node, deadline) as transport:
        progress.node(lab.team, node.name, Phase.SEEDING)
        result = cloudinit.wait_seeded(transport, deadline=deadline, cancelled=work.cancelled)
    if not result.ok:
        progress.node(lab.team, node.name, Phase.FAILED, "cloud-init failed")
        raise RemoteError(
            f"{node.domain}: cloud-init failed",
            details="\n".join([*result.errors, result.log]),
            remedy=trouble.silent(lab, node).remedy,
        )
    ledger.ready(node)
    progress.node(lab.team, node.name, Phase.READY)


def reached(work: Work, ledger: Ledger, lab: LabPlan, node: NodePlan) -> None:
    """Wait until a restored node is ready, and record it: it has its lease, and its SSH server greets.

    The caller has given it its identity. That ended only when the SSH server had read the node's keys, so there is no
    login: it would cost an emulated node a second of its processor, and all nodes of a fork log in at once.

    Raises:
        DeadlineError: it took too long; the details name the last state seen.
        RemoteError: the wait was given up.
    """
    work.progress.node(lab.team, node.name, Phase.LEASE)
    deadline = time.monotonic() + work.site.pace.boot
    with _waiting(work, lab, node):
        address = str(node.mgmt)
        remote_wait.wait_for_ssh(work.site.dialer, address, deadline=deadline, cancelled=work.cancelled).close()
    ledger.ready(node)
    work.progress.node(lab.team, node.name, Phase.READY)


def answers(site: Site, node: NodePlan, *, timeout: float) -> bool:
    """Whether the node's SSH server greets us within `timeout` seconds; no login is made."""
    try:
        return remote_wait.banner(site.dialer, str(node.mgmt), timeout=timeout) is not None
    except LabctlError:
        return False


@contextlib.contextmanager
def _waiting(work: Work, lab: LabPlan, node: NodePlan) -> Iterator[None]:
    """Name the node in the error of a wait, and say what to do next."""
    try:
        yield
    except (DeadlineError, RemoteError) as exc:
        if work.cancelled.is_set():
            raise Cancelled(f"{node.domain} was not waited for") from exc
        work.progress.node(lab.team, node.name, Phase.FAILED, exc.brief)
        remedy = exc.remedy or trouble.silent(lab, node).remedy
        raise type(exc)(f"{node.domain}: {exc.brief}", details=exc.details, remedy=remedy) from exc


def _login(work: Work, lab: LabPlan, node: NodePlan, deadline: float) -> SshTransport:
    folder = work.home.lab(lab.team)
    return work.site.log_in(
        work.site.dialer,
        str(node.mgmt),
        name=node.domain,
        key=secrets.login_key(folder),
        host_key=secrets.host_key(folder, node.name),
        deadline=deadline,
        cancelled=work.cancelled,
        greeted=lambda: work.progress.node(lab.team, node.name, Phase.LOGIN),
    )
