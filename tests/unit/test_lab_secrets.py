"""The passwords of a cloud go from a golden set into its labs' records, and into sets that are made of these labs."""

from __future__ import annotations

from dataclasses import replace

from labctl.installing import passwords
from labctl.lab import install
from labctl.state import records
from tests.unit.fake_site import HOST_KEY, World


def test_a_lab_of_a_golden_set_has_the_sets_passwords_on_record_and_gives_them_on(world: World) -> None:
    world.create("red", named="allinone")
    known = passwords.complete({}, world.plan("red"))
    passwords.save(world.home.lab("red"), known)
    world.capture("red")
    world.create("green", named="allinone")
    assert install.ensure_secrets(world.home, world.site(), records.lab_of(world.home, "green")) == known
    assert passwords.load(world.home.lab("green")) == known
    assert install.cloud_on_record(world.home, "green").secrets == known
    assert world.capture("green", "again").secrets == known


def test_an_installation_knows_the_host_keys_that_the_labs_nodes_show(world: World) -> None:
    world.create("red", named="allinone")
    (line,) = install.cloud_on_record(world.home, "red").known_hosts.splitlines()
    names, key = line.split(maxsplit=1)
    assert {"allinone", str(world.plan("red").node("allinone").mgmt)} < set(names.split(","))
    assert key in world.host.guest("red-allinone").memory["files"][HOST_KEY]


def test_a_cloud_on_record_runs_instances_as_the_installer_saw(world: World) -> None:
    """Otherwise `install --diff` would take KVM from compute nodes that have it."""
    world.create("red", named="allinone")
    assert install.cloud_on_record(world.home, "red").nested == {"allinone": "qemu"}
    folder = world.home.lab("red")
    folder.save(replace(records.record_of(world.home, "red"), nested={"allinone": "kvm"}))
    assert install.cloud_on_record(world.home, "red").nested == {"allinone": "kvm"}
