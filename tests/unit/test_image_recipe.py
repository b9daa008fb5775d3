from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from labctl import data
from labctl.errors import InputError
from labctl.images import build, recipe
from labctl.images.store import Manifest

BASE = data.folder("images") / "debian-13"
OVERLAY = BASE / "overlay"


def unit(path: str) -> str:
    return (OVERLAY / "etc/systemd/system" / path).read_text()


@pytest.fixture
def once(tmp_path: Path) -> ModuleType:
    """Return the script that runs cloud-init in a node, its files moved below `tmp_path`."""
    loader = importlib.machinery.SourceFileLoader("once", str(OVERLAY / "usr/lib/labctl/cloud-init-once"))
    spec = importlib.util.spec_from_loader("once", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    for name, value in {"DATA": "data", "RUN": "run", "SEED": "seed", "SEMAPHORES": "sem"}.items():
        setattr(module, name, str(tmp_path / value))
    module.SCRIPTS = (str(tmp_path / "scripts"),)  # type: ignore[attr-defined]
    (tmp_path / "data").mkdir()
    (tmp_path / "seed").write_bytes(b"a seed")
    for name in ("status.json", "result.json"):
        (tmp_path / "data" / name).write_text("{}")
    return module


def test_every_shipped_recipe_loads() -> None:
    assert "debian-13" in recipe.names()
    for name in recipe.names():
        assert recipe.load(name).name == name


def test_an_unknown_recipe_is_named_with_those_that_exist() -> None:
    with pytest.raises(InputError, match=r"no recipe plan9") as caught:
        recipe.load("plan9")
    assert "debian-13" in str(caught.value)


def test_the_base_boots_under_emulation_with_both_consoles_and_old_interface_names() -> None:
    words = recipe.load("debian-13").kernel_cmdline.split()
    assert {"no_timer_check", "console=tty0", "console=ttyS0", "net.ifnames=0"} <= set(words)
    assert words.index("console=tty0") < words.index("console=ttyS0"), "the last console is /dev/console"


def test_no_package_is_listed_twice() -> None:
    for name in recipe.names():
        every = recipe.load(name, extras=recipe.additions(name))
        packages = [package for layer in every.layers for package in layer.packages]
        assert len(set(packages)) == len(packages), name


def test_a_recipe_that_extends_another_stands_on_its_layers_and_inherits_its_settings() -> None:
    base, above = recipe.load("debian-13"), recipe.load("openstack")
    assert above.layers[0] == base.layers[0]
    assert above.layers[1].folder.name == "openstack"
    assert (above.suite, above.size, above.kernel_cmdline) == (base.suite, base.size, base.kernel_cmdline)
    assert above.medium == ("instance",)


def test_a_layer_is_added_to_a_recipe_above_all_others() -> None:
    plain, more = recipe.load("openstack"), recipe.load("openstack", extras=["swift", "backup", "swift"])
    assert plain.extras == ()
    assert more.extras == ("backup", "swift")
    assert more.layers[: len(plain.layers)] == plain.layers
    assert [layer.folder.name for layer in more.layers[len(plain.layers) :]] == ["backup", "swift"]
    assert "swift-proxy" in more.layers[-1].packages


@pytest.mark.parametrize(("name", "extras"), [("openstack", ["sahara", "swift"]), ("debian-13", ["sahara"])])
def test_a_layer_that_there_is_not_is_refused_with_those_there_are(name: str, extras: list[str]) -> None:
    with pytest.raises(InputError, match=f"nothing called sahara can be added to recipe {name}") as caught:
        recipe.load(name, extras=extras)
    assert ("swift" in caught.value.details) == (name == "openstack")


@pytest.mark.parametrize("extras", [(), ("backup", "swift")])
def test_an_image_says_its_layers_and_one_without_reads_as_before_there_were_any(extras: tuple[str, ...]) -> None:
    made = Manifest(
        name="openstack",
        sha256="0" * 64,
        size=1,
        virtual_size=1,
        os_info="",
        created="2026-11-26T08:00:00+00:00",
        source="a test",
        extras=extras,
    )
    assert ("extras" in made.document()) == bool(extras)
    assert Manifest.from_json(json.dumps(made.document())) == made


def test_no_file_of_a_recipe_names_a_mirror() -> None:
    for file in data.folder("images").rglob("*"):
        if file.is_file():
            assert not re.search(r"https?://[^\s]*/debian(-security)?(\s|$)", file.read_text()), file


def test_cloud_init_looks_for_nocloud_only_and_lets_root_in_by_key() -> None:
    config = yaml.safe_load((OVERLAY / "etc/cloud/cloud.cfg").read_text())
    assert config["datasource_list"] == ["NoCloud"]
    assert config["disable_root"] is False
    assert {"write_files", "set_hostname", "ssh"} <= set(config["cloud_init_modules"])
    assert config["system_info"]["network"]["renderers"] == ["networkd"]


def test_the_guest_agent_starts_when_the_node_is_seeded_and_ssh_answers() -> None:
    after = re.search(r"^After=(.+)$", unit("qemu-guest-agent.service.d/10-labctl.conf"), re.M)
    assert after
    assert {"cloud-init-local.service", "cloud-final.service", "ssh.service"} <= set(after[1].split())


def test_the_seed_is_applied_before_the_network_and_ssh_start() -> None:
    before = re.search(r"^Before=(.+)$", unit("cloud-init-local.service"), re.M)
    assert before
    assert {"network-pre.target", "ssh.service"} <= set(before[1].split())


def test_the_initramfs_has_the_drivers_of_disk_network_and_seed() -> None:
    config = (OVERLAY / "etc/tiny-initramfs/tiny-initramfs.conf").read_text()
    modules = re.search(r"^INCLUDE_MODULES=(.+)$", config, re.M)
    assert modules
    assert {"virtio_blk", "virtio_net", "virtio_scsi", "sr_mod", "isofs"} <= set(modules[1].split(","))


def test_the_rule_that_grows_the_root_knows_the_size_that_it_starts_with() -> None:
    rule = (OVERLAY / "etc/udev/rules.d/90-labctl-grow.rules").read_text()
    assert f'ATTR{{size}}!="{recipe.load("debian-13").size * 1024**3 // 512}"' in rule


def test_apt_targets_give_debians_own_archives() -> None:
    listed = "\n".join(
        [
            "http://other.test/apt|Other|Other",
            "http://mirror.test/debian/|Debian|Debian",
            "http://second.test/debian|Debian|Debian",
            "http://mirror.test/debian-security|Debian|Debian-Security",
        ]
    )
    assert build.mirrors(listed) == {
        "Debian": "http://mirror.test/debian",
        "Debian-Security": "http://mirror.test/debian-security",
    }


def test_a_seed_is_new_until_it_was_applied(once: ModuleType) -> None:
    seed = once.fingerprint()
    assert not once.already_applied(seed)
    once.remember(seed)
    assert once.already_applied(seed)


def test_another_seed_is_new(once: ModuleType, tmp_path: Path) -> None:
    once.remember(once.fingerprint())
    (tmp_path / "seed").write_bytes(b"the seed of another generation")
    assert not once.already_applied(once.fingerprint())


def test_a_seed_that_was_applied_leaves_its_result_where_it_is_looked_for(once: ModuleType, tmp_path: Path) -> None:
    once.remember(once.fingerprint())
    assert once.already_applied(once.fingerprint())
    assert json.loads((tmp_path / "run/result.json").read_text()) == {}


def test_without_a_seed_nothing_counts_as_applied(once: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "seed").unlink()
    (tmp_path / "data/labctl-seed").write_text("")
    assert not once.already_applied(once.fingerprint())


def test_commands_for_every_boot_keep_a_seed_from_being_remembered(once: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "sem").mkdir()
    (tmp_path / "sem/config_bootcmd").touch()
    once.remember(once.fingerprint())
    assert not once.already_applied(once.fingerprint())


def test_scripts_of_the_seed_wait_for_the_network(once: ModuleType, tmp_path: Path) -> None:
    assert not once.scripts_wait()
    (tmp_path / "scripts").mkdir()
    assert not once.scripts_wait()
    (tmp_path / "scripts/runcmd").touch()
    assert once.scripts_wait()


def test_a_package_left_out_is_imported_when_it_is_used(once: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    later = once.Later("colorsys")
    monkeypatch.setitem(sys.modules, "colorsys", later)
    assert later.rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0)
    assert not isinstance(sys.modules["colorsys"], once.Later)


def test_a_lease_that_comes_while_the_last_one_is_written_is_not_lost(tmp_path: Path) -> None:
    """systemd starts a path's service no second time while it runs; a fork gets its lease right then."""
    script = (OVERLAY / "usr/lib/labctl/resolv-conf").read_text()
    leases = tmp_path / "leases"
    leases.mkdir()
    for before, after in {
        "/run/systemd/netif/leases": str(leases),
        "/run/labctl-resolv.conf": str(tmp_path / "resolv.conf"),
        "sleep 1": f"printf 'DNS=192.0.2.1 192.0.2.2\\nDOMAINNAME=example.org\\n' > {leases}/2",
    }.items():
        assert before in script
        script = script.replace(before, after)
    subprocess.run(["/bin/sh", "-c", script], check=True, timeout=30)
    written = (tmp_path / "resolv.conf").read_text()
    assert written == "nameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch example.org\n"
