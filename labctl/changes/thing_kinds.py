"""Kinds of things that a cloud's APIs know: how each is found, what of it can be changed, and how that is set."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from netaddr import IPAddress, IPNetwork

from labctl.changes.action import Context
from labctl.changes.change import State
from labctl.errors import InputError


@dataclass(frozen=True)
class ThingKind:
    """How things of one kind are looked at, by their words, and how qualities that differ are set."""

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
) -> ThingKind:
    """Return a kind of thing that is found by its words, and whose qualities are set by one request."""

    def found(cloud: Any, words: tuple[str, ...]) -> Any:
        return _demand(find(cloud, *words), f"{what} {' '.join(words)}")

    def look(context: Context, *words: str) -> State:
        return _plain(found(context.demand_cloud().admin, words), fields)

    def become(context: Context, values: State, *words: str) -> None:
        cloud = context.demand_cloud().admin
        update(cloud, found(cloud, words), values)

    return ThingKind(look, become)


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


def _quotas(service: str, names: tuple[str, ...]) -> ThingKind:
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

    return ThingKind(look, become)


def _compute_service(context: Context, host: str) -> State:
    found = next(iter(context.demand_cloud().admin.compute.services(host=host, binary="nova-compute")), None)
    return {"status": _demand(found, f"nova-compute on {host}").status}


def _set_compute_service(context: Context, values: State, host: str) -> None:
    compute = context.demand_cloud().admin.compute
    found = next(iter(compute.services(host=host, binary="nova-compute")))
    (compute.enable_service if values["status"] == "enabled" else compute.disable_service)(found)


_FITS = ("architecture", "hypervisor_type")
_IMAGE = ("visibility", "min_ram", "status", *_FITS)


def _image_state(context: Context, name: str) -> State:
    image = _demand(context.demand_cloud().admin.image.find_image(name), f"image {name}")
    return _plain(image, _IMAGE)


def _set_image(context: Context, values: State, name: str) -> None:
    images = context.demand_cloud().admin.image
    image, status = images.find_image(name, ignore_missing=False), values.pop("status", None)
    if status is not None:
        (images.reactivate_image if status == "active" else images.deactivate_image)(image)
    # What an image asks of hosts is only there where somebody wrote it; an update would write that it is null.
    if gone := [key for key in _FITS if key in values and values[key] is None]:
        values = {key: value for key, value in values.items() if key not in gone}
        answer = images.patch(
            f"/images/{image.id}",
            json=[{"op": "remove", "path": f"/{key}"} for key in gone],
            headers={"Content-Type": "application/openstack-images-v2.1-json-patch"},
        )
        answer.raise_for_status()
    if values:
        images.update_image(images.find_image(name, ignore_missing=False), **values)


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


def _aggregate(context: Context, name: str) -> State:
    """Tell of an aggregate which hosts are in it and what it says; None where there is none."""
    found = context.demand_cloud().admin.compute.find_aggregate(name)
    if found is None:
        return {"hosts": None, "metadata": None}
    said = {key: value for key, value in (found.metadata or {}).items() if key != "availability_zone"}
    return {"hosts": sorted(found.hosts or ()), "metadata": said}


def _set_aggregate(context: Context, values: State, name: str) -> None:
    compute = context.demand_cloud().admin.compute
    found = compute.find_aggregate(name)
    hosts = set(values.get("hosts", found.hosts if found else ()) or ())
    if found is None:
        found = compute.create_aggregate(name=name)
    for host in sorted(set(found.hosts or ()) - hosts):
        compute.remove_host_from_aggregate(found, host)
    if values.get("hosts", ()) is None:
        compute.delete_aggregate(found)
        return
    for host in sorted(hosts - set(found.hosts or ())):
        compute.add_host_to_aggregate(found, host)
    if (said := values.get("metadata")) is not None:
        gone = dict.fromkeys(set(found.metadata or ()) - {*said, "availability_zone"})
        compute.set_aggregate_metadata(found, {**gone, **said})


def _ratio(context: Context, host: str, resource: str) -> State:
    """Tell how many times over Placement gives out a resource of a host."""
    return {"ratio": _inventory(context, host, resource)[1]["allocation_ratio"]}


def _set_ratio(context: Context, values: State, host: str, resource: str) -> None:
    path, found = _inventory(context, host, resource)
    wanted = {**found, "allocation_ratio": values["ratio"]}
    context.demand_cloud().admin.placement.put(path, json=wanted).raise_for_status()


def _inventory(context: Context, host: str, resource: str) -> tuple[str, State]:
    placement = context.demand_cloud().admin.placement
    provider = next((each for each in placement.resource_providers() if each.name == host), None)
    path = f"/resource_providers/{_demand(provider, f'resource provider {host}').id}/inventories/{resource}"
    answer = placement.get(path)
    answer.raise_for_status()
    return path, dict(answer.json())


def _more_addresses(context: Context, network: str, name: str) -> State:
    """Tell which addresses a further subnet of a network has; None where there is none of the name."""
    _, found = _further(context.demand_cloud().admin.network, network, name)
    return {"cidr": found.cidr if found else None}


def _set_more_addresses(context: Context, values: State, network: str, name: str) -> None:
    neutron = context.demand_cloud().admin.network
    where, found = _further(neutron, network, name)
    if values["cidr"] is not None:
        neutron.create_subnet(
            name=name, network_id=where.id, ip_version=4, cidr=values["cidr"], is_dhcp_enabled=False, gateway_ip=None
        )
        return
    for each in neutron.ips():  # somebody may have got one of its addresses: no way leads to it
        if IPAddress(each.floating_ip_address) in IPNetwork(found.cidr):
            neutron.delete_ip(each)
    neutron.delete_subnet(found)


def _further(neutron: Any, network: str, name: str) -> tuple[Any, Any]:
    """Return a network, and its subnet of a name; None where it has none."""
    where = _demand(neutron.find_network(network), f"network {network}")
    return where, next(iter(neutron.subnets(network_id=where.id, name=name)), None)


def _user(cloud: Any, name: str) -> Any:
    return _demand(cloud.identity.find_user(name, domain_id="default"), f"user {name}")


def _project(cloud: Any, name: str) -> Any:
    return _demand(cloud.identity.find_project(name, domain_id="default"), f"project {name}")


_NOVA = ("cores", "instances", "ram")
_CINDER = ("volumes", "gigabytes")
_NEUTRON = ("floating_ips", "networks", "ports", "security_group_rules")

THING_KINDS: dict[str, ThingKind] = {
    "aggregate": ThingKind(_aggregate, _set_aggregate),
    "compute-service": ThingKind(_compute_service, _set_compute_service),
    "endpoint": _simple(
        _endpoint,
        lambda cloud, it, values: cloud.identity.update_endpoint(it, **values),
        ("url", "is_enabled"),
        "endpoint",
    ),
    "flavor": ThingKind(_flavor_access, _set_flavor),
    "image": ThingKind(_image_state, _set_image),
    "more-addresses": ThingKind(_more_addresses, _set_more_addresses),
    "password": ThingKind(_password, _set_password),
    "quota-compute": _quotas("compute", _NOVA),
    "quota-network": _quotas("network", _NEUTRON),
    "quota-volume": _quotas("block_storage", _CINDER),
    "ratio": ThingKind(_ratio, _set_ratio),
    "roles": ThingKind(_assignments, _assign),
    "router": _simple(
        lambda cloud, name: cloud.network.find_router(name),
        lambda cloud, it, values: cloud.network.update_router(it, **values),
        ("is_admin_state_up",),
        "router",
    ),
    "rule": ThingKind(_rule_state, _set_rule),
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
