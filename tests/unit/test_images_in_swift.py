"""Images in Swift: a topology says so, and what goes with them follows; other topologies are as they were."""

from __future__ import annotations

import configparser
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from labctl import quoting
from labctl.changes import Packages, PutFile
from labctl.cloud.cloud import Cloud
from labctl.installing.tasks import plan_tasks
from labctl.roles import fit
from labctl.roles.role import ROLES, Step
from labctl.sabotage.draw import applies
from labctl.sabotage.fault import FAULTS, Scene
from labctl.secret import reveal
from labctl.spec import topology
from tests.unit.test_passwords import every
from tests.unit.test_roles import cloud, inis

CONF = "/etc/glance/glance-api.conf"


def in_swift(**passwords: str) -> Cloud:
    """Return the cloud of grizzly with its images in Swift."""
    made = cloud("grizzly", **passwords)
    spec = made.spec.model_copy(update={"images": "swift"})
    return replace(made, spec=spec, lab=replace(made.lab, openstack=spec))


def steps(made: Cloud, role: str) -> list[Step]:
    return [step for task in plan_tasks(made, only=role) for step in task.steps]


def login(made: Cloud) -> PutFile:
    actions = [each for step in steps(made, "glance") for each in step.actions]
    (found,) = (each for each in actions if isinstance(each, PutFile) and each.path == "/etc/glance/swift.conf")
    return found


def test_new_images_become_objects_and_the_folder_stays_readable() -> None:
    made = in_swift()
    values = inis(made, "glance")[CONF]
    assert values["DEFAULT"]["enabled_backends"] == "local:file,swift:swift"
    assert values["glance_store"]["default_backend"] == "swift"
    assert values["swift"]["swift_store_config_file"] == login(made).path
    assert values["swift"]["swift_store_endpoint_type"] == "internalURL"
    assert values["local"] == inis(cloud("grizzly"), "glance")[CONF]["local"]
    packages = {
        name
        for step in steps(made, "glance")
        for each in step.actions
        if isinstance(each, Packages)
        for name in each.names
    }
    assert "python3-swiftclient" in packages


def test_glances_login_is_in_a_file_for_glance_alone_whose_section_its_configuration_names() -> None:
    made = in_swift()
    file = login(made)
    assert (file.owner, file.mode) == ("glance:glance", 0o600)
    parser = configparser.ConfigParser()
    parser.read_string(reveal(file.content))
    assert parser.sections() == [inis(made, "glance")[CONF]["swift"]["default_swift_reference"]]
    assert parser["lab"]["user"] == "service:glance"
    assert parser["lab"]["auth_address"] == made.auth_url()


def test_every_password_is_read_back_as_glances_store_reads_it() -> None:
    for password in every():
        parser = configparser.ConfigParser()
        parser.read_string(f"[lab]\nkey = {quoting.parser(password)}\n")
        read = parser.get("lab", "key")
        assert read[0] == read[-1] == '"'  # which SwiftConfigParser takes away
        assert read[1:-1] == password


def test_swift_is_there_before_glance_and_the_first_image_waits_for_its_disks() -> None:
    made = in_swift()
    order = [task.role for task in plan_tasks(made)]
    assert order.index("swift-storage") < order.index("swift") < order.index("glance") < order.index("tenant")
    assert steps(made, "tenant")[0].live
    assert not any(step.live for step in steps(cloud("grizzly"), "tenant"))


@pytest.mark.parametrize("name", ["gridka", "allinone", "havana", "grizzly", "icehouse"])
def test_a_cloud_that_says_nothing_keeps_images_in_a_folder(name: str) -> None:
    made = cloud(name)
    values = inis(made, "glance")[CONF]
    assert values["glance_store"] == {"default_backend": "local"}
    assert "swift" not in values
    assert ("rbd" in values) == (name == "icehouse")
    files = [each.path for step in steps(made, "glance") for each in step.actions if isinstance(each, PutFile)]
    assert "/etc/glance/swift.conf" not in files


def test_images_in_swift_need_the_role_swift() -> None:
    text = topology.load("allinone").document()
    text["openstack"]["images"] = "swift"
    (problem,) = fit.problems(topology.restore(text))
    assert problem.location == ("openstack", "images")
    assert "no node has the role swift" in problem.message


@pytest.mark.parametrize("stores", ["local", "swift", "rbd"])
def test_cleaning_up_after_a_reset_deletes_no_image_that_is_elsewhere_than_in_the_folder(
    stores: str, tmp_path: Path
) -> None:
    asked, program = tmp_path / "asked", tmp_path / "openstack"
    shown = json.dumps({"id": "one", "properties": {"os_hidden": False, "stores": stores}}, indent=2)
    answers = f"case $2 in list) echo one;; show) cat <<'END'\n{shown}\nEND\n;; esac"
    program.write_text(f'#!/bin/sh\necho "$@" >>{asked}\n{answers}\n')
    program.chmod(0o755)
    line = f"set -e; {ROLES['glance'].clean.strip()}"
    subprocess.run(["sh", "-c", line], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True)
    assert ("image delete one" in asked.read_text()) == (stores == "local")


def test_faults_of_the_folder_of_images_are_not_drawn_where_images_are_in_swift() -> None:
    here, there = (Scene(lab=made.lab) for made in (cloud("gridka"), in_swift()))
    for name in ("GL-02", "GL-03", "GL-06", "GL-08"):
        assert applies(FAULTS[name], here)
        assert not applies(FAULTS[name], there)
    assert here.library(Random(1)).name == "image-node"
