"""C22: the canary."""

from __future__ import annotations

import secrets
from typing import Any

from labctl.checks import bench, c08_volume
from labctl.checks.canary import NAME, Canary
from labctl.checks.log import Log, Wrong, cloud_check
from labctl.guest import Guest

_COMMAND = (60.0, 300.0)
_STOP = (120.0, 600.0)
_ATTACH = (180.0, 900.0)
# It is read from the disk each time: what the last look left in memory would say nothing about the volume.
_READ = """
sudo mkdir -p /mnt && sudo mount -t ext2 -o ro /dev/vdb /mnt || exit 1
cat /mnt/marker; code=$?; sudo umount /mnt; exit $code
"""
_WRITE = """
sudo mkfs.ext2 -q -F /dev/vdb 16384 && sudo mkdir -p /mnt && sudo mount -t ext2 /dev/vdb /mnt || exit 1
sudo sh -c 'cat >/mnt/marker'; code=$?; sudo umount /mnt; exit $code
"""


@cloud_check(
    "C22:alive",
    "The canary lives",
    exercises="all that a server uses that has been there for long: its port, address and rules, its volume",
    needs=("C01",),
    quick=True,
    limit=(60, 300),
)
def alive(log: Log) -> None:
    """Look at the server that stays in the lab: it is ACTIVE, has its floating address, lets its user in with the
    pinned host key, and its volume still holds the marker file. SKIPPED where the lab has no canary yet:
    `labctl check TEAM C22:make` makes it, as does a full run."""
    canary = log.cloud.canary()
    if canary is None:
        log.skip("the lab has no canary yet; C22:make makes one")
    _look(log, canary)


@cloud_check(
    "C22:make",
    "The lab has a canary",
    exercises="what C10 to C17 use; made once in an installed lab, for C22:alive",
    needs=("C08:blank", "C13"),
    limit=(400, 1500),
)
def make(log: Log) -> None:
    """Where the lab has no canary: boot a server, attach a volume with a marker file, give it a floating address, and
    remember all that. It stays in the lab, in golden sets that are captured from it, and in their forks."""
    cloud = log.cloud
    if not all(cloud.nodes(role) for role in ("compute", "tenant", "cinder")):
        log.skip("no node has the role compute, or none the role tenant, or none the role cinder")
    if (known := cloud.canary()) is not None and _exists(log, known):
        log.skip("the lab has one")
    made = _server(log)
    cloud.bench[f"host {made.id}"] = str(cloud.admin.compute.get_server(made.id).compute_host)
    host_key = bench.host_key(log, made)
    volume = _volume(log, made)
    address = _address(log, made)
    guest = bench.log_in(log, address, host_key)
    with log.step("marker", node=cloud.node("cinder-volume"), suspect="tgt"):
        marker = secrets.token_hex(16)
        guest.run(_WRITE, stdin=marker.encode(), timeout=log.limit(_COMMAND))
    canary = Canary(server=made.id, volume=volume.id, address=address, host_key=host_key, marker=marker)
    _marker(log, canary, guest)
    cloud.remember(canary)


@cloud_check(
    "C22:restart",
    "The canary is stopped and started",
    exercises="Nova's stop and start; libvirt, the volume's connection and the port after them",
    needs=("C22:alive", "C22:make"),
    limit=(180, 900),
)
def restart(log: Log) -> None:
    """Stop the canary, start it, and look at it again."""
    cloud = log.cloud
    canary = cloud.canary()
    if canary is None:
        log.skip("the lab has no canary")
    nova, node = cloud.demo.compute, cloud.node("compute")

    def stop(_: str) -> Any:
        nova.stop_server(canary.server)
        return nova.get_server(canary.server)

    with cloud.made.scope(cloud):
        with log.step("stop", node=node, suspect="nova-compute"):
            cloud.made.make("stop", "stop", stop, parent=canary.server)
            log.status(lambda: nova.get_server(canary.server), "SHUTOFF", _STOP)
        with log.step("start", node=node, suspect="nova-compute"):
            log.cleaned(cloud.made.remove(cloud, lambda each: each.kind == "stop"))
            log.status(lambda: nova.get_server(canary.server), "ACTIVE", _STOP)
    _look(log, canary)


def _look(log: Log, canary: Canary) -> None:
    cloud = log.cloud
    node = cloud.node("compute")
    with log.step("ACTIVE", node=node, suspect="nova-compute"):
        found = log.again(lambda: cloud.demo.compute.get_server(canary.server))
        if found.status == "SHUTOFF":  # Nova starts no server that was on when its node went off
            raise Wrong(f"the server is SHUTOFF, as after its node was off: openstack server start {NAME}")
        if found.status != "ACTIVE":
            raise Wrong(f"the server is {found.status}")
    with log.step("its address", node=cloud.node("neutron"), suspect="neutron"):
        known = log.again(lambda: list(cloud.demo.network.ips(floating_ip_address=canary.address)))
        ports = {each.id for each in log.again(lambda: list(cloud.demo.network.ports(device_id=canary.server)))}
        if not known or known[0].port_id not in ports:
            raise Wrong(f"{canary.address} is not the server's")
    with log.step("its volume", node=cloud.node("cinder"), suspect="cinder"):
        volume = log.again(lambda: cloud.demo.block_storage.get_volume(canary.volume))
        if volume.status != "in-use":
            raise Wrong(f"the volume is {volume.status}")
    _marker(log, canary, bench.log_in(log, canary.address, canary.host_key))


def _marker(log: Log, canary: Canary, guest: Guest) -> None:
    with log.step("read the marker", node=log.cloud.node("cinder-volume"), suspect="tgt"):
        found = guest.run(_READ, timeout=log.limit(_COMMAND)).stdout.strip()
        if found != canary.marker:
            raise Wrong(f"the marker file holds {found[:40]!r}, which nobody wrote")


def _exists(log: Log, known: Canary) -> bool:
    """Say whether the canary that is remembered is in the cloud; a reset of its node may have taken it away."""
    from openstack.exceptions import NotFoundException

    def there() -> bool:
        try:
            log.cloud.demo.compute.get_server(known.server)
        except NotFoundException:
            return False
        return True

    return log.ask("remembered", there, node=log.cloud.node("nova"), suspect="nova")


def _server(log: Log) -> Any:
    """Return the canary's server: one that an interrupted run made, or a new one. It runs."""
    cloud = log.cloud
    nova, node = cloud.demo.compute, cloud.node("nova")
    body = bench.body(log)
    with log.step("server", node=node, suspect="nova"):
        found = [each for each in log.again(lambda: list(nova.servers(name=f"^{NAME}$"))) if each.name == NAME]
        made = found[0] if found else nova.create_server(name=NAME, key_name="lab", **body)
        if made.status == "SHUTOFF":
            nova.start_server(made.id)
    with log.step("ACTIVE", node=cloud.node("compute"), suspect="nova-compute"):
        return log.status(lambda: nova.get_server(made.id), "ACTIVE", bench.ACTIVE)


def _volume(log: Log, made: Any) -> Any:
    """Return the canary's volume, attached."""
    cloud = log.cloud
    volumes, node = cloud.demo.block_storage, cloud.node("cinder-volume")
    with log.step("volume", node=node, suspect="cinder-volume"):
        found = log.again(lambda: list(volumes.volumes(name=NAME)))
        volume = found[0] if found else volumes.create_volume(name=NAME, size=1)
        if volume.status != "in-use":
            log.status(lambda: volumes.get_volume(volume.id), "available", c08_volume.SECONDS)
    with log.step("attach", node=cloud.node("compute"), suspect="iscsid"):
        if volume.status != "in-use":
            cloud.demo.compute.create_volume_attachment(made, volume)
        return log.status(lambda: volumes.get_volume(volume.id), "in-use", _ATTACH, failures=("error", "available"))


def _address(log: Log, made: Any) -> str:
    """Return the canary's floating address."""
    cloud = log.cloud
    neutron, port = cloud.demo.network, bench.port(log, made)
    with log.step("floating address", node=cloud.node("neutron"), suspect="neutron: the pool"):
        found = log.again(lambda: list(neutron.ips(description=NAME)))
        if not found:
            found = [neutron.create_ip(floating_network_id=bench.pool(log).id, port_id=port.id, description=NAME)]
        elif found[0].port_id != port.id:
            found = [neutron.update_ip(found[0], port_id=port.id)]
    address = str(found[0].floating_ip_address)
    bench.reach(log, address)
    return address
