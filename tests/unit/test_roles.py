"""The contract of roles: what holds for every role of every shipped topology with a cloud."""

from __future__ import annotations

import graphlib
import shlex
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
import yaml
from netaddr import IPAddress, IPNetwork, IPRange

from labctl.changes import Ini, Packages, Permissions, PutFile, Python, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.errors import InputError
from labctl.images import recipe
from labctl.installing.passwords import complete
from labctl.installing.tasks import Task, packages_first, plan_tasks
from labctl.plan.lab import INSTALLED, plan
from labctl.plan.model import Identity
from labctl.roles import fit, login
from labctl.roles.role import ROLES, Step, units
from labctl.roles.shared import forget_reports
from labctl.secret import Secret, reveal
from labctl.spec import topology

CLOUDS = ("gridka", "allinone", "havana", "icehouse", "grizzly", "ceph")
IDENTITY = Identity(team="team01", lab=UUID(int=1), owner=UUID(int=2), mgmt=IPNetwork("192.168.99.0/24"))


def cloud(name: str, **passwords: str) -> Cloud:
    spec = topology.load(name)
    assert spec.openstack is not None
    spec = spec.model_copy(update={"openstack": spec.openstack.model_copy(update={"passwords": passwords})})
    lab = plan(spec, IDENTITY, stage=INSTALLED)
    nested = {node.name: "qemu" for node in lab.nodes}
    return Cloud.of(lab, complete({}, lab), slow=True, nested=nested)


@pytest.fixture(params=CLOUDS)
def tasks(request: pytest.FixtureRequest) -> tuple[Cloud, list[Task]]:
    made = cloud(request.param)
    return made, plan_tasks(made)


def test_every_step_stands_on_a_node_of_the_lab_and_does_something(tasks: tuple[Cloud, list[Task]]) -> None:
    made, planned = tasks
    nodes = {node.name for node in made.lab.nodes}
    for task in planned:
        for step in task.steps:
            assert step.node in nodes, step
            assert step.actions, step


@pytest.mark.parametrize("password", ["zq", "zq'z\"q", "zq/z q@%$", "zqüß"])
@pytest.mark.parametrize("name", CLOUDS)
def test_no_description_shows_a_secret_however_it_is_written(name: str, password: str) -> None:
    made = cloud(name, **{"*": password})
    for task in plan_tasks(made):
        for step in task.steps:
            for action in step.actions:
                assert "zq" not in action.describe(), (task.name, action.describe())
                assert "PRIVATE KEY" not in action.describe()
                assert "zq" not in repr(action)


def test_no_secret_stands_where_it_would_be_shown(tasks: tuple[Cloud, list[Task]]) -> None:
    made, planned = tasks
    hidden = {name: value for name, value in made.secrets.items() if not name.endswith("-public")}
    for task in planned:
        for step in task.steps:
            for action in step.actions:
                shown = [step.title]
                if isinstance(action, Run):
                    shown += [action.command, action.unless]
                if isinstance(action, Python):
                    shown += [action.title, action.source]
                for name, value in hidden.items():
                    assert all(value not in text for text in shown), (task.name, name)


def test_a_file_with_a_secret_is_for_its_owner_alone(tasks: tuple[Cloud, list[Task]]) -> None:
    _, planned = tasks
    for task in planned:
        for step in task.steps:
            for action in step.actions:
                if isinstance(action, PutFile) and isinstance(action.content, Secret):
                    assert action.mode & 0o077 == 0, action.path


def test_needs_are_roles_and_no_circle() -> None:
    graph = {role.name: role.needs for role in ROLES}
    assert set().union(*graph.values()) <= set(graph)
    list(graphlib.TopologicalSorter(graph).static_order())


def test_tasks_come_after_those_that_they_need(tasks: tuple[Cloud, list[Task]]) -> None:
    _, planned = tasks
    seen: set[str] = set()
    for task in planned:
        assert set(task.needs) <= seen, task.name
        seen.add(task.name)


def test_until_a_chapter_means_what_it_needs_and_the_clock() -> None:
    planned = plan_tasks(cloud("gridka"), until="glance")
    assert {task.role for task in planned} == {"chrony", "mariadb", "memcached", "keystone", "glance"}


def test_only_means_that_role_alone() -> None:
    assert {task.role for task in plan_tasks(cloud("gridka"), only="cinder")} == {"cinder"}


def test_some_nodes_alone_keep_the_order_of_all() -> None:
    every, some = plan_tasks(cloud("gridka")), plan_tasks(cloud("gridka"), on={"image-node"})
    assert [(task.name, task.needs) for task in some] == [(task.name, task.needs) for task in every]
    assert {step.node for task in some for step in task.steps} == {"image-node"}
    assert "glance" in {task.role for task in some if task.steps}


def test_each_node_installs_what_all_its_tasks_need_before_the_first_of_them() -> None:
    planned = packages_first(plan_tasks(cloud("gridka"), until="glance"))
    first = {task.node: (task, packages(task.steps[0])) for task in planned if task.role == "packages"}
    assert "keystone" in first["auth-node"][1]
    assert not any("nova-compute" in names for _, names in first.values())
    for task in planned:
        for step in task.steps if task.role != "packages" else ():
            before, names = first[step.node]
            assert before.name in task.needs
            assert packages(step) <= names


def packages(step: Step) -> set[str]:
    return {name for action in step.actions if isinstance(action, Packages) for name in action.names}


def test_a_role_that_no_node_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="no node of this lab has the role swift") as caught:
        plan_tasks(cloud("gridka"), until="swift")
    assert "keystone" in caught.value.details


def test_endpoints_are_internal_addresses_and_public_names() -> None:
    made = cloud("gridka")
    services = [
        service
        for task in plan_tasks(made, only="glance")
        for step in task.steps
        for action in step.actions
        if isinstance(action, Python)
        for service in action.data["wanted"].get("services", [])
    ]
    assert services[0]["endpoints"] == {
        "public": "http://image-node.example.org:9292",
        "internal": "http://10.0.0.5:9292",
        "admin": "http://10.0.0.5:9292",
    }


@pytest.mark.parametrize(("name", "kind"), [("gridka", "vlan"), ("allinone", "vlan"), ("havana", "vxlan")])
def test_tenant_networks_are_vlans_where_there_is_a_private_network(name: str, kind: str) -> None:
    values = {
        action.path: action.values
        for task in plan_tasks(cloud(name), only="neutron")
        for step in task.steps
        for action in step.actions
        if isinstance(action, Ini)
    }
    assert values["/etc/neutron/plugins/ml2/ml2_conf.ini"]["ml2"]["tenant_network_types"] == kind


def inis(made: Cloud, only: str) -> dict[str, dict[str, dict[str, object]]]:
    """Return the settings that a role writes, by file."""
    steps = [step for task in plan_tasks(made, only=only) for step in task.steps]
    return {each.path: each.values for step in steps for each in step.actions if isinstance(each, Ini)}


def havana_with(**settings: str) -> Cloud:
    """Return the cloud of havana with other settings."""
    made = cloud("havana")
    return replace(made, spec=made.spec.model_copy(update=settings))


@pytest.mark.parametrize(("carrier", "numbers"), [("gre", "tunnel_id_ranges"), ("vxlan", "vni_ranges")])
def test_tunnels_are_made_at_both_ends_of_the_kind_that_is_asked_for(carrier: str, numbers: str) -> None:
    made = havana_with(tunnel=carrier)
    ml2 = inis(made, "neutron")["/etc/neutron/plugins/ml2/ml2_conf.ini"]
    assert ml2["ml2"]["tenant_network_types"] == carrier
    assert carrier in str(ml2["ml2"]["type_drivers"]).split(",")
    assert ml2[f"ml2_type_{carrier}"] == {numbers: "1:1000"}
    for role in ("gateway", "compute"):
        steps = [step for task in plan_tasks(made, only=role) for step in task.steps]
        (agent,) = (
            each.values
            for step in steps
            for each in step.actions
            if isinstance(each, Ini) and each.path.endswith("openvswitch_agent.ini")
        )
        assert agent["agent"]["tunnel_types"] == carrier
        assert agent["ovs"]["local_ip"] == made.address(made.node(role))


def test_instances_move_between_compute_nodes_by_a_key_that_serves_there_alone() -> None:
    made = cloud("gridka")
    files = {
        each.path: each
        for task in plan_tasks(made, only="compute")
        for step in task.steps
        if step.node == "compute-2"
        for each in step.actions
        if isinstance(each, PutFile)
    }
    private, allowed = (files[f"/var/lib/nova/.ssh/{name}"] for name in ("id_ed25519", "authorized_keys"))
    assert reveal(private.content) == made.secrets["nova-key"]
    assert reveal(allowed.content) == f'restrict,from="10.0.0.20,10.0.0.21" {made.secrets["nova-key-public"]}\n'
    assert {(each.owner, each.mode) for each in (private, allowed)} == {("nova:nova", 0o600)}
    libvirt = inis(made, "compute")["/etc/nova/nova.conf"]["libvirt"]
    assert libvirt["live_migration_uri"] == "qemu+ssh://nova@%s/system"
    assert libvirt["live_migration_inbound_addr"] == "10.0.0.21"


def test_a_compute_node_logs_in_to_those_alone_whose_host_keys_the_lab_has_given_out() -> None:
    made = replace(cloud("gridka"), known_hosts="compute-1,10.0.0.20 ssh-ed25519 AAAA\n")
    steps = [step for task in plan_tasks(made, only="compute") for step in task.steps if step.node == "compute-2"]
    files = {each.path: (step, each) for step in steps for each in step.actions if isinstance(each, PutFile)}
    _, client = files["/etc/ssh/ssh_config.d/50-labctl-nova.conf"]
    assert str(client.content).startswith("Match user nova host 10.0.0.20,10.0.0.21\n")
    assert "    StrictHostKeyChecking yes\n" in str(client.content)
    assert "UserKnownHostsFile" not in str(client.content)  # nor is ssh told to look elsewhere
    step, known = files["/etc/ssh/ssh_known_hosts"]
    assert known.content == made.known_hosts
    assert step.live  # while disks are baked nobody has a host key
    running = [number for number, each in enumerate(steps) if any(isinstance(it, Unit) for it in each.actions)]
    assert steps.index(step) > max(running)  # a new file restarts what comes after it


@pytest.mark.parametrize("name", ["allinone", "havana"])
def test_where_there_is_one_compute_node_an_instance_is_resized_on_it_and_nobody_logs_in(name: str) -> None:
    made = cloud(name)
    for role in ("nova", "compute"):
        assert inis(made, role)["/etc/nova/nova.conf"]["DEFAULT"]["allow_resize_to_same_host"] is True
    assert "libvirt" not in inis(made, "compute")["/etc/nova/nova.conf"]
    steps = [step for task in plan_tasks(made, only="compute") for step in task.steps]
    assert not [each for step in steps for each in step.actions if isinstance(each, PutFile) and "ssh" in each.path]
    assert "allow_resize_to_same_host" not in inis(cloud("gridka"), "nova")["/etc/nova/nova.conf"]["DEFAULT"]


def test_aggregates_may_be_for_one_project_or_for_some_flavors() -> None:
    filters = str(inis(cloud("gridka"), "nova")["/etc/nova/nova.conf"]["filter_scheduler"]["enabled_filters"]).split(
        ","
    )
    assert {"AggregateMultiTenancyIsolation", "AggregateInstanceExtraSpecsFilter", "ComputeFilter"} <= set(filters)
    assert len(set(filters)) == len(filters)


def test_every_node_of_the_object_store_makes_the_same_rings_from_the_topology() -> None:
    made = cloud("icehouse")
    rings = {
        step.node: each.data
        for role in ("swift", "swift-storage")
        for task in plan_tasks(made, only=role)
        for step in task.steps
        for each in step.actions
        if isinstance(each, Python) and "rings" in each.title
    }
    assert set(rings) == {"osswift0", "osswift1", "osswift2"}
    first, *others = rings.values()
    assert all(other == first for other in others)
    assert first["replicas"] == 3
    assert [(each["zone"], each["ip"], each["replication_ip"], each["device"]) for each in first["devices"]] == [
        (zone, f"192.168.182.{143 + zone}", f"10.0.100.{138 + zone}", device)
        for zone in (1, 2, 3)
        for device in ("vdb", "vdc", "vdd")
    ]


def test_backups_are_made_where_volumes_are_and_reported() -> None:
    made = cloud("allinone")
    (node,) = made.lab.nodes
    more = replace(made, lab=replace(made.lab, nodes=(replace(node, roles=(*node.roles, "cinder-backup")),)))
    assert (
        inis(more, "cinder-backup")["/etc/cinder/cinder.conf"]["DEFAULT"]["backup_posix_path"]
        == "/var/lib/cinder/backups"
    )
    waits = [
        each
        for task in plan_tasks(more, only="cinder-backup")
        for step in task.steps
        for each in step.actions
        if isinstance(each, Wait)
    ]
    assert "cinder-backup of allinone report" in waits[0].what


def test_objects_are_on_the_disks_that_no_volume_group_takes() -> None:
    (task,) = plan_tasks(cloud("grizzly"), only="swift-storage")
    actions = [each for step in task.steps for each in step.actions]
    made = [each.command for each in actions if isinstance(each, Run) and "mkfs" in each.command]
    assert made == ["mkdir -p /srv/node/vdc && mkfs.xfs -q -L swift-vdc /dev/vdc"]
    (rings,) = (each.data for each in actions if isinstance(each, Python))
    assert (rings["replicas"], len(rings["devices"])) == (1, 1)


def test_s3_comes_after_tokens_and_logs_in_to_ask_about_signatures() -> None:
    proxy = inis(cloud("icehouse"), "swift")["/etc/swift/proxy-server.conf"]
    words = str(proxy["pipeline:main"]["pipeline"]).split()
    order = [words.index(word) for word in ("cache", "authtoken", "s3api", "s3token", "keystoneauth", "slo")]
    assert order == sorted(order)
    assert proxy["filter:s3token"]["username"] == "swift"
    assert proxy["DEFAULT"]["workers"] == 0


def test_swifts_secrets_are_for_swift_alone() -> None:
    for role, files in (("swift", {"proxy-server.conf", "swift.conf"}), ("swift-storage", {"swift.conf"})):
        actions = [
            each for task in plan_tasks(cloud("icehouse"), only=role) for step in task.steps for each in step.actions
        ]
        secret = {each.path for each in actions if isinstance(each, Ini) and "Secret" in repr(shapes(each.values))}
        closed = {each.path for each in actions if isinstance(each, Permissions) and each.mode == 0o640}
        assert secret == closed == {f"/etc/swift/{name}" for name in files}


def told(made: Cloud, role: str) -> dict[str, dict[str, object]]:
    """Return the first settings that a role writes of its main service."""
    return next(iter(inis(made, role).values()))


@pytest.mark.parametrize("name", ["gridka", "allinone", "havana"])
def test_where_nobody_listens_services_tell_nothing_and_nobody_names_addresses(name: str) -> None:
    made = cloud(name)
    for role in ("glance", "nova", "neutron", "cinder", "compute", "gateway"):
        for path, values in inis(made, role).items():
            assert not {"oslo_messaging_notifications", "notifications", "designate"} & values.keys(), path
            assert "instance_usage_audit" not in values.get("DEFAULT", {})
            assert "external_dns_driver" not in values.get("DEFAULT", {})
    assert "DEFAULT" not in told(made, "glance") or "transport_url" not in told(made, "glance")["DEFAULT"]
    assert inis(made, "neutron")["/etc/neutron/plugins/ml2/ml2_conf.ini"]["ml2"]["extension_drivers"] == "port_security"


def test_services_tell_what_they_do_where_a_cloud_has_telemetry() -> None:
    made = cloud("icehouse")
    for role in ("glance", "nova", "neutron", "cinder", "heat", "compute"):
        values = told(made, role)
        assert values["oslo_messaging_notifications"]["driver"] == "messagingv2", role
        assert "transport_url" in values["DEFAULT"]
    assert told(made, "compute")["DEFAULT"]["instance_usage_audit"] is True


def test_agents_of_telemetry_ask_for_what_the_cloud_has() -> None:
    def polled(made: Cloud) -> set[str]:
        (content,) = {
            str(each.content)
            for task in plan_tasks(made, only="ceilometer")
            for step in task.steps
            for each in step.actions
            if isinstance(each, PutFile)
        }
        return {meter for source in yaml.safe_load(content)["sources"] for meter in source["meters"]}

    made = cloud("icehouse")
    assert {"image.size", "volume.size", "cpu"} <= polled(made)
    nodes = [replace(node, roles=tuple(set(node.roles) - {"cinder", "ceilometer-compute"})) for node in made.lab.nodes]
    assert polled(replace(made, lab=replace(made.lab, nodes=tuple(nodes)))) == {"image.size", "ip.floating"}
    alone = [replace(node, roles=tuple({*node.roles} & {"ceilometer", "gnocchi"})) for node in nodes]
    keep = [
        replace(node, roles=(*each.roles, *({*node.roles} & {"keystone", "mariadb", "rabbitmq", "memcached"})))
        for node, each in zip(nodes, alone, strict=True)
    ]
    assert polled(replace(made, lab=replace(made.lab, nodes=tuple(keep)))) == set()


def test_demos_servers_get_names_in_its_zone_where_a_cloud_has_names() -> None:
    made = cloud("grizzly")
    values = told(made, "neutron")
    assert values["DEFAULT"]["dns_domain"] == "cloud.example.org."
    assert values["designate"]["url"] == "http://10.10.10.1:9001/v2"
    assert "dns" in str(
        inis(made, "neutron")["/etc/neutron/plugins/ml2/ml2_conf.ini"]["ml2"]["extension_drivers"]
    ).split(",")
    wanted = [
        each.data["wanted"]
        for task in plan_tasks(made, only="tenant")
        for step in task.steps
        for each in step.actions
        if isinstance(each, Python)
    ]
    networks = {each["name"]: each for data in wanted for each in data.get("networks", [])}
    assert networks["net1"]["dns_domain"] == "cloud.example.org."
    assert "dns_domain" not in networks["public"]


def test_bind_and_its_master_have_the_same_key_each_for_itself() -> None:
    files = {
        each.path: each
        for task in plan_tasks(cloud("grizzly", **{"designate-rndc": 'a"b; }'}), only="designate")
        for step in task.steps
        for each in step.actions
        if isinstance(each, PutFile)
    }
    mine, its = files["/etc/designate/rndc.key"], files["/etc/bind/designate.key"]
    assert reveal(mine.content) == reveal(its.content)
    assert 'secret "YSJiOyB9";' in reveal(mine.content)
    assert (mine.owner, its.owner) == ("designate:designate", "bind:bind")
    (pool,) = yaml.safe_load(str(files["/etc/designate/pools.yaml"].content))
    assert pool["targets"][0]["options"]["rndc_key_file"] == mine.path
    assert pool["targets"][0]["masters"] == [{"host": "10.10.10.1", "port": 5354}]


def test_demos_zone_has_the_nodes_public_names() -> None:
    (data,) = (
        each.data
        for task in plan_tasks(cloud("grizzly"), only="designate")
        for step in task.steps
        for each in step.actions
        if isinstance(each, Python) and "zone" in each.title
    )
    assert data["name"] == "cloud.example.org."
    assert data["addresses"] == {
        "controller.cloud.example.org.": "192.168.0.101",
        "compute1.cloud.example.org.": "192.168.0.102",
        "compute2.cloud.example.org.": "192.168.0.103",
    }


def test_telemetry_of_instances_is_for_compute_nodes() -> None:
    spec = topology.load("icehouse")
    nodes = {**spec.nodes, "osmeter": spec.nodes["osmeter"].model_copy(update={"roles": ["ceilometer-compute"]})}
    found = [each.message for each in fit.problems(spec.model_copy(update={"nodes": nodes}))]
    assert any("give it to a node with the role compute" in message for message in found)


def shapes(values: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Return the names of the types of all values."""
    return [type(value).__name__ for options in values.values() for value in options.values()]


def test_packages_that_the_image_lacks_are_in_the_layer_of_their_role() -> None:
    def names(extras: Iterable[str]) -> set[str]:
        return {name for layer in recipe.load("openstack", extras=extras).layers for name in layer.packages}

    plain, layers = names(()), recipe.additions("openstack")
    for made in map(cloud, CLOUDS):
        for task in plan_tasks(made):
            lacking = {each for step in task.steps for each in packages(step) if each in names(layers)} - plain
            if task.role == "compute" and made.spec.disks == "ceph":  # which asks for a role of that layer
                lacking -= names(["ceph"])
            assert bool(lacking) <= bool(ROLES[task.role].layer), task.role
            if lacking:
                assert lacking <= names([ROLES[task.role].layer]), task.role
    assert {role.layer for role in ROLES} - {""} <= layers.keys()


def test_with_the_hybrid_firewall_iptables_sees_what_passes_the_bridges() -> None:
    for made, bridged in ((cloud("havana"), False), (havana_with(firewall="iptables_hybrid"), True)):
        actions = [each for task in plan_tasks(made, only="compute") for step in task.steps for each in step.actions]
        agent = inis(made, "compute")["/etc/neutron/plugins/ml2/openvswitch_agent.ini"]["securitygroup"]
        assert agent == {"firewall_driver": made.spec.firewall, "enable_ipset": bridged}
        assert any(isinstance(each, Run) and each.command == "modprobe br_netfilter" for each in actions) == bridged


@pytest.mark.parametrize("virt", ["kvm", "qemu"])
def test_kvm_is_loaded_at_each_boot_of_a_node_whose_instances_need_it(virt: str) -> None:
    made = cloud("havana")
    made = replace(made, nested=dict.fromkeys(made.nested, virt))
    actions = [each for task in plan_tasks(made, only="compute") for step in task.steps for each in step.actions]
    loads = [
        each for each in actions if isinstance(each, PutFile) and "modprobe -qa kvm_intel kvm_amd" in str(each.content)
    ]
    assert bool(loads) == (virt == "kvm")
    assert {each.path for each in loads} <= {"/etc/systemd/system/libvirtd.service.d/kvm.conf"}


def test_the_clock_is_the_node_that_the_topology_names() -> None:
    assert havana_with().clock() == "controller"
    assert havana_with(clock="compute1").clock() == "compute1"


@pytest.mark.parametrize(("name", "pool"), [("gridka", "172.16.1.1-172.16.1.254"), ("havana", "10.0.0.129-10.0.0.253")])
def test_the_public_networks_gateway_is_no_floating_address(name: str, pool: str) -> None:
    steps = [step for task in plan_tasks(cloud(name)) for step in task.steps]
    ensures = [action for step in steps for action in step.actions if isinstance(action, Python)]
    networks = [network for action in ensures for network in action.data["wanted"].get("networks", ())]
    (subnet,) = (network["subnet"] for network in networks if network["name"] == "public")
    (allocation,) = subnet["allocation_pools"]
    assert f"{allocation['start']}-{allocation['end']}" == pool
    assert IPAddress(subnet["gateway_ip"]) not in IPRange(allocation["start"], allocation["end"])


def test_network_agents_start_when_neutron_knows_the_open_vswitch_agent() -> None:
    (task,) = plan_tasks(cloud("allinone"), only="gateway")
    actions = [action for step in task.steps for action in step.actions]
    heard = next(n for n, action in enumerate(actions) if isinstance(action, Wait) and "openvswitch" in action.what)
    started = next(n for n, action in enumerate(actions) if isinstance(action, Unit) and "dhcp" in str(action.names))
    listens = next(n for n, action in enumerate(actions) if isinstance(action, Wait) and "dhcp_agent" in action.until)
    assert heard < started < listens


def test_what_needs_the_nodes_own_kernel_is_left_out_of_baking() -> None:
    live = {task.role for task in plan_tasks(cloud("gridka")) if any(step.live for step in task.steps)}
    assert live == {"chrony", "cinder", "compute", "gateway", "heat", "nova"}


def test_pinned_passwords_are_used_and_the_star_stands_for_the_others() -> None:
    secrets = cloud("gridka", admin="chosen-1", **{"*": "chosen-2"}).secrets
    assert secrets["admin"] == "chosen-1"
    assert secrets["glance-db"] == "chosen-2"


def test_a_password_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="no role uses: octavia"):
        cloud("gridka", octavia="secret-1")


def test_two_labs_have_no_secret_in_common() -> None:
    one, other = cloud("gridka").secrets, cloud("gridka").secrets
    assert not set(one.values()) & set(other.values())


def test_processes_of_novas_apis_have_one_thread_each(tasks: tuple[Cloud, list[Task]]) -> None:
    actions = [action for task in tasks[1] for step in task.steps for action in step.actions]
    apis = [each for each in actions if isinstance(each, Ini) and each.path.startswith("/etc/nova/nova-api")]
    assert len(apis) == 2
    assert all(api.values["uwsgi"]["threads"] == 1 for api in apis)  # they are patched by eventlet


def test_a_record_that_another_service_changed_is_no_error(tasks: tuple[Cloud, list[Task]]) -> None:
    actions = [action for task in tasks[1] for step in task.steps for action in step.actions]
    (database,) = (each for each in actions if isinstance(each, Ini) and "/mariadb.conf.d/" in each.path)
    assert database.values["mysqld"]["innodb_snapshot_isolation"] == "OFF"  # the default of 11.6 and later is ON


def test_who_reports_is_asked_of_the_database(tasks: tuple[Cloud, list[Task]]) -> None:
    made, planned = tasks
    waits = {
        action.what: step.node
        for task in planned
        for step in task.steps
        for action in step.actions
        if isinstance(action, Wait) and action.what.endswith(" report")
    }
    for node in made.nodes("compute"):
        assert waits[f"nova-compute, neutron-openvswitch-agent of {node} report"] == made.node("mariadb")
    apart = len(made.nodes("cinder-volume"))
    assert len(waits) == len(made.nodes("compute")) + apart + 4  # Nova, Cinder, and the gateway twice


def test_a_node_is_down_for_the_others_wherever_its_services_report() -> None:
    *_, statements = shlex.split(forget_reports(cloud("gridka"), "network-node"))
    columns = (
        "cinder.services SET updated_at",
        "neutron.agents SET heartbeat_timestamp",
        "nova.services SET last_seen_up",
    )
    where = "WHERE SUBSTRING_INDEX(host, '@', 1) = 'network-node'"
    assert statements == " ".join(f"UPDATE {column} = '2000-01-01' {where};" for column in columns)


def test_every_node_logs_in_by_a_network_that_it_is_on() -> None:
    made = cloud("gridka")
    for node in ("compute-1", "db-node"):
        public = node == "db-node"
        for text in map(reveal, (login.openrc(made, "admin", node), login.clouds_yaml(made, node))):
            assert ("auth-node.example.org" in text) == public
            assert ("http://10.0.0.4:5000/v3" in text) == (not public)
            assert ("public" if public else "internal") in text


@pytest.mark.parametrize("name", [role.name for role in ROLES if " delete " in role.clean])
@pytest.mark.parametrize("works", [True, False])
def test_cleaning_up_deletes_what_is_gone_and_fails_aloud(name: str, works: bool, tmp_path: Path) -> None:
    program, asked = tmp_path / "openstack", tmp_path / "asked"
    program.write_text(
        f'#!/bin/sh\necho "$@" >>{asked}\n'
        f'case $2 in list) echo one; echo two; {"" if works else "exit 1"};; show) echo \'"stores": "local"\';; esac\n'
    )
    program.chmod(0o755)
    line = f"set -e; {ROLES[name].clean.strip()}"
    done = subprocess.run(["sh", "-c", line], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert (done.returncode == 0) == works
    assert asked.read_text().endswith("one two\n") == works


@pytest.mark.parametrize("works", [True, False])
def test_a_name_server_that_was_reset_takes_up_the_zones_that_it_forgot(works: bool, tmp_path: Path) -> None:
    conf, asked = tmp_path / "designate.conf", tmp_path / "asked"
    conf.write_text("[service:mdns]\nlisten = 10.10.10.1:5354\n")
    for name, line in (
        ("openstack", "echo one.; echo two.; " + ("" if works else "exit 1")),
        ("rndc", f'shift 2; [ "$1 $2" = "zonestatus two." ] || [ $1 = addzone ] && echo "$@" >>{asked}'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    line = f"set -e; {ROLES['designate'].clean.strip()}".replace("/etc/designate/designate.conf", f"{conf}")
    done = subprocess.run(["sh", "-c", line], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert (done.returncode == 0) == works
    said = asked.read_text() if works else ""
    assert ("addzone one. { type secondary; primaries { 10.10.10.1 port 5354; };" in said) == works
    assert "addzone two." not in said


def test_apis_under_uwsgi_tell_that_they_end_each_connection(tasks: tuple[Cloud, list[Task]]) -> None:
    actions = [action for task in tasks[1] for step in task.steps for action in step.actions]
    apis = [each for each in actions if isinstance(each, Ini) and each.path.endswith("-uwsgi.ini")]
    assert len(apis) == 7 + len(
        [node for name in ("heat", "heat-cfn", "gnocchi", "aodh", "designate", "ec2") for node in tasks[0].nodes(name)]
    )
    assert all(api.values["uwsgi"]["add-header"] == "Connection: close" for api in apis)


def test_cinders_volumes_are_made_without_a_question_about_what_a_deleted_one_left() -> None:
    steps = [step for task in plan_tasks(cloud("allinone"), only="cinder") for step in task.steps]
    files = {each.path: each for step in steps for each in step.actions if isinstance(each, PutFile)}
    assert "wipe_signatures_when_zeroing_new_lvs = 0" in str(files["/etc/cinder/lvm.conf"].content)


def test_volumes_are_on_the_nodes_of_their_own_role_or_else_where_cinder_is() -> None:
    made = cloud("icehouse")
    found = units(made)
    assert {"cinder-api", "cinder-scheduler"} <= set(found["oscontroller"])
    assert {"cinder-volume", "tgt"} <= set(found["osceph0"])
    assert not {"cinder-volume", "tgt"} & set(found["oscontroller"])
    assert not {"cinder-api", "cinder-scheduler"} & set(found["osceph0"])
    control, volumes = (inis(made, role)["/etc/cinder/cinder.conf"] for role in ("cinder", "cinder-volume"))
    assert "lvm" not in control
    assert "enabled_backends" not in control["DEFAULT"]
    assert volumes["lvm"]["target_ip_address"] == "10.0.100.142"
    assert volumes["DEFAULT"]["enabled_backends"] == "lvm,ceph"  # it has Ceph, too
    order = [task.role for task in plan_tasks(made)]
    assert order.index("cinder") < order.index("cinder-volume") < order.index("compute")
    whole = inis(cloud("havana"), "cinder")["/etc/cinder/cinder.conf"]
    assert whole["DEFAULT"].keys() == volumes["DEFAULT"].keys()
    assert whole["lvm"].keys() == volumes["lvm"].keys()


def test_a_reset_loses_volumes_where_they_are_whoever_keeps_them() -> None:
    for name, node in (("gridka", "volume-node"), ("icehouse", "osceph0")):
        lab = cloud(name).lab
        losing = {each.name for each in lab.nodes if "cinder-volume" in lab.duties(each.name)}
        assert losing == {node}
        assert [each.name for each in lab.doing("cinder-volume")] == [node]
    assert (ROLES["cinder"].loses, ROLES["cinder"].clean) == ("", "")
    assert "lvs cinder-volumes/" in ROLES["cinder-volume"].clean


def test_the_units_of_a_node_are_those_that_its_roles_run() -> None:
    found = units(cloud("gridka"))
    assert {"cinder-volume", "tgt", "chrony"} <= set(found["volume-node"])
    assert "nova-compute" in found["compute-2"]
    assert "nova-compute" not in found["api-node"]
    assert all(len(names) == len(set(names)) for names in found.values())
