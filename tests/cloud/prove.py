"""Proves from outside the nodes that a lab's cloud works; runs within `labctl enter TEAM`, with openstacksdk.

    labctl enter team01 -- PYTHON tests/cloud/prove.py CLOUDS.YAML KEY [--slow N] [--hosts compute-1] [--brief]

Each proof prints a line with its seconds; the first that fails ends the run with its reason. What it makes, it removes.
"""

# ruff: noqa: T201 - what it prints is its result
from __future__ import annotations

import argparse
import io
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import openstack
import paramiko

RUN = f"prove-{secrets.token_hex(3)}"


class Proof:
    """A run: connections, time limits, and what to remove at the end."""

    def __init__(self, clouds: Path, key: Path, slow: float) -> None:
        os.environ["OS_CLIENT_CONFIG_FILE"] = str(clouds)
        self.demo = openstack.connect(cloud="demo")
        self.admin = openstack.connect(cloud="admin")
        self.key = key
        self.slow = slow
        self.undo = ExitStack()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        except Exception as exc:
            print(f"{time.monotonic() - began:8.1f} s  FAILED  {title}: {exc}", flush=True)
            raise
        print(f"{time.monotonic() - began:8.1f} s  {title}", flush=True)

    def until(self, condition: Callable[[], Any], what: str, seconds: float) -> Any:
        """Wait for a condition; seconds are those of a machine with KVM."""
        deadline = time.monotonic() + seconds * self.slow
        last: object = None
        while time.monotonic() < deadline:
            try:
                if found := condition():
                    return found
            except (OSError, paramiko.SSHException) as exc:
                last = exc
            time.sleep(1)
        raise TimeoutError(f"{what} within {seconds * self.slow:.0f} s; last: {last}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("clouds", type=Path)
    parser.add_argument("key", type=Path)
    parser.add_argument("--slow", type=float, default=15)
    parser.add_argument("--hosts", default="compute-1,compute-2")
    parser.add_argument("--brief", action="store_true", help="services, and a server that boots: no addresses, volumes")
    options = parser.parse_args()
    proof = Proof(options.clouds, options.key, options.slow)
    with proof.undo:
        apis(proof)
        if options.brief:
            for host in options.hosts.split(","):
                a_server(proof, host)
            return
        image(proof)
        volume = a_volume(proof)
        servers = [a_server(proof, host) for host in options.hosts.split(",")]
        addresses = [floating(proof, server) for server in servers]
        shells = [log_in(proof, server, address) for server, address in zip(servers, addresses, strict=True)]
        attach(proof, servers[0], shells[0], volume)
        if len(servers) > 1:
            east_west(proof, servers, shells[0])
    print("everything proven", flush=True)


def apis(proof: Proof) -> None:
    with proof.step("token and catalog"):
        services = {entry["type"] for entry in proof.demo.service_catalog}
        wanted = {"identity", "image", "placement", "compute", "network", "block-storage", "orchestration"}
        assert wanted <= services, services
    with proof.step("every service answers"):
        list(proof.demo.image.images())
        list(proof.demo.compute.flavors())
        list(proof.demo.network.networks())
        list(proof.demo.block_storage.volumes())
        list(proof.demo.orchestration.stacks())
    with proof.step("agents and services are up"):

        def up() -> bool:
            services = list(proof.admin.compute.services())
            agents = list(proof.admin.network.agents())
            return (
                bool(services and agents) and all(s.state == "up" for s in services) and all(a.is_alive for a in agents)
            )

        proof.until(up, "all are up", 60)


def image(proof: Proof) -> None:
    with proof.step("an image is uploaded and read back"):
        content = secrets.token_bytes(2 * 1024**2)
        made = proof.demo.image.create_image(
            f"{RUN}-image",
            data=io.BytesIO(content),
            disk_format="raw",
            container_format="bare",
            validate_checksum=False,
        )
        proof.undo.callback(proof.demo.image.delete_image, made)
        assert proof.demo.image.download_image(made).content == content


def a_volume(proof: Proof) -> Any:
    with proof.step("a volume is made"):
        volume = proof.demo.block_storage.create_volume(name=f"{RUN}-volume", size=1)
        proof.undo.callback(lambda: proof.demo.block_storage.delete_volume(volume))
        return proof.demo.block_storage.wait_for_status(
            volume, "available", failures=["error"], interval=1, wait=60 * proof.slow
        )


def a_server(proof: Proof, host: str) -> Any:
    with proof.step(f"a server is ACTIVE on {host}"):
        proof.until(lambda: proof.admin.compute.find_hypervisor(host, ignore_missing=True), f"{host} is known", 60)
        server = boot(proof, host)
        proof.undo.callback(remove_server, proof, server)
        server = proof.demo.compute.wait_for_server(server, interval=2, wait=120 * proof.slow)
        assert proof.admin.compute.get_server(server.id).hypervisor_hostname == host
    with proof.step(f"its console shows a lease, metadata and userspace ({host})"):
        console = proof.until(lambda: said(proof, server), "the instance is ready", 120)
        print("\n".join(f"            | {line}" for line in console.splitlines() if line.startswith("instance:")))
    return server


def boot(proof: Proof, host: str) -> Any:
    """Boot as the demo user would, but on a host of our choice, which only an admin of the project may name."""
    demo, admin = proof.demo, proof.admin
    role = admin.identity.find_role("admin", ignore_missing=False)
    project = demo.identity.get_project(demo.current_project_id)
    user = admin.identity.get_user(admin.current_user_id)
    admin.identity.assign_project_role_to_user(project, user, role)
    inside = admin.connect_as(project_id=project.id)
    body = {
        "name": f"{RUN}-{host}",
        "imageRef": demo.image.find_image("instance", ignore_missing=False).id,
        "flavorRef": demo.compute.find_flavor("m1.tiny", ignore_missing=False).id,
        "networks": [{"uuid": demo.network.find_network("net1", ignore_missing=False).id}],
        "host": host,
        "metadata": {"proof": RUN},
    }
    key = (proof.key.with_suffix(".pub")).read_text().strip()
    if not inside.compute.find_keypair(RUN):
        inside.compute.create_keypair(name=RUN, public_key=key)
        proof.undo.callback(inside.compute.delete_keypair, RUN)
    answer = inside.compute.post("/servers", json={"server": body | {"key_name": RUN}}, microversion="2.74")
    assert answer.ok, answer.text
    return demo.compute.get_server(answer.json()["server"]["id"])


def remove_server(proof: Proof, server: Any) -> None:
    proof.demo.compute.delete_server(server)
    proof.demo.compute.wait_for_delete(server, interval=2, wait=60 * proof.slow)


def said(proof: Proof, server: Any) -> str:
    output = str(proof.demo.compute.get_server_console_output(server)["output"])
    return output if "instance: ready" in output and "metadata ok" in output and "lease" in output else ""


def floating(proof: Proof, server: Any) -> str:
    with proof.step(f"{server.name} has a floating address"):
        port = next(iter(proof.demo.network.ports(device_id=server.id)))
        public = proof.demo.network.find_network("public", ignore_missing=False)
        address = proof.demo.network.create_ip(floating_network_id=public.id, port_id=port.id)
        proof.undo.callback(proof.demo.network.delete_ip, address)
        text = str(address.floating_ip_address)
        proof.until(
            lambda: subprocess.run(["ping", "-c1", "-W2", text], capture_output=True).returncode == 0, "ping", 60
        )
        return text


def log_in(proof: Proof, server: Any, address: str) -> paramiko.SSHClient:
    with proof.step(f"SSH to {server.name} at {address} with the injected key"):

        def attempt() -> paramiko.SSHClient:
            client = paramiko.SSHClient()
            client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
            client.connect(
                address,
                username="lab",
                key_filename=str(proof.key),
                allow_agent=False,
                look_for_keys=False,
                timeout=10 * proof.slow,
                banner_timeout=20 * proof.slow,
                auth_timeout=20 * proof.slow,
            )
            return client

        client = proof.until(attempt, "a login", 60)
        proof.undo.callback(client.close)
        assert shell(proof, client, "echo proven").strip() == "proven"
        return client


def shell(proof: Proof, client: paramiko.SSHClient, command: str) -> str:
    _, out, err = client.exec_command(command, timeout=60 * proof.slow)
    text, complaint, code = out.read().decode(), err.read().decode(), out.channel.recv_exit_status()
    assert code == 0, f"{command}: {code}: {text}{complaint}"
    return text


def attach(proof: Proof, server: Any, client: paramiko.SSHClient, volume: Any) -> None:
    cinder = proof.demo.block_storage
    with proof.step("the volume is attached, written, read back"):
        proof.demo.compute.create_volume_attachment(server, volume_id=volume.id)
        cinder.wait_for_status(volume, "in-use", failures=["error"], interval=1, wait=60 * proof.slow)
        proof.until(lambda: "vdb" in shell(proof, client, "cat /proc/partitions"), "the disk appears", 60)
        shell(proof, client, "sudo dd if=/dev/urandom of=/dev/vdb bs=64k count=16 && sync")
        assert shell(proof, client, "sudo dd if=/dev/vdb bs=64k count=16 2>/dev/null | wc -c").strip() == str(1024**2)
    with proof.step("the volume is detached"):
        proof.demo.compute.delete_volume_attachment(server, volume.id)
        cinder.wait_for_status(volume, "available", failures=["error"], interval=1, wait=60 * proof.slow)


def east_west(proof: Proof, servers: list[Any], client: paramiko.SSHClient) -> None:
    with proof.step("ping between the two compute nodes"):
        port = next(iter(proof.demo.network.ports(device_id=servers[1].id)))
        other = port.fixed_ips[0]["ip_address"]
        shell(proof, client, f"ping -c3 {other}")


if __name__ == "__main__":
    sys.exit(main())
