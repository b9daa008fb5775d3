"""Brings up a lab's cloud over SSH: everything on bare nodes, only the services on baked disks."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from labctl import waiting
from labctl.cloud.cloud import Cloud
from labctl.installing import passwords
from labctl.installing.installer import Installer, Outcome
from labctl.installing.journal import Journal
from labctl.installing.preview import Pending, pending
from labctl.installing.tasks import Task, before, everywhere, packages_first, plan_tasks
from labctl.lab import images, nodes, secrets, trouble
from labctl.plan.lab import INSTALLED
from labctl.plan.model import LabPlan
from labctl.remote.ssh import SshTransport
from labctl.roles import fit
from labctl.sets import store
from labctl.sets.manifest import GoldenManifest
from labctl.site.progress import Phase
from labctl.site.site import Site
from labctl.site.work import Work
from labctl.spec import topology
from labctl.state import Home, LabFolder, LabRecord, records
from labctl.state.records import Lab

JOURNAL = "install.jsonl"
_LOGIN_SECONDS = 120.0
_NESTED = (
    "grep -qwE 'vmx|svm' /proc/cpuinfo && { modprobe kvm_intel || modprobe kvm_amd; } 2>/dev/null && test -c /dev/kvm"
)


def install(work: Work, team: str, *, until: str | None, only: str | None) -> Outcome:
    """Bring up the cloud of a team's lab, or continue an interrupted run. A second run changes nothing.

    Args:
        until: the last role; None for all.
        only: this role alone.

    Raises:
        InputError: the team has no lab, the lab no cloud, or the cloud no such role; its roles do not fit; the medium
            lacks their packages; or nodes are not running.
        LabctlError: a step failed.
    """
    with records.locked(work.home, [team]):
        lab = records.lab_of(work.home, team)
        fit.demand(topology.restore(lab.record.topology))
        return proceed(work, lab, until=until, only=only)


def _demand_packages(site: Site, lab: Lab) -> None:
    """Refuse to install on bare nodes from a medium that lacks packages of their roles.

    Raises:
        InputError: it does.
    """
    cloud = lab.plan.openstack
    if cloud is None or cloud.medium is None or lab.plan.stage == INSTALLED:
        return
    volume = lab.record.images.get(cloud.medium)
    found = next((image for image in site.images.every(site.volumes) if image.volume == volume), None)
    if found is not None:
        images.demand_layers(found, [role for node in lab.plan.nodes for role in node.roles])


def proceed(
    work: Work, lab: Lab, *, until: str | None = None, only: str | None = None, on: Collection[str] | None = None
) -> Outcome:
    """Do what `install` does, for a caller who holds the lab's lock.

    Args:
        on: the nodes that are to be seen to; None for all.
    """
    home, site, progress = work.home, work.site, work.progress
    plan, folder = lab.plan, home.lab(lab.plan.team)
    _demand_packages(site, lab)
    known, hosts = ensure_secrets(home, site, lab), secrets.known_hosts(folder, plan)
    emulated = site.virt == "qemu"
    with connections(site, folder, plan, work.cancelled) as machine:
        nowhere = {node.name: "qemu" for node in plan.nodes}
        draft = Cloud.of(plan, known, slow=emulated, nested=nowhere, known_hosts=hosts)
        chosen = {step.node for task in plan_tasks(draft, until=until, only=only, on=on) for step in task.steps}
        check_running(site, plan, lab.record, chosen)
        nested = {name: nested_virt(plan, name, machine) for name in draft.nodes("compute") if name in chosen}
        cloud = replace(draft, nested={**draft.nested, **nested})
        tasks = packages_first(plan_tasks(cloud, until=until, only=only, on=on))
        again = " ".join(filter(None, (f"--until {until}" if until else "", f"--only {only}" if only else "")))
        outcome = Installer(
            cloud=cloud,
            guest=machine,
            journal=Journal(folder.path / JOURNAL, lab.record.generations),
            logs=folder.path / "logs",
            slow=site.pace.install,
            live=True,
            jobs=max(work.jobs, len(plan.nodes)),  # most of them wait for their nodes
            report=lambda role, node, title: progress.node(plan.team, node, Phase.INSTALLING, f"{role}: {title}"),
            cancelled=work.cancelled,
            remedy=f"labctl install {plan.team} {again}".rstrip() + " continues where this stopped.",
        ).run(tasks)
    record = folder.load()
    assert record is not None
    whole = until is None and only is None
    folder.save(
        replace(
            record,
            installed=record.installed or whole,
            nested={**record.nested, **nested},
            stage=INSTALLED if whole else record.stage,
            chapter="" if whole else record.chapter,
            reached="" if whole else _reached(record, until),
        )
    )
    for name in sorted(chosen):
        progress.node(plan.team, name, Phase.INSTALLED)
    return outcome


def _reached(record: LabRecord, until: str | None) -> str:
    """Return the last role up to which a lab is installed, after a run up to one, or of one role alone."""
    if record.stage == INSTALLED or until is None:
        return record.reached
    roles = {role for node in records.plan_of(record).nodes for role in node.roles} | everywhere()
    last = record.reached or record.chapter
    return record.reached if last and until in before(last, roles) else until


def tasks_of(home: Home, team: str, *, until: str | None, only: str | None) -> list[Task]:
    """Return what `install` would do; no host is asked and nothing changes.

    Raises:
        InputError: the team has no lab, the lab no cloud, or the cloud no such role; or its roles do not fit.
    """
    fit.demand(topology.restore(records.record_of(home, team).topology))
    return packages_first(plan_tasks(cloud_on_record(home, team), until=until, only=only))


def differences(work: Work, team: str, *, until: str | None, only: str | None) -> Iterator[Pending]:
    """Yield what `install` would change on the nodes as they are.

    Raises:
        InputError: see `install`.
        RemoteError, DeadlineError: a node cannot be looked at.
    """
    home, site = work.home, work.site
    lab, tasks = records.lab_of(home, team), tasks_of(home, team, until=until, only=only)
    check_running(site, lab.plan, lab.record, {step.node for task in tasks for step in task.steps})
    folder, cloud = home.lab(team), cloud_on_record(home, team)
    journal = Journal(folder.path / JOURNAL, lab.record.generations)
    with connections(site, folder, lab.plan, work.cancelled) as machine:
        yield from pending(tasks, machine, journal, secrets=cloud.secrets, slow=site.pace.install)


def cloud_on_record(home: Home, team: str) -> Cloud:
    """Return the cloud of a team's lab without asking any host; secrets that it has not yet are new ones.

    Raises:
        InputError: the team has no lab, or the lab no cloud.
    """
    record = records.record_of(home, team)
    plan = records.plan_of(record)
    folder = home.lab(team)
    known, hosts = passwords.complete(passwords.load(folder), plan), secrets.known_hosts(folder, plan)
    nested = {**{node.name: "qemu" for node in plan.nodes}, **record.nested}
    return Cloud.of(plan, known, slow=record.virt == "qemu", nested=nested, known_hosts=hosts)


def ensure_secrets(home: Home, site: Site, lab: Lab) -> dict[str, str]:
    """Return the secrets of a lab's cloud: on record, or its golden set's, or new; they are on record then.

    What a golden set has done already goes into the lab's journal first.
    """
    folder = home.lab(lab.plan.team)
    known = written = passwords.load(folder)
    if not known and lab.record.golden:
        golden = next(found for found in store.golden(site).every(site.volumes) if found.id == lab.record.golden)
        known = dict(golden.secrets)
        _write_journal(folder, golden)
    complete = passwords.complete(known, lab.plan)
    if written != complete:
        passwords.save(folder, complete)
    return complete


def take_over(folder: LabFolder, golden: GoldenManifest) -> None:
    """Put the secrets of a golden set's cloud on record instead of the lab's own, and what was done in it."""
    _write_journal(folder, golden)
    passwords.save(folder, golden.secrets)


def _write_journal(folder: LabFolder, golden: GoldenManifest) -> None:
    folder.write(JOURNAL, "".join(json.dumps([key, {}]) + "\n" for key in golden.done))


def journal_of(saved: GoldenManifest, generations: Mapping[str, int]) -> str:
    """Return the journal of a lab that was taken back to a snapshot: what was done by then."""
    entries = ([key, {node: generations.get(node, 0) for node in saved.concerns.get(key, ())}] for key in saved.done)
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def nested_virt(plan: LabPlan, name: str, machine: Machines) -> str:
    """Return how instances run in a compute node: kvm where it is wanted and the node's processor has it, else qemu."""
    wanted = plan.openstack.nested if plan.openstack else "qemu"
    if wanted != "auto":
        return wanted
    return "kvm" if machine(name).run(_NESTED, timeout=120, check=False).ok else "qemu"


def check_running(site: Site, plan: LabPlan, record: LabRecord, names: set[str]) -> None:
    """Refuse to install on nodes that do not run, or that a reset is about to take away.

    Raises:
        InputError: not all of them run.
        RefusedError: a reset of one of them is not finished.
    """
    nodes.refuse_unfinished(site, plan, record, names)
    trouble.refuse_down(site, plan, [node for node in plan.nodes if node.name in names])


class Machines:
    """The nodes' connections, each made when it is first needed and kept."""

    def __init__(
        self, site: Site, folder: LabFolder, plan: LabPlan, cancelled: threading.Event, patience: float
    ) -> None:
        self._made: dict[str, SshTransport] = {}
        self._locks = {node.name: threading.Lock() for node in plan.nodes}
        self._site, self._folder, self._plan, self._cancelled = site, folder, plan, cancelled
        self._patience = patience

    def __call__(self, name: str) -> SshTransport:
        """Return the connection to a node."""
        with self._locks[name]:
            if name not in self._made or not self._made[name].alive:
                node = self._plan.node(name)
                self._made[name] = self._site.log_in(
                    self._site.dialer,
                    str(node.mgmt),
                    name=name,
                    key=secrets.login_key(self._folder),
                    host_key=secrets.host_key(self._folder, name),
                    deadline=time.monotonic() + self._patience,
                    cancelled=self._cancelled,
                )
            return self._made[name]

    def close(self) -> None:
        """End all connections."""
        for transport in self._made.values():
            transport.close()


@contextlib.contextmanager
def connections(
    site: Site, folder: LabFolder, plan: LabPlan, cancelled: threading.Event, *, patience: float = _LOGIN_SECONDS
) -> Iterator[Machines]:
    """Yield the connections to a lab's nodes.

    Args:
        patience: seconds that a login may take.
    """
    machines = Machines(site, folder, plan, cancelled, patience)
    # A command that nobody waits for any more would keep its thread until its time limit.
    with waiting.when(cancelled, machines.close), contextlib.closing(machines):
        yield machines
