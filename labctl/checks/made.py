"""What checks make in a cloud: on record before it exists, and removed in reverse order, by this run or the next."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from labctl import waiting

MARK = "labctl-check"
"""Names of all that checks make begin with it."""

_TRIES = 3  # a busy cloud fails at a removal now and then
_FAILED = ("ERROR", "ERROR_DELETING", "DELETE_FAILED")


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Something that was made, or was about to be.

    Attributes:
        kind: key of `KINDS`.
        name: bears the run's ID.
        id: the cloud's; None where nobody learnt it.
        parent: what it belongs to, by ID: a router for an interface, a server for an attachment.
    """

    kind: str
    name: str
    id: str | None = None
    parent: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f" ({self.id})" if self.id else "")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How things of a kind are found and removed.

    Attributes:
        find: returns the IDs of those that bear a name.
        remove: removes one by its thing, whose ID is known; gone already is well.
        gone: whether it is gone; None where `remove` is at once.
    """

    find: Callable[[Any, Thing], list[str]]
    remove: Callable[[Any, Thing], object]
    gone: Callable[[Any, Thing], bool] | None = None


class _Stuck(Exception):  # noqa: N818 - what was found, no fault of ours
    """The service gave up removing something; it may be asked again."""


class Made:
    """The things of a run, on record.

    Args:
        run: its ID.
        read, write: the record's text in the lab's state.
        cloud: returns connections: demo, admin or inside.
        patience: seconds that the removal of one thing may take.
    """

    def __init__(
        self,
        run: str,
        *,
        read: Callable[[], str | None],
        write: Callable[[str], None],
        patience: float,
    ) -> None:
        self.run = run
        self._write, self._patience = write, patience
        self._things = [Thing(**each) for each in json.loads(read() or "[]")]
        self._lock = threading.Lock()

    @property
    def things(self) -> tuple[Thing, ...]:
        """What is not removed yet, in the order of its making."""
        return tuple(self._things)

    def name(self, what: str) -> str:
        """Return the name of something that this run makes."""
        return f"{MARK}-{self.run}-{what}"

    def make(self, kind: str, what: str, create: Callable[[str], Any], *, parent: str = "") -> Any:
        """Make something: its name is on record before, its ID after."""
        thing = Thing(kind=kind, name=self.name(what), parent=parent)
        self._note([*self._things, thing])
        try:
            made = create(thing.name)
        except Exception as exc:
            if 400 <= (getattr(exc, "status_code", None) or 0) < 500:  # refused: there is nothing to remove
                self._note([each for each in self._things if each is not thing])
            raise
        self._note([replace(each, id=made.id) if each is thing else each for each in self._things])
        return made

    @contextlib.contextmanager
    def scope(self, cloud: Any, leftovers: list[str] | None = None) -> Iterator[None]:
        """Remove at the end what is made within."""
        before = set(self._things)
        names = {(each.kind, each.name) for each in before}
        try:
            yield
        finally:
            found = self.remove(cloud, lambda each: (each.kind, each.name) not in names)
            if leftovers is not None:
                leftovers += found

    def remove(self, cloud: Any, which: Callable[[Thing], bool] = lambda _: True) -> list[str]:
        """Remove things in reverse order; return those that could not be, each with the reason."""
        left = []
        for thing in reversed(self._things):
            if which(thing):
                try:
                    self._remove(cloud, thing)
                except Exception as exc:  # noqa: BLE001 - whatever it is, the other things are removed all the same
                    left.append(f"{thing}: {' '.join(str(exc).split())[:160]}")
                else:
                    self._note([each for each in self._things if each is not thing])
        return left

    def _remove(self, cloud: Any, thing: Thing) -> None:
        kind = KINDS[thing.kind]
        for found in [thing.id] if thing.id else kind.find(cloud, thing):
            self._remove_one(cloud, kind, replace(thing, id=found))

    def _remove_one(self, cloud: Any, kind: Kind, thing: Thing) -> None:
        for tries in reversed(range(_TRIES)):
            self._until(lambda: _accepted(kind, cloud, thing), "it may not be removed")
            try:
                if (gone := kind.gone) is not None:
                    self._until(lambda: gone(cloud, thing), "it is still there")
            except _Stuck:
                if not tries:
                    raise
            else:
                return

    def _until(self, done: Callable[[], str | bool], what: str) -> None:
        """Wait for something; a text says why it is not so yet."""
        said: str | bool = ""

        def so() -> bool:
            nonlocal said
            said = done()
            return said is True

        if not waiting.until(so, seconds=self._patience, pause=1.0, slowest=5.0):
            raise TimeoutError(f"{what} after {self._patience:.0f} s{f': {said}' if said else ''}")

    def _note(self, things: list[Thing]) -> None:
        with self._lock:
            self._things = things
            self._write(json.dumps([asdict(each) for each in things], indent=1))


def _accepted(kind: Kind, cloud: Any, thing: Thing) -> str | bool:
    """Have a thing removed; say why it is refused now: what is still being made may not be removed yet."""
    from openstack.exceptions import BadRequestException, ConflictException

    try:
        kind.remove(cloud, thing)
    except (BadRequestException, ConflictException) as exc:
        return str(exc)
    return True


def _named(things: Callable[[Any, str], Any]) -> Callable[[Any, Thing], list[str]]:
    return lambda cloud, thing: [each.id for each in things(cloud, thing.name) if each is not None]


def _missing(get: Callable[[Any, str], Any]) -> Callable[[Any, Thing], bool]:
    def gone(cloud: Any, thing: Thing) -> bool:
        from openstack.exceptions import NotFoundException

        try:
            found = get(cloud, thing.id or "")
        except NotFoundException:
            return True
        status = str(getattr(found, "status", "")).upper()
        if status in _FAILED and not getattr(found, "task_state", None):
            raise _Stuck(f"its removal failed: it is {found.status}")
        return status in ("DELETED", "DELETE_COMPLETE")

    return gone


def _quietly(do: Callable[[Any, Thing], object]) -> Callable[[Any, Thing], None]:
    """Return what does it and takes it as well where it is gone or was never there."""

    def done(cloud: Any, thing: Thing) -> None:
        from openstack.exceptions import NotFoundException

        with contextlib.suppress(NotFoundException):
            do(cloud, thing)

    return done


def _detach(cloud: Any, thing: Thing) -> None:
    """Remove a router's interface to a subnet: `parent` is the router."""
    cloud.demo.network.remove_interface_from_router(thing.parent, thing.id)


def _grants(cloud: Any, thing: Thing) -> list[str]:
    user, project, role = thing.parent.split("/")
    found = cloud.admin.identity.role_assignments(user_id=user, scope_project_id=project, role_id=role)
    return ["grant" for _ in found]


def _revoke(cloud: Any, thing: Thing) -> None:
    user, project, role = thing.parent.split("/")
    answer = cloud.admin.identity.delete(f"/projects/{project}/users/{user}/roles/{role}")
    if answer.status_code not in (204, 404):
        raise RuntimeError(f"HTTP {answer.status_code}")


def _start(cloud: Any, thing: Thing) -> None:
    """Start a server that is off; one that is still on its way there is refused, and tried again."""
    if not _runs(cloud.demo.compute.get_server(thing.id)):
        cloud.demo.compute.start_server(thing.id)


def _runs(server: Any) -> bool:
    return server.status == "ACTIVE" and not server.task_state


def _ungroup(cloud: Any, thing: Thing) -> None:
    """Give a port its groups back: `parent` is the port, and what it had."""
    port, _, groups = thing.parent.partition("/")
    cloud.demo.network.update_port(port, security_groups=groups.split(","))


def _dissolve(cloud: Any, thing: Thing) -> None:
    """Delete a project, and first the security group that Neutron made for it, which outlives it otherwise."""
    for group in cloud.admin.network.security_groups(project_id=thing.id):
        cloud.admin.network.delete_security_group(group.id)
    cloud.admin.identity.delete_project(thing.id)


def _emptied(cloud: Any, thing: Thing) -> None:
    """Remove a container with its objects."""
    from openstack.exceptions import raise_from_response

    store = cloud.demo.object_store
    for each in list(store.objects(thing.id)):
        raise_from_response(store.delete(f"/{thing.id}/{each.name}"))
    store.delete_container(thing.id)


def _of_api(service: str, path: str, key: str, query: str) -> Kind:
    """Return a kind of thing of an API that openstacksdk does not know.

    Args:
        path: of all such things.
        key: under which a thing has its ID.
        query: that finds one by its name, which follows.
    """

    def find(cloud: Any, thing: Thing) -> list[str]:
        return [each[key] for each in cloud.api(service).get(f"{path}?{query}{thing.name}").json()]

    def remove(cloud: Any, thing: Thing) -> None:
        answer = cloud.api(service).delete(f"{path}/{thing.id}", raise_exc=False)
        if answer.status_code not in (204, 404):
            raise RuntimeError(f"HTTP {answer.status_code}")

    return Kind(find=find, remove=remove)


def ec2_access(name: str) -> str:
    """Return the access key of EC2 credentials, which have no name: they are found by it."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def _credentials(cloud: Any, thing: Thing) -> list[str]:  # noqa: ARG001
    """Return the ID that Keystone gives to EC2 credentials."""
    return [hashlib.sha256(ec2_access(thing.name).encode()).hexdigest()]


def _zones(cloud: Any, thing: Thing) -> list[str]:
    """Find a zone by its first label."""
    return [zone.id for zone in cloud.demo.dns.zones() if zone.name.partition(".")[0] == thing.name]


KINDS: dict[str, Kind] = {
    "image": Kind(
        find=_named(lambda cloud, name: cloud.demo.image.images(name=name)),
        remove=_quietly(lambda cloud, thing: cloud.demo.image.delete_image(thing.id)),
        gone=_missing(lambda cloud, each: cloud.demo.image.get_image(each)),
    ),
    "volume": Kind(
        find=_named(lambda cloud, name: cloud.demo.block_storage.volumes(details=False, name=name)),
        remove=_quietly(lambda cloud, thing: cloud.demo.block_storage.delete_volume(thing.id)),
        gone=_missing(lambda cloud, each: cloud.demo.block_storage.get_volume(each)),
    ),
    "snapshot": Kind(
        find=_named(lambda cloud, name: cloud.demo.block_storage.snapshots(details=False, name=name)),
        remove=_quietly(lambda cloud, thing: cloud.demo.block_storage.delete_snapshot(thing.id)),
        gone=_missing(lambda cloud, each: cloud.demo.block_storage.get_snapshot(each)),
    ),
    "server": Kind(
        find=_named(lambda cloud, name: cloud.demo.compute.servers(details=False, name=name)),
        remove=_quietly(lambda cloud, thing: cloud.demo.compute.delete_server(thing.id)),
        gone=_missing(lambda cloud, each: cloud.demo.compute.get_server(each)),
    ),
    "stop": Kind(  # of a server that was there before: it is started again
        find=lambda cloud, thing: [thing.parent],  # noqa: ARG005
        remove=_quietly(_start),
        gone=lambda cloud, thing: _runs(cloud.demo.compute.get_server(thing.id)),
    ),
    "attachment": Kind(
        find=lambda cloud, thing: [],  # noqa: ARG005 - a server that is removed gives its volumes back
        remove=_quietly(
            lambda cloud, thing: cloud.demo.compute.delete_volume_attachment(
                thing.parent, thing.id, ignore_missing=True
            )
        ),
        gone=lambda cloud, thing: cloud.demo.block_storage.get_volume(thing.id).status == "available",
    ),
    "keypair": Kind(
        find=lambda cloud, thing: [thing.name],  # noqa: ARG005 - its name is its ID
        remove=_quietly(lambda cloud, thing: cloud.inside.compute.delete_keypair(thing.name)),
    ),
    "network": Kind(
        find=_named(lambda cloud, name: cloud.demo.network.networks(name=name)),
        remove=_quietly(lambda cloud, thing: cloud.demo.network.delete_network(thing.id)),
    ),
    "subnet": Kind(
        find=_named(lambda cloud, name: cloud.demo.network.subnets(name=name)),
        remove=_quietly(lambda cloud, thing: cloud.demo.network.delete_subnet(thing.id)),
    ),
    "router": Kind(
        find=_named(lambda cloud, name: cloud.demo.network.routers(name=name)),
        remove=_quietly(lambda cloud, thing: cloud.demo.network.delete_router(thing.id)),
    ),
    "interface": Kind(
        find=lambda cloud, thing: [  # by the subnet's ID, which its name does not tell
            fixed["subnet_id"] for port in cloud.demo.network.ports(device_id=thing.parent) for fixed in port.fixed_ips
        ],
        remove=_quietly(_detach),
    ),
    "port": Kind(
        find=_named(lambda cloud, name: cloud.demo.network.ports(name=name)),
        remove=_quietly(lambda cloud, thing: cloud.demo.network.delete_port(thing.id)),
    ),
    "group": Kind(
        find=_named(lambda cloud, name: cloud.demo.network.security_groups(name=name)),
        remove=_quietly(lambda cloud, thing: cloud.demo.network.delete_security_group(thing.id)),
    ),
    "grouping": Kind(find=lambda cloud, thing: [thing.name], remove=_quietly(_ungroup)),  # noqa: ARG005
    "address": Kind(
        find=_named(lambda cloud, name: cloud.demo.network.ips(description=name)),
        remove=_quietly(lambda cloud, thing: cloud.demo.network.delete_ip(thing.id)),
    ),
    "stack": Kind(
        find=_named(lambda cloud, name: cloud.demo.orchestration.stacks(name=name)),
        remove=_quietly(lambda cloud, thing: cloud.demo.orchestration.delete_stack(thing.id)),
        gone=_missing(lambda cloud, each: cloud.demo.orchestration.get_stack(each)),
    ),
    "project": Kind(
        find=_named(lambda cloud, name: cloud.admin.identity.projects(name=name)),
        remove=_quietly(_dissolve),
    ),
    "user": Kind(
        find=_named(lambda cloud, name: cloud.admin.identity.users(name=name)),
        remove=_quietly(lambda cloud, thing: cloud.admin.identity.delete_user(thing.id)),
    ),
    "container": Kind(find=lambda cloud, thing: [thing.name], remove=_quietly(_emptied)),  # noqa: ARG005 - name is ID
    "credentials": Kind(
        find=_credentials,
        remove=_quietly(lambda cloud, thing: cloud.demo.identity.delete_credential(thing.id)),
    ),
    "grant": Kind(find=_grants, remove=_revoke),
    "metric": _of_api("gnocchi", "/v1/metric", "id", "name="),
    "alarm": _of_api("aodh", "/v2/alarms", "alarm_id", "q.field=name&q.op=eq&q.value="),
    "zone": Kind(
        find=_zones,
        remove=_quietly(lambda cloud, thing: cloud.demo.dns.delete_zone(thing.id)),
        gone=_missing(lambda cloud, each: cloud.demo.dns.get_zone(each)),
    ),
}
