"""Things that a cloud's APIs know, endpoints, users, quotas, routers: asked and changed from outside the nodes."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from labctl.changes.action import Context
from labctl.changes.change import Change, Kind, State
from labctl.errors import InputError


class Things:
    """Things by a word for their kind and words for which one: `endpoint image public`, `router router1`."""

    name = "thing"

    def look(self, context: Context, target: str) -> State:
        """Return those of a thing's qualities that can be changed.

        Raises:
            InputError: there is no such thing.
        """
        kind, *words = target.split()
        return context.demand_cloud().translated(lambda: _KINDS[kind].look(context, *words))

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Set the qualities that differ."""
        kind, *words = target.split()
        values = {key: wanted[key] for key in wanted if now.get(key) != wanted[key]}
        context.demand_cloud().translated(lambda: _KINDS[kind].become(context, values, *words))

    def same(self, one: State, other: State) -> bool:
        """Whether all qualities are alike."""
        return one == other

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return the qualities that differ."""
        return "\n".join(
            f"{target}: {key}: {now.get(key)} -> {wanted[key]}" for key in wanted if now.get(key) != wanted[key]
        )


THINGS: Kind = Things()


@dataclass(frozen=True, kw_only=True)
class Thing(Change):
    """Changes qualities of a thing in the cloud.

    Attributes:
        name: its kind and which one, as `Things` names it.
        values: quality to value.
        respelled: quality to a regular expression and what takes the place of its first match.
    """

    kind: ClassVar[Kind] = THINGS
    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    respelled: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """The thing."""
        return self.name

    def judge(self, now: State) -> State:
        """Return the thing with its new qualities.

        Raises:
            InputError: it has no such quality, or one whose value is not as expected.
        """
        if missing := sorted({*self.values, *self.respelled} - set(now)):
            raise InputError(f"{self.name} has no {', '.join(missing)}")
        changed = {key: re.sub(find, put, now[key], count=1) for key, (find, put) in self.respelled.items()}
        wanted = {**now, **self.values, **changed}
        if wanted == now:
            raise InputError(f"{self.name} is so already")
        return wanted

    def describe(self) -> str:
        """Say which, and the qualities."""
        return f"set of {self.name}: " + ", ".join(
            f"{key} = {value}" for key, value in {**self.values, **self.respelled}.items()
        )


@dataclass(frozen=True)
class _Kind:
    look: Callable[..., State]
    become: Callable[..., None]


def _demand(found: Any, what: str) -> Any:
    if found is None:
        raise InputError(f"the cloud has no {what}")
    return found


def _plain(found: Any, fields: tuple[str, ...]) -> State:
    return {name: getattr(found, name) for name in fields}


def _simple(
    find: Callable[..., Any], update: Callable[[Any, Any, State], object], fields: tuple[str, ...], what: str
) -> _Kind:
    """Return a kind of thing that is found by its words, and whose qualities are set by one request."""

    def found(cloud: Any, words: tuple[str, ...]) -> Any:
        return _demand(find(cloud, *words), f"{what} {' '.join(words)}")

    def look(context: Context, *words: str) -> State:
        return _plain(found(context.demand_cloud().admin, words), fields)

    def become(context: Context, values: State, *words: str) -> None:
        cloud = context.demand_cloud().admin
        update(cloud, found(cloud, words), values)

    return _Kind(look, become)


def _endpoint(cloud: Any, service_type: str, interface: str) -> Any:
    service = next(iter(cloud.identity.services(type=service_type)), None)
    return service and next(iter(cloud.identity.endpoints(service_id=service.id, interface=interface)), None)


def _assignments(context: Context, user: str, project: str) -> State:
    cloud = context.demand_cloud().admin
    names = {role.id: role.name for role in cloud.identity.roles()}
    found = cloud.identity.role_assignments(user_id=_user(cloud, user).id, scope_project_id=_project(cloud, project).id)
    return {"roles": sorted(names[each.role["id"]] for each in found)}


def _assign(context: Context, values: State, user: str, project: str) -> None:
    cloud = context.demand_cloud().admin
    now, wanted = set(_assignments(context, user, project)["roles"]), set(values["roles"])
    person, place = _user(cloud, user).id, _project(cloud, project).id
    ids = {role.name: role.id for role in cloud.identity.roles()}
    for name in sorted(wanted - now):
        cloud.identity.assign_project_role_to_user(place, person, ids[name])
    for name in sorted(now - wanted):
        cloud.identity.unassign_project_role_from_user(place, person, ids[name])


def _password(context: Context, user: str) -> State:
    """Tell whether a user's password is the one on record."""
    return {"on record": context.demand_cloud().lets_in(user)}


def _set_password(context: Context, values: State, user: str) -> None:
    door = context.demand_cloud()
    password = door.password(user) if values["on record"] else secrets.token_hex(10)
    door.admin.identity.update_user(_user(door.admin, user), password=password)


def _quotas(service: str, names: tuple[str, ...]) -> _Kind:
    def look(context: Context, project: str) -> State:
        cloud = context.demand_cloud().admin
        owner = _project(cloud, project).id
        proxy = getattr(cloud, service)
        return _plain(proxy.get_quota(owner) if service == "network" else proxy.get_quota_set(owner), names)

    def become(context: Context, values: State, project: str) -> None:
        cloud = context.demand_cloud().admin
        owner = _project(cloud, project).id
        proxy = getattr(cloud, service)
        (proxy.update_quota if service == "network" else proxy.update_quota_set)(owner, **values)

    return _Kind(look, become)


def _compute_service(context: Context, host: str) -> State:
    found = next(iter(context.demand_cloud().admin.compute.services(host=host, binary="nova-compute")), None)
    return {"status": _demand(found, f"nova-compute on {host}").status}


def _set_compute_service(context: Context, values: State, host: str) -> None:
    compute = context.demand_cloud().admin.compute
    found = next(iter(compute.services(host=host, binary="nova-compute")))
    (compute.enable_service if values["status"] == "enabled" else compute.disable_service)(found)


def _image_state(context: Context, name: str) -> State:
    image = _demand(context.demand_cloud().admin.image.find_image(name), f"image {name}")
    return _plain(image, ("visibility", "min_ram", "status"))


def _set_image(context: Context, values: State, name: str) -> None:
    images = context.demand_cloud().admin.image
    image, status = images.find_image(name, ignore_missing=False), values.pop("status", None)
    if status is not None:
        (images.reactivate_image if status == "active" else images.deactivate_image)(image)
    if values:
        images.update_image(image, **values)


def _flavor_access(context: Context, name: str) -> State:
    flavor = _demand(context.demand_cloud().admin.compute.find_flavor(name, get_extra_specs=True), f"flavor {name}")
    return {"extra_specs": dict(flavor.extra_specs or {})}


def _set_flavor(context: Context, values: State, name: str) -> None:
    compute = context.demand_cloud().admin.compute
    flavor = compute.find_flavor(name, get_extra_specs=True)
    now, wanted = dict(flavor.extra_specs or {}), values["extra_specs"]
    for key in now.keys() - wanted.keys():
        compute.delete_flavor_extra_specs_property(flavor, key)
    if added := {key: value for key, value in wanted.items() if now.get(key) != value}:
        compute.create_flavor_extra_specs(flavor, added)


def _rule(cloud: Any, project: str, protocol: str) -> Any:
    """Return the rule of a project's default group that lets a protocol in from everywhere."""
    owner = _project(cloud, project).id
    group = next(iter(cloud.network.security_groups(project_id=owner, name="default")))
    rules = cloud.network.security_group_rules(security_group_id=group.id, direction="ingress", protocol=protocol)
    return group, next(iter(rules), None)


def _rule_state(context: Context, project: str, protocol: str) -> State:
    _, rule = _rule(context.demand_cloud().admin, project, protocol)
    if rule is None:
        return {"rule": None}
    return {"rule": _plain(rule, ("ether_type", "port_range_min", "port_range_max", "remote_ip_prefix"))}


def _set_rule(context: Context, values: State, project: str, protocol: str) -> None:
    cloud = context.demand_cloud().admin
    group, rule = _rule(cloud, project, protocol)
    if rule is not None:
        cloud.network.delete_security_group_rule(rule)
    if values["rule"] is not None:
        cloud.network.create_security_group_rule(
            security_group_id=group.id,
            project_id=group.project_id,
            direction="ingress",
            protocol=protocol,
            **{key: value for key, value in values["rule"].items() if value is not None},
        )


def _user(cloud: Any, name: str) -> Any:
    return _demand(cloud.identity.find_user(name, domain_id="default"), f"user {name}")


def _project(cloud: Any, name: str) -> Any:
    return _demand(cloud.identity.find_project(name, domain_id="default"), f"project {name}")


_NOVA = ("cores", "instances", "ram")
_CINDER = ("volumes", "gigabytes")
_NEUTRON = ("floating_ips", "networks", "ports", "security_group_rules")

_KINDS: dict[str, _Kind] = {
    "compute-service": _Kind(_compute_service, _set_compute_service),
    "endpoint": _simple(
        _endpoint,
        lambda cloud, it, values: cloud.identity.update_endpoint(it, **values),
        ("url", "is_enabled"),
        "endpoint",
    ),
    "flavor": _Kind(_flavor_access, _set_flavor),
    "image": _Kind(_image_state, _set_image),
    "password": _Kind(_password, _set_password),
    "quota-compute": _quotas("compute", _NOVA),
    "quota-network": _quotas("network", _NEUTRON),
    "quota-volume": _quotas("block_storage", _CINDER),
    "roles": _Kind(_assignments, _assign),
    "router": _simple(
        lambda cloud, name: cloud.network.find_router(name),
        lambda cloud, it, values: cloud.network.update_router(it, **values),
        ("is_admin_state_up",),
        "router",
    ),
    "rule": _Kind(_rule_state, _set_rule),
    "subnet": _simple(
        lambda cloud, name: cloud.network.find_subnet(name),
        lambda cloud, it, values: cloud.network.update_subnet(it, **values),
        ("is_dhcp_enabled", "allocation_pools", "host_routes"),
        "subnet",
    ),
    "user": _simple(
        lambda cloud, name: _user(cloud, name),
        lambda cloud, it, values: cloud.identity.update_user(it, **values),
        ("is_enabled",),
        "user",
    ),
    "volume-type": _simple(
        lambda cloud, name: cloud.block_storage.find_type(name),
        lambda cloud, it, values: cloud.block_storage.update_type_extra_specs(it, **values["extra_specs"]),
        ("extra_specs",),
        "volume type",
    ),
}
