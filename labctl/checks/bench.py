"""What several checks use and the first that needs it makes: a server on each compute node, and the way into it."""

from __future__ import annotations

import base64
import re
from typing import Any

from labctl.checks.log import Log, Wrong
from labctl.guest import Guest

ACTIVE = (270.0, 1500.0)
"""Seconds until a server is ACTIVE; the first one on an emulated node took up to 527."""

BOOT = (120.0, 900.0)
"""Seconds until its userspace is ready."""

ANSWER = (60.0, 300.0)
"""Seconds until a packet finds its way."""

_HOST_KEY = re.compile(r"instance: host key (ssh-ed25519 \S+)")
_LINE = re.compile(r"instance: .*")
_REFUSED = re.compile(r"instance: metadata try ([5-9]|\d\d) of \d+: .*\b403\b")
OUT = "check: the way out"
"""What a server's user data say of the public endpoint, before the server has a floating address."""


def server(log: Log, host: str) -> Any:
    """Return the run's server on a compute node; it is made where there is none yet."""
    if (found := log.cloud.bench.get(f"server {host}")) is not None:
        return found
    script = base64.b64encode(_user_data(log.cloud.public("keystone"), log).encode()).decode()
    made = boot(log, host, f"server-{host}", user_data=script)
    log.cloud.bench |= {f"server {host}": made, f"host {made.id}": host}
    return made


def first(log: Log) -> Any:
    """Return the run's server on the first compute node."""
    hosts = log.cloud.nodes("compute")
    if not hosts or not log.cloud.nodes("tenant"):
        log.skip("no node has the role compute, or none the role tenant")
    return server(log, hosts[0])


def console(log: Log, made: Any) -> str:
    """Return what a server's console showed once its userspace is ready."""
    bench, key = log.cloud.bench, f"console {made.id}"
    if key not in bench:
        said: list[str] = [""]

        def ready() -> str:
            said[0] = str(log.cloud.demo.compute.get_server_console_output(made)["output"] or "")
            if _REFUSED.search(said[0]):  # patience changes nothing, and the instance would try on for ten minutes
                raise Wrong("its metadata is refused")
            return said[0] if "instance: ready" in said[0] else ""

        with log.step("boot", node=bench[f"host {made.id}"], suspect="neutron-dhcp-agent"):
            try:
                bench[key] = log.until(ready, "the instance was ready", BOOT)
            except Wrong as exc:
                raise Wrong(f"{trouble(said[0]) or 'its console says nothing'}; {exc}") from exc
    return str(bench[key])


def trouble(output: str) -> str:
    """Return the last line of a console that says what is missing."""
    lines = [line.strip() for line in _LINE.findall(output)]
    bad = [line for line in lines if "no lease" in line or "no network card" in line or "metadata try" in line]
    return str((bad or lines or [""])[-1]).removeprefix("instance: ")


def port(log: Log, made: Any) -> Any:
    """Return a server's port."""
    found = list(log.cloud.demo.network.ports(device_id=made.id))
    if not found:
        raise Wrong("Neutron knows no port of the server")
    return found[0]


def address(log: Log, made: Any) -> str:
    """Return a server's floating address; it gets one where it has none yet."""
    cloud, key = log.cloud, f"address {made.id}"
    if key not in cloud.bench:
        neutron = cloud.demo.network
        with log.step("floating address", node=cloud.node("neutron"), suspect="neutron: the pool"):
            public, at = pool(log).id, port(log, made).id
            found = cloud.made.make(
                "address",
                f"address-{cloud.bench[f'host {made.id}']}",
                lambda name: neutron.create_ip(floating_network_id=public, port_id=at, description=name),
            )
        with log.step("its status", node=cloud.node("gateway"), suspect="neutron-l3-agent"):
            log.status(lambda: neutron.get_ip(found.id), "ACTIVE", ANSWER)
        reach(log, text := str(found.floating_ip_address))
        cloud.bench[key] = text
    return str(cloud.bench[key])


def pool(log: Log) -> Any:
    """Return the network that floating addresses come from."""
    return log.again(lambda: log.cloud.demo.network.find_network("public", ignore_missing=False))


def reach(log: Log, address: str) -> None:
    """Wait until a floating address answers from outside the nodes."""
    with log.step("it answers", node=log.cloud.node("gateway"), suspect="neutron-l3-agent"):
        log.until(lambda: answers(log, address, 22), f"{address} answered on port 22", ANSWER)


def answers(log: Log, host: str, number: int, *, patience: tuple[float, float] = (5.0, 20.0)) -> bool:
    """Say whether a port of the lab answers; raises the dialer's errors where it does not."""
    with log.cloud.dialer.open(host, number, timeout=log.subject.scaled(*patience)):
        return True


def host_key(log: Log, made: Any) -> str:
    """Return the host key that a server showed on its console."""
    output = console(log, made)
    with log.step("host key", suspect="the instance"):
        if (found := _HOST_KEY.search(output)) is None:
            raise Wrong("its console shows no host key")
    return found[1]


def log_in(log: Log, address: str, key: str) -> Guest:
    """Log in to a server by SSH with the injected key; its host key must be this one."""
    with log.step("banner", suspect="the instance"):
        log.until(lambda: _banner(log, address), f"{address} greeted by SSH", ANSWER)
    with log.step("log in", suspect="nova-api-metadata: the key"):
        return log.again(lambda: log.cloud.instance(address, key))
    raise AssertionError  # a failed step ends the check


def shell(log: Log, made: Any) -> Guest:
    """Return a server as a guest; see `log_in`."""
    bench, key = log.cloud.bench, f"shell {made.id}"
    if key not in bench:
        pinned = host_key(log, made)
        bench[key] = log_in(log, address(log, made), pinned)
    found: Guest = bench[key]
    return found


def _banner(log: Log, host: str) -> bool:
    with log.cloud.dialer.open(host, 22, timeout=log.subject.scaled(5, 20)) as opened:
        opened.settimeout(log.subject.scaled(5, 60))
        return opened.recv(4) == b"SSH-"


def body(log: Log) -> dict[str, Any]:
    """Return what every server is made of: the image for instances, the smallest flavor, the tenant's network."""
    demo = log.cloud.demo
    with log.step("image, flavor, network", node=log.cloud.node("nova"), suspect="nova"):
        return {
            "image_id": log.again(lambda: demo.image.find_image("instance", ignore_missing=False)).id,
            "flavor_id": log.again(lambda: demo.compute.find_flavor("m1.tiny", ignore_missing=False)).id,
            "networks": [{"uuid": log.again(lambda: demo.network.find_network("net1", ignore_missing=False)).id}],
        }
    raise AssertionError


def boot(log: Log, host: str, what: str, **changes: Any) -> Any:
    """Make a server on a compute node and wait until it is ACTIVE there."""
    cloud = log.cloud
    wanted = body(log) | changes
    # An ordinary member may not name a host: where there are several, the admin does it in the member's project.
    compute, extra = cloud.demo.compute, {"key_name": "lab"}
    if cloud.nodes("compute") != [host]:
        extra = {"key_name": _key(log), "host": host}  # before its first request there, the admin joins the project
        compute = cloud.inside.compute
    with log.step("create", node=cloud.node("nova"), suspect="nova"):
        made = cloud.made.make("server", what, lambda name: compute.create_server(name=name, **wanted, **extra))
    with log.step("ACTIVE", node=host, suspect="nova-compute"):
        found = log.status(lambda: cloud.demo.compute.get_server(made.id), "ACTIVE", ACTIVE)
    with log.step("host", node=host, suspect="nova-scheduler"):
        where = log.again(lambda: cloud.admin.compute.get_server(made.id)).compute_host
        if where != host:
            raise Wrong(f"it runs on {where}, not on {host}")
    return found


def _user_data(public: str, log: Log) -> str:
    """Return a script that tries the way out: a public endpoint beyond the router, while there is no floating
    address."""
    seconds = int(log.subject.scaled(10, 60))
    try_it = f"nc -w {seconds} {log.cloud.dialer.address(public)} 5000 </dev/null >/dev/null 2>&1"
    return f"#!/bin/sh\n{try_it} && echo '{OUT} is open' || echo '{OUT} is closed'\n"


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
