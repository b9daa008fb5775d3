"""Host files."""

from __future__ import annotations

from pathlib import Path

import pytest
from netaddr import IPNetwork

from labctl.errors import InputError
from labctl.spec import host


def test_an_empty_file_is_a_host_with_every_default():
    settings = host.loads("", "h.yaml")
    assert settings == host.Host()
    assert (settings.uri, settings.dial) == ("", "auto")
    assert (settings.mgmt.pool, settings.mgmt.prefix) == (IPNetwork("192.168.128.0/17"), 24)
    assert (settings.pool.name, settings.pool.path) == ("labctl", Path("/var/lib/libvirt/images/labctl"))
    assert not settings.overcommit


def test_a_file_says_what_differs(tmp_path: Path):
    (tmp_path / "h.yaml").write_text(
        "uri: qemu+ssh://root@kvm1/system\ndial: jump\nmgmt: {pool: 10.200.0.0/16, prefix: 26}\n"
        "pool: {name: fast, path: /srv/labs}\njobs: 8\novercommit: true\n"
    )
    settings = host.load(tmp_path / "h.yaml")
    assert settings.mgmt.pool == IPNetwork("10.200.0.0/16")
    assert (settings.dial, settings.mgmt.prefix, settings.pool.name, settings.jobs) == ("jump", 26, "fast", 8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ur: x", 'h.yaml:1: ur: this key is unknown; did you mean "uri"?'),
        ("jobs: 0", "h.yaml:1: jobs: 0 is too small; at least 1"),
        ("jobs: true", "h.yaml:1: jobs: a whole number is expected here, not true"),
        ('mgmt:\n  prefix: "24"', 'h.yaml:2: mgmt.prefix: a whole number is expected here, not "24"'),
        ("overcommit: yes", 'h.yaml:1: overcommit: true or false is expected here, not "yes"'),
        ("overcommit: 1", "h.yaml:1: overcommit: true or false is expected here, not 1"),
        ("dial: ssh", 'h.yaml:1: dial: "ssh" is not known here; known are auto, direct, namespace, jump'),
        ("mgmt:\n  pool: 10.0.0.0", 'h.yaml:2: mgmt.pool: "10.0.0.0" is not an IPv4 subnet like "10.0.0.0/24"'),
        (
            "mgmt:\n  prefix: 16",
            "h.yaml:2: mgmt.prefix: a /16 does not fit into the pool 192.168.128.0/17; give 17 to 28",
        ),
        (
            "pool:\n  path: labs",
            'h.yaml:2: pool.path: "labs" is not an absolute path like /var/lib/libvirt/images/labctl',
        ),
        (
            "pool:\n  path: /a/../b",
            'h.yaml:2: pool.path: "/a/../b" is not an absolute path like /var/lib/libvirt/images/labctl',
        ),
        ("jobs: 1\njobs: 2", "h.yaml:2: jobs: the key is given twice, first on line 1"),
        ("- x", "h.yaml:1: a mapping (key: value) is expected here, not a list"),
    ],
)
def test_a_message_names_line_path_value_and_what_would_be_right(text, said):
    with pytest.raises(InputError) as caught:
        host.loads(text, "h.yaml")
    assert caught.value.details == said
    assert "docs/hosts.md" in caught.value.remedy
