"""Sees whether a node is ready: its SSH answers with the host key we gave it, and its cloud-init succeeded."""

from __future__ import annotations

import time

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


def wait(work: Work, ledger: Ledger, lab: LabPlan, node: NodePlan, *, seeded: bool = False) -> None:
    """Wait until a node is ready, and record it.

    Args:
        seeded: whether cloud-init has nothing to do in it, because its memory was restored.

    Raises:
        DeadlineError: it took too long; the details name the last state seen.
        RemoteError: the node shows another host key, or its cloud-init failed.
    """
    progress, cancelled = work.progress, work.cancelled
    deadline = time.monotonic() + work.site.pace.boot
    remedy = trouble.silent(lab, node).remedy
    try:
        with _login(work, lab, node, deadline) as transport:
            progress.node(lab.team, node.name, Phase.SEEDED)
            result = None if seeded else cloudinit.wait_seeded(transport, deadline=deadline, cancelled=cancelled)
    except (DeadlineError, RemoteError) as exc:
        if cancelled.is_set():
            raise Cancelled(f"{node.domain} was not waited for") from exc
        progress.node(lab.team, node.name, Phase.FAILED, exc.brief)
        raise type(exc)(f"{node.domain}: {exc.brief}", details=exc.details, remedy=exc.remedy or remedy) from exc
    if result is not None and not result.ok:
        progress.node(lab.team, node.name, Phase.FAILED, "cloud-init failed")
        raise RemoteError(
            f"{node.domain}: cloud-init failed", details="\n".join([*result.errors, result.log]), remedy=remedy
        )
    ledger.ready(node)
    progress.node(lab.team, node.name, Phase.READY)


def answers(site: Site, node: NodePlan, *, timeout: float) -> bool:
    """Whether the node's SSH server greets us within `timeout` seconds; no login is made."""
    try:
        return remote_wait.banner(site.dialer, str(node.mgmt), timeout=timeout) is not None
    except LabctlError:
        return False


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
    )
