"""What several checks use and the first that needs it makes: a server on each compute node."""

from __future__ import annotations

from typing import Any

from labctl.checks.log import Log, Wrong

ACTIVE = (270.0, 1500.0)
"""Seconds until a server is ACTIVE; the first one on an emulated node took up to 527."""


def server(log: Log, host: str) -> Any:
    """Return the run's server on a compute node; it is made where there is none yet."""
    if (found := log.cloud.bench.get(f"server {host}")) is not None:
        return found
    made = _boot(log, host)
    log.cloud.bench[f"server {host}"] = made
    return made


def first(log: Log) -> Any:
    """Return the run's server on the first compute node."""
    hosts = log.cloud.nodes("compute")
    if not hosts or not log.cloud.nodes("tenant"):
        log.skip("no node has the role compute, or none the role tenant")
    return server(log, hosts[0])


def _boot(log: Log, host: str) -> Any:
    cloud = log.cloud
    only = cloud.nodes("compute") == [host]
    with log.step("image, flavor, network", node=cloud.node("nova"), suspect="nova"):
        demo = cloud.demo
        body: dict[str, Any] = {
            "image_id": log.again(lambda: demo.image.find_image("instance", ignore_missing=False)).id,
            "flavor_id": log.again(lambda: demo.compute.find_flavor("m1.tiny", ignore_missing=False)).id,
            "networks": [{"uuid": log.again(lambda: demo.network.find_network("net1", ignore_missing=False)).id}],
        }
    # An ordinary member may not name a host: where there are several, the admin does it in the member's project.
    compute, extra = demo.compute, {"key_name": "lab"}
    if not only:
        compute, extra = cloud.inside.compute, {"key_name": _key(log), "host": host}
    with log.step("create", node=cloud.node("nova"), suspect="nova"):
        made = cloud.made.make(
            "server", f"server-{host}", lambda name: compute.create_server(name=name, **body, **extra)
        )
    with log.step("ACTIVE", node=host, suspect="nova-compute"):

        def active() -> Any:
            found = demo.compute.get_server(made.id)
            if found.status == "ERROR":
                fault = (found.fault or {}).get("message", "no reason given")
                failed.append(f"ERROR: {fault}")
            else:
                state[0] = f"{found.status}, {found.task_state}"
            return found if found.status in ("ACTIVE", "ERROR") else None

        failed: list[str] = []
        state = ["unknown"]
        try:
            found = log.until(active, "the server was ACTIVE", ACTIVE)
        except Wrong as exc:
            raise Wrong(f"{exc}; it is {state[0]}") from exc
        if failed:
            raise Wrong(failed[0])
    with log.step("host", node=host, suspect="nova-scheduler"):
        where = cloud.admin.compute.get_server(made.id).compute_host
        if where != host:
            raise Wrong(f"it runs on {where}, not on {host}")
    return found


def _key(log: Log) -> str:
    """Return the name of the admin's key pair in demo's project, which holds the same key as demo's own."""
    cloud = log.cloud
    if "key" not in cloud.bench:
        with log.step("the admin joins demo's project", node=cloud.node("keystone"), suspect="keystone"):
            identity = cloud.admin.identity
            role = identity.find_role("admin", ignore_missing=False).id
            user, project = cloud.admin.current_user_id, cloud.demo.current_project_id
            path = f"/projects/{project}/users/{user}/roles/{role}"
            if identity.head(path).status_code == 404:
                cloud.made.make("grant", "grant", lambda _: _granted(identity, path), parent=f"{user}/{project}/{role}")
        with log.step("key pair", node=cloud.node("nova"), suspect="nova"):
            cloud.bench["key"] = cloud.made.make(
                "keypair",
                "key",
                lambda name: cloud.inside.compute.create_keypair(name=name, public_key=cloud.public_key),
            ).name
    return str(cloud.bench["key"])


class _Grant:
    id = "grant"


def _granted(identity: Any, path: str) -> _Grant:
    from openstack.exceptions import raise_from_response

    raise_from_response(identity.put(path))
    return _Grant()
