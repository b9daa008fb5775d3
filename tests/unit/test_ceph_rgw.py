"""The gateway of objects: Keystone's users and keys, its options, and that a cloud has one object store."""

from __future__ import annotations

import configparser

from labctl.changes import Python, Wait
from labctl.roles import ceph, fit
from labctl.roles.role import ROLES
from labctl.secret import reveal
from labctl.spec import topology
from tests.unit.test_ceph import files, steps
from tests.unit.test_roles import cloud

CONF = "/etc/ceph/ceph.conf"


def options() -> configparser.SectionProxy:
    parser = configparser.ConfigParser()
    parser.read_string(str(files(steps(cloud("ceph"), "ceph-rgw", "storage"))[CONF].content))
    return parser["client.rgw.storage"]


def test_keystone_says_who_may_store_objects_and_whose_signatures_are_right() -> None:
    found = options()
    assert found["rgw_keystone_url"] == "http://10.0.20.10:5000"  # without /v3: the version is an option
    assert found["rgw_keystone_accepted_roles"] == "admin, member"
    assert found["rgw_s3_auth_use_keystone"] == "true"
    assert found["rgw_keystone_admin_user"] == "ceph-rgw"


def test_the_catalogue_has_the_place_where_the_gateway_looks_for_the_project() -> None:
    found = steps(cloud("ceph"), "ceph-rgw", "controller")
    (made,) = (each for step in found for each in step.actions if isinstance(each, Python))
    (service,) = made.data["wanted"]["services"]
    assert service["type"] == "object-store"
    assert service["endpoints"]["public"] == "http://storage.example.org:8080/swift/v1/AUTH_%(project_id)s"
    assert options()["rgw_swift_account_in_url"] == "true"
    assert options()["rgw_frontends"] == "beast port=8080"


def test_the_gateways_password_is_in_a_file_of_its_own_and_in_no_other() -> None:
    made = cloud("ceph", **{"ceph-rgw": "blue'\"#;\\ heron"})
    found = files(steps(made, "ceph-rgw", "storage"))
    file = found[ceph.GATEWAY_PASSWORD]
    assert reveal(file.content) == "blue'\"#;\\ heron\n"
    assert (file.owner, file.mode) == ("ceph:ceph", 0o600)
    assert options()["rgw_keystone_admin_password_path"] == file.path
    assert not any("heron" in reveal(each.content) for path, each in found.items() if path != file.path)


def test_a_password_with_blanks_at_its_ends_is_refused() -> None:
    text = topology.load("ceph").document()
    for word, refused in ((" heron", True), ("heron ", True), ("blue heron", False), ("h", False)):
        text["openstack"]["passwords"] = {"ceph-rgw": word}
        assert bool(list(fit.problems(topology.restore(text)))) == refused, word


def test_the_monitor_knows_the_gateways_key_from_the_beginning() -> None:
    made = cloud("ceph")
    first = reveal(files(steps(made, "ceph-mon", "storage"))["/var/lib/ceph/tmp/first.keyring"].content)
    own = reveal(files(steps(made, "ceph-rgw", "storage"))[options()["keyring"]].content)
    assert own.splitlines()[0] == "[client.rgw.storage]"
    assert own.splitlines()[1] in first.partition("[client.rgw.storage]")[2]


def test_all_nodes_have_the_same_file_and_pools_that_are_small_enough_for_a_lab() -> None:
    made = cloud("ceph")
    roles = {"ceph-mon": "storage", "ceph-osd": "storage", "ceph-rgw": "storage", "compute": "compute1"}
    found = {files(steps(made, role, node))[CONF].content for role, node in roles.items()}
    assert len(found) == 1
    assert "osd_pool_default_pg_num = 8\n" in str(found.pop())
    assert "pg_num" not in str(files(steps(cloud("icehouse"), "ceph-mon", "osceph0"))[CONF].content)


def test_it_waits_for_the_boot_with_the_disks_that_it_needs() -> None:
    ready, runs = steps(cloud("ceph"), "ceph-rgw", "storage")
    assert (ready.live, runs.live) == (False, True)
    (wait,) = (each for each in runs.actions if isinstance(each, Wait))
    assert wait.until.endswith("http://10.0.20.20:8080/swift/healthcheck")
    assert "ceph-osd" in ROLES["ceph-rgw"].needs


def test_a_cloud_with_swift_has_no_gateway() -> None:
    text = topology.load("icehouse").document()
    text["nodes"]["osceph1"]["roles"].append("ceph-rgw")
    (problem,) = fit.problems(topology.restore(text))
    assert problem.location == ("nodes", "osceph1", "roles", 1)
    assert "osswift0 has the role swift" in problem.message
