"""The URI of a host decides how its guests are dialled."""

from __future__ import annotations

import os
import shlex
import socket
from pathlib import Path

import pytest
from netaddr import IPNetwork

from labctl.errors import InputError
from labctl.host.namespace import NetworkNamespace
from labctl.remote import dial


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("qemu:///system", dial.Direct),
        ("test:///default", dial.Direct),
        ("qemu+unix:///system", dial.Direct),
        ("qemu+ssh://root@kvm1/system", dial.Jump),
        ("qemu+libssh2://kvm1:2222/system", dial.Jump),
    ],
)
def test_the_uri_chooses(uri: str, kind: type) -> None:
    assert type(dial.for_uri(uri)) is kind


def test_a_namespace_that_is_known_is_dialled_in() -> None:
    own = NetworkNamespace.of(os.getpid())
    assert dial.for_uri("qemu+unix:///system?socket=/x", namespace=own) == dial.Namespace(own)


def test_a_namespace_is_found_behind_the_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "libvirt-sock"))
        listening.listen()
        dialer = dial.for_uri(f"qemu+unix:///system?socket={tmp_path}/libvirt-sock", how="namespace")
    assert dialer == dial.Namespace(NetworkNamespace.of(os.getpid()))


@pytest.mark.parametrize(
    ("uri", "how"),
    [
        ("qemu+tls://kvm1/system", "auto"),
        ("qemu:///system", "jump"),
        ("qemu+unix:///system?socket=/nowhere", "namespace"),
    ],
)
def test_what_cannot_be_dialled_is_refused_with_a_remedy(uri: str, how: str) -> None:
    with pytest.raises(InputError) as caught:
        dial.for_uri(uri, how=how)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("qemu+ssh://root@kvm1:2222/system", ["-l", "root", "-p", "2222", "-W", "[%h]:%p", "--", "kvm1"]),
        ("qemu+ssh://kvm1/system", ["-W", "[%h]:%p", "--", "kvm1"]),
        ("qemu+ssh://[fd00::1]/system", ["-W", "[%h]:%p", "--", "fd00::1"]),
    ],
)
def test_openssh_goes_through_the_host_with_another_openssh(uri: str, words: list[str]) -> None:
    dialer = dial.for_uri(uri)
    option, value = dialer.ssh_options()
    assert option == "-o"
    assert value.startswith("ProxyCommand=ssh ")
    inner = shlex.split(value.removeprefix("ProxyCommand="))
    assert [word for word in inner[1:] if not word.startswith("-o")] == words
    assert {"-oForwardAgent=no", "-oBatchMode=yes"} <= set(inner)
    assert dialer.command(["ssh", "x"]) == ["ssh", "x"]


def test_what_the_uri_says_about_ssh_counts_for_our_own_connection_too() -> None:
    uri = "qemu+ssh://kvm1/system?keyfile=/root/my%20key%25&no_verify=1&known_hosts=/root/known"
    _, value = dial.for_uri(uri).ssh_options()
    # OpenSSH expands the percent signs of a ProxyCommand once, and those of a file's name again.
    inner = {word.replace("%%", "%") for word in shlex.split(value.removeprefix("ProxyCommand="))}
    wanted = {'IdentityFile="/root/my key%%"', 'UserKnownHostsFile="/root/known"', "StrictHostKeyChecking=no"}
    assert {f"-o{option}" for option in wanted} <= inner


def test_direct_adds_nothing() -> None:
    assert dial.Direct().command(["ssh", "x"]) == ["ssh", "x"]
    assert dial.Direct().ssh_options() == []


def test_routes_are_networks_in_use_and_no_default_routes() -> None:
    printed = """
    [{"dst":"default","gateway":"192.0.2.1"},{"dst":"192.0.2.0/24","dev":"eth0"},{"type":"unreachable","dst":"10.8.0.0/16"},
    {"type":"local","dst":"192.0.2.7","dev":"eth0"},{"type":"broadcast","dst":"192.0.2.255"},{"dst":"0.0.0.0/1"},
    {"type":"local","dst":"127.0.0.0/8","dev":"lo"}]
    [{"dst":"fd00:1::/64","dev":"eth0"},{"dst":"fe80::/64","dev":"eth0"},{"dst":"::1","dev":"lo"}]
    """
    printed = printed.replace(",\n    {", ",{")
    expected = ["10.8.0.0/16", "192.0.2.0/24", "192.0.2.7/32", "fd00:1::/64"]
    assert dial.parse_routes(printed) == [IPNetwork(network) for network in expected]
