"""C17: a volume in a server."""

from __future__ import annotations

from typing import Any

from labctl.checks import bench, c08_volume
from labctl.checks.log import Log, cloud_check

_STATUS = (180.0, 900.0)
_COMMAND = (60.0, 300.0)
_WRITE_AND_READ = """
head -c 1048576 /dev/urandom >/tmp/check && sudo dd if=/tmp/check of=/dev/vdb bs=64k && sync &&
sudo sh -c 'echo 3 >/proc/sys/vm/drop_caches' && sudo dd if=/dev/vdb bs=64k count=16 | cmp - /tmp/check
code=$?; rm -f /tmp/check; exit $code
"""


@cloud_check(
    "C17",
    "A volume is attached, written, read, detached",
    exercises="tgt, initiator, Nova and Cinder, the service token",
    needs=("C08:blank", "C13"),
    limit=(180, 600),
)
def attach(log: Log) -> None:
    """On every compute node: attach a volume to the server there, reach the volume's target from the node, see the disk
    in the server, write a mebibyte and read it back, and detach the volume."""
    if not log.cloud.nodes("cinder"):
        log.skip("no node has the role cinder")
    bench.first(log)
    for host in log.cloud.nodes("compute"):
        _attach(log, host)


def _attach(log: Log, host: str) -> None:
    cloud, made = log.cloud, bench.server(log, host)
    nova, volumes, node = cloud.demo.compute, cloud.demo.block_storage, cloud.node("cinder-volume")
    guest = bench.shell(log, made)
    with cloud.made.scope(cloud):
        volume = c08_volume.make(log, f"attached-{host}")

        def plug(_: str) -> object:
            nova.create_volume_attachment(made, volume)
            return volume

        with log.step("attach", node=node, suspect="tgt"):
            cloud.made.make("attachment", f"attachment-{host}", plug, parent=made.id)
        _portal(log, host, volume, node)
        with log.step("in-use", node=host, suspect="iscsid"):
            failures = ("error", "available")
            log.status(lambda: volumes.get_volume(volume.id), "in-use", _STATUS, failures=failures)
        with log.step("the disk", node=host, suspect="nova-compute"):
            log.until(
                lambda: "vdb" in guest.run("cat /proc/partitions", timeout=log.limit(_COMMAND)).stdout,
                "vdb was there",
                bench.ANSWER,
            )
        with log.step("write and read", node=node, suspect="tgt"):
            guest.run(_WRITE_AND_READ, timeout=log.limit(_COMMAND))
        with log.step("detach", node=host, suspect="nova-compute"):
            nova.delete_volume_attachment(made, volume.id)
            log.status(lambda: volumes.get_volume(volume.id), "available", _STATUS)


def _portal(log: Log, host: str, volume: Any, node: str) -> None:
    """Reach the portal of a volume's target from a compute node: Nova tries one that does not answer for many minutes.

    Args:
        node: the node of the target.
    """
    volumes = log.cloud.demo.block_storage

    def told() -> dict[str, Any]:
        for each in volumes.attachments(volume_id=volume.id):
            if each.connection_info:
                return dict(each.connection_info)
        status = volumes.get_volume(volume.id).status
        return {} if status in ("reserved", "attaching") else {"status": status}

    with log.step("its target", node=host, suspect="nova-compute"):
        portal = str(log.until(told, "Nova had asked Cinder for the target", _STATUS).get("target_portal", ""))
    if portal:  # a volume in Ceph has none
        address, _, port = portal.rpartition(":")
        seconds = int(log.subject.scaled(5, 30))
        ask = ("timeout", str(seconds), "bash", "-c", f": 3<>/dev/tcp/{address.strip('[]')}/{port}")
        with log.step("its portal", node=node, suspect="tgt: its portal"):
            log.until(
                lambda: log.subject.guest(host).run(ask, timeout=4 * seconds, check=False).ok,
                f"{portal} answered {host}",
                bench.ANSWER,
            )
