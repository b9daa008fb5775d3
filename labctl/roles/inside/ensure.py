"""Makes things in the cloud that are missing, and prints a line for each; runs in a node, with openstacksdk.

Each kind has a function that gets the connection, one thing and all data, and tells whether it made anything.
"""
# ruff: noqa: ARG001 - all kinds' functions are called alike

from __future__ import annotations

from typing import Any


def main(data: dict[str, Any]) -> None:
    """Make what is wanted, kind by kind, in an order in which each finds what it refers to.

    Args:
        data: `login` (keystoneauth's options), `region` and `wanted`: kind to list of things.
    """
    import openstack  # type: ignore[import-not-found,unused-ignore]  # the node's

    cloud = openstack.connection.Connection(auth=data["login"], region_name=data["region"], interface="internal")
    wanted = data["wanted"]
    for kind, make in KINDS.items():
        for thing in wanted.get(kind, []):
            name = thing.get("name", "")
            if make(cloud, dict(thing), data):
                print(f"made {kind}: {name}", flush=True)  # noqa: T201 - the answer


def _projects(cloud: Any, thing: dict[str, Any], data: dict[str, Any]) -> bool:
    if cloud.identity.find_project(thing["name"]):
        return False
    cloud.identity.create_project(domain_id="default", **thing)
    return True


def _users(cloud: Any, thing: dict[str, Any], data: dict[str, Any]) -> bool:
    """Make a user; `roles` maps a project's name to role names."""
    roles = thing.pop("roles", {})
    user, made = cloud.identity.find_user(thing["name"]), False
    if user is None:
        user, made = cloud.identity.create_user(domain_id="default", **thing), True
    for project_name, role_names in roles.items():
        project = cloud.identity.find_project(project_name, ignore_missing=False)
        for role_name in role_names:
            role = cloud.identity.find_role(role_name) or cloud.identity.create_role(name=role_name)
            if not cloud.identity.validate_user_has_project_role(project, user, role):
                cloud.identity.assign_project_role_to_user(project, user, role)
                made = True
    return made


def _domains(cloud: Any, thing: dict[str, Any], data: dict[str, Any]) -> bool:
    """Make a domain with its administrator."""
    admin, made = thing.pop("admin"), False
    domain = cloud.identity.find_domain(thing["name"])
    if domain is None:
        domain, made = cloud.identity.create_domain(**thing), True
    user = cloud.identity.find_user(admin["name"], domain_id=domain.id)
    if user is None:
        user, made = cloud.identity.create_user(domain_id=domain.id, **admin), True
    role = cloud.identity.find_role("admin", ignore_missing=False)
    if not cloud.identity.validate_user_has_domain_role(domain, user, role):
        cloud.identity.assign_domain_role_to_user(domain, user, role)
        made = True
    return made


def _roles(cloud: Any, thing: dict[str, Any], data: dict[str, Any]) -> bool:
    if cloud.identity.find_role(thing["name"]):
        return False
    cloud.identity.create_role(**thing)
    return True


def _services(cloud: Any, thing: dict[str, Any], data: dict[str, Any]) -> bool:
    """Make a service and its endpoints; an endpoint whose URL differs is set right."""
    endpoints, made = thing.pop("endpoints"), False
    service = next((found for found in cloud.identity.services(type=thing["type"])), None)
    if service is None:
        service, made = cloud.identity.create_service(**thing), True
    there = {found.interface: found for found in cloud.identity.endpoints(service_id=service.id)}
    for interface, url in endpoints.items():
        found = there.get(interface)
        if found is None:
            cloud.identity.create_endpoint(
                service_id=service.id, interface=interface, url=url, region_id=data["region"]
            )
        elif found.url != url:
            cloud.identity.update_endpoint(found, url=url)
        else:
            continue
        made = True
    return made


def _flavors(cloud: Any, thing: dict[str, Any], data: dict[str, Any]) -> bool:
    if cloud.compute.find_flavor(thing["name"]):
        return False
    cloud.compute.create_flavor(**thing)
    return True


def _images(cloud: Any, thing: dict[str, Any], data: dict[str, Any]) -> bool:
    """Upload an image from a file of the node; one that was cut off is uploaded anew."""
    found = cloud.image.find_image(thing["name"])
    if found is not None and found.status == "active":
        return False
    if found is not None:
        cloud.image.delete_image(found)
    cloud.create_image(wait=True, timeout=600, validate_checksum=False, use_import=False, **thing)
    return True


def _networks(cloud: Any, thing: dict[str, Any], data: dict[str, Any]) -> bool:
    """Make a network with one subnet."""
    subnet, made = thing.pop("subnet"), False
    if project := thing.pop("project", None):
        thing["project_id"] = cloud.identity.find_project(project, ignore_missing=False).id
    network = cloud.network.find_network(thing["name"])
    if network is None:
        network, made = cloud.network.create_network(**thing), True
    if cloud.network.find_subnet(subnet["name"], network_id=network.id) is None:
        owner = {"project_id": thing["project_id"]} if "project_id" in thing else {}
        cloud.network.create_subnet(network_id=network.id, ip_version=4, **owner, **subnet)
        made = True
    return made


def _routers(cloud: Any, thing: dict[str, Any], data: dict[str, Any]) -> bool:
    """Make a router from subnets to an external network."""
    subnets, external, made = thing.pop("subnets"), thing.pop("external"), False
    project = cloud.identity.find_project(thing.pop("project"), ignore_missing=False)
    router = cloud.network.find_router(thing["name"])
    if router is None:
        gateway = {"network_id": cloud.network.find_network(external, ignore_missing=False).id}
        router = cloud.network.create_router(project_id=project.id, external_gateway_info=gateway, **thing)
        made = True
    for name in subnets:
        subnet = cloud.network.find_subnet(name, ignore_missing=False)
        ports = cloud.network.ports(device_id=router.id)
        if not any(fixed["subnet_id"] == subnet.id for port in ports for fixed in port.fixed_ips):
            cloud.network.add_interface_to_router(router, subnet_id=subnet.id)
            made = True
    return made


def _rules(cloud: Any, thing: dict[str, Any], data: dict[str, Any]) -> bool:
    """Add a rule to a project's security group."""
    project = cloud.identity.find_project(thing.pop("project"), ignore_missing=False)
    wanted = thing.pop("group")
    # Listing a project's groups as its admin does not make the default one; asking for its quota's usage would not
    # either. A group that is not there yet is made by the first look with the project's own eyes.
    groups = list(cloud.network.security_groups(project_id=project.id, name=wanted))
    if not groups:
        _as(cloud, data, project).network.find_security_group(wanted)
        groups = list(cloud.network.security_groups(project_id=project.id, name=wanted))
    group = groups[0]
    shown = {key: value for key, value in thing.items() if key != "name"}
    for rule in cloud.network.security_group_rules(security_group_id=group.id, direction="ingress"):
        if all(getattr(rule, key) == value for key, value in shown.items()):
            return False
    cloud.network.create_security_group_rule(
        security_group_id=group.id, project_id=project.id, direction="ingress", **shown
    )
    return True


def _keypairs(cloud: Any, thing: dict[str, Any], data: dict[str, Any]) -> bool:
    """Register a key pair for the user who is logged in."""
    own = _as_user(data, thing.pop("user"))
    if own.compute.find_keypair(thing["name"]):
        return False
    own.compute.create_keypair(**thing)
    return True


def _volume_types(cloud: Any, thing: dict[str, Any], data: dict[str, Any]) -> bool:
    if cloud.block_storage.find_type(thing["name"]):
        return False
    cloud.block_storage.create_type(**thing)
    return True


def _as(cloud: Any, data: dict[str, Any], project: Any) -> Any:
    """Connect as the admin within another project, where the admin gets a role for it."""
    admin = cloud.identity.find_user("admin", ignore_missing=False)
    role = cloud.identity.find_role("admin", ignore_missing=False)
    if not cloud.identity.validate_user_has_project_role(project, admin, role):
        cloud.identity.assign_project_role_to_user(project, admin, role)
    return _as_user(data, {"project_name": project.name})


def _as_user(data: dict[str, Any], login: dict[str, str]) -> Any:
    import openstack

    return openstack.connection.Connection(auth=data["login"] | login, region_name=data["region"], interface="internal")


KINDS = {
    "domains": _domains,
    "projects": _projects,
    "roles": _roles,
    "users": _users,
    "services": _services,
    "volume_types": _volume_types,
    "flavors": _flavors,
    "images": _images,
    "networks": _networks,
    "routers": _routers,
    "rules": _rules,
    "keypairs": _keypairs,
}
