"""Checks labs: what works, what does not, and who is to blame."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from netaddr import IPAddress

from labctl import waiting
from labctl.checks import run as runner
from labctl.checks.check import Check, Subject, chosen
from labctl.checks.cloud import Cloud
from labctl.checks.limits import Limits
from labctl.checks.made import Made
from labctl.checks.model import Report, Result
from labctl.cloud.admin import Administrator
from labctl.errors import RemoteError
from labctl.guest import Guest
from labctl.installing import passwords
from labctl.lab import events, healthy, inside, install, seen, status
from labctl.plan.lab import INSTALLED
from labctl.plan.model import LabPlan
from labctl.remote.inside import LabDialer
from labctl.remote.ssh import SshTransport
from labctl.roles.login import USERS
from labctl.roles.role import units
from labctl.site.site import Site
from labctl.site.work import Work
from labctl.state import Home, records

if TYPE_CHECKING:
    from labctl.cloud.connect import Login

MADE = "checks.json"
"""What checks made in the lab's cloud and have not removed."""


def check(
    work: Work,
    team: str,
    *,
    ids: Sequence[str] = (),
    quick: bool = False,
    told: Callable[[Result], None] = lambda _: None,
) -> Report:
    """Run the checks of a team's lab: all of its stage, the quick ones, or those that are named.

    If the lab is in a round, the results are recorded as an event of the round.

    Args:
        told: receives each result as it comes.

    Raises:
        InputError: the team has no lab, or there is no such check.
    """
    plan = records.lab_of(work.home, team).plan
    checks = chosen(plan.stage, tuple(ids), quick=quick)
    with _alone(work, team, checks), subject(work, plan) as lab:
        report = runner.run(lab, checks, mode="quick" if quick else "full", told=told)
    _keep(work, report)
    return report


def in_round(work: Work, team: str, names: Iterable[str], *, baseline: bool = False) -> Report:
    """Run what a round looks at: the checks that change nothing, and those that its faults name.

    So a look at a cloud takes a fraction of all checks, and boots no server that no fault is about. The results are
    recorded as an event of the round.

    Args:
        names: checks that faults turn red, or that stay green beside them; C03 is all its parts.
        baseline: whether nothing is broken yet.

    Raises:
        InputError: the team has no lab, or there is no such check.
    """
    plan = records.lab_of(work.home, team).plan
    ids = [each.id for each in chosen(plan.stage, quick=True)]
    checks = chosen(plan.stage, (*ids, *names))
    with _alone(work, team, checks), subject(work, plan) as lab:
        report = run(lab, checks)
    _keep(work, report, baseline=baseline)
    return report


def run(lab: Subject, checks: Sequence[Check]) -> Report:
    """Run checks of a lab whose connections stand."""
    return runner.run(lab, checks, mode="full", told=lambda _: None)


def _alone(work: Work, team: str, checks: Sequence[Check]) -> contextlib.AbstractContextManager[None]:
    """Hold the lock for checks that make objects, because two runs would remove each other's objects."""
    return contextlib.nullcontext() if all(each.quick for each in checks) else work.home.lock("check", team)


def _keep(work: Work, report: Report, *, baseline: bool = False) -> None:
    """Record the results of checks, unless they were interrupted."""
    if not work.cancelled.is_set():
        seen.keep(work.home, report)
        events.checked(work.home, report.lab, report, time.time(), baseline=baseline)
        if report.green and not events.played(work.home, report.lab):
            healthy.learn(work.home.lab(report.lab), report)


@contextlib.contextmanager
def subject(work: Work, plan: LabPlan) -> Iterator[Subject]:
    """Yield a lab as checks see it; connections to its nodes are kept meanwhile."""
    home, site, cancelled = work.home, work.site, work.cancelled
    run_id = uuid.uuid4().hex[:8]
    states = {node.name: status.state_of(site, plan, node) for node in plan.nodes}
    cloud: Cloud | None = None

    def interrupted() -> None:
        dialer.hang_up()
        if cloud and cloud.made.things:
            made = ", ".join(map(str, cloud.made.things))
            work.progress.say(f"{plan.team}: interrupted; what checks made in the cloud is removed first: {made}")

    with (
        install.connections(site, home.lab(plan.team), plan, cancelled, patience=site.pace.login) as machines,
        inside.opened(home, site, plan) as dialer,
        waiting.when(cancelled, interrupted),
        contextlib.ExitStack() as stack,
    ):
        cloud = _cloud(home, site, plan, dialer, run_id, stack) if plan.stage == INSTALLED else None

        def guest(name: str) -> Guest:
            if states[name] != "running":
                raise RemoteError(f"{name} is {states[name]}", remedy=f"labctl start {plan.team}")
            return machines(name)

        yield Subject(
            lab=plan,
            virt=site.virt,
            guest=guest,
            strangers=_strangers(home, site, plan),
            cancelled=cancelled,
            dialer=dialer,
            limits=Limits(virt=site.virt, times=healthy.times(home.lab(plan.team))),
            login=partial(login, home, plan.team),
            units=units(cloud.planned) if cloud else {},
            run=run_id,
            cloud=cloud,
        )


def _cloud(
    home: Home, site: Site, plan: LabPlan, dialer: LabDialer, run_id: str, stack: contextlib.ExitStack
) -> Cloud | None:
    """Return the lab's cloud as checks see it; None where it has none."""
    folder = home.lab(plan.team)
    known = passwords.load(folder)
    if plan.openstack is None or "key" not in known:
        return None

    def instance(address: str, host_key: str) -> Guest:
        seconds = site.pace.instance
        stream = dialer.open(address, 22, timeout=seconds / 4)
        return stack.enter_context(
            SshTransport.connect(stream, name=address, key=known["key"], host_key=host_key, user="lab", timeout=seconds)
        )

    return Cloud(
        planned=install.cloud_on_record(home, plan.team),
        seconds=site.pace.request,
        dialer=dialer,
        login=partial(login, home, plan.team),
        instance=instance,
        public_key=known["key-public"],
        made=Made(
            run_id,
            read=partial(folder.read, MADE),
            write=partial(folder.write, MADE),
            patience=site.pace.removal,
        ),
        canary=partial(healthy.canary, folder),
        remember=partial(healthy.remember, folder),
    )


def administrator(work: Work, plan: LabPlan, lab: Subject) -> Administrator | None:
    """Return the administrator of a lab's cloud; None where it has none."""
    known = passwords.load(work.home.lab(plan.team))
    if lab.cloud is None or lab.dialer is None:
        return None
    return Administrator(
        dialer=lab.dialer, login=partial(login, work.home, plan.team), passwords=known, seconds=work.site.pace.request
    )


def login(home: Home, team: str, user: str) -> Login:
    """Return how a user logs in to the cloud of a team's lab.

    Raises:
        InputError: the lab has no cloud.
    """
    from labctl.cloud.connect import Login

    cloud = install.cloud_on_record(home, team)
    return Login(
        auth_url=f"http://{cloud.public('keystone')}:5000/v3",
        username=user,
        password=cloud.secrets[user],
        project=USERS[user],
        region=cloud.spec.region,
    )


def _strangers(home: Home, site: Site, plan: LabPlan) -> tuple[IPAddress, ...]:
    """Return an address of each other lab on the host, three at most: one leak is as bad as many."""
    others = [record for record in home.records() if record.team != plan.team and record.host == site.name]
    found = [node.mgmt for record in others[:3] for node in records.plan_of(record).nodes[:1]]
    return tuple(address for address in found if address is not None)
