"""Keys are made, told apart and written down as OpenSSH does it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from labctl.errors import InputError
from labctl.remote import keys

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGlb8q5EJxhCnsrMmZNLmjyPbqtRRSO5xsBsLEQkOBdb db-node"


def test_a_generated_pair_belongs_together() -> None:
    from cryptography.hazmat.primitives import serialization

    pair = keys.generate("labctl team01")
    private = serialization.load_ssh_private_key(pair.private.encode(), None)
    public = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    assert pair.public == f"{public.decode()} labctl team01"
    assert pair.private.endswith("-----END OPENSSH PRIVATE KEY-----\n")


def test_every_pair_is_another() -> None:
    assert keys.generate("a").public != keys.generate("a").public


def test_a_private_key_is_not_in_the_repr() -> None:
    assert "PRIVATE" not in repr(keys.generate("a"))


def test_a_comment_cannot_add_a_second_key() -> None:
    with pytest.raises(InputError):
        keys.generate("team01\nssh-ed25519 AAAA")


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs ssh-keygen")
def test_openssh_reads_the_key_and_agrees_on_its_fingerprint(tmp_path: Path) -> None:
    pair = keys.generate("labctl team01")
    file = tmp_path / "key"
    file.touch(mode=0o600)
    file.write_text(pair.private)
    derived = subprocess.run(["ssh-keygen", "-y", "-f", str(file)], check=True, capture_output=True, text=True).stdout
    listed = subprocess.run(["ssh-keygen", "-l", "-f", str(file)], check=True, capture_output=True, text=True).stdout
    assert derived.split()[:2] == pair.public.split()[:2]
    assert listed.split()[1] == keys.fingerprint(pair.public)


def test_known_hosts_has_a_line_for_each_key() -> None:
    text = keys.known_hosts([(["192.168.130.3", "db-node", "db-node.example.org"], PUBLIC), (["fd00::4"], PUBLIC)])
    kind, blob, _ = PUBLIC.split()
    assert text == f"192.168.130.3,db-node,db-node.example.org {kind} {blob}\nfd00::4 {kind} {blob}\n"


@pytest.mark.parametrize("name", ["", "*", "a b", "a\nb", "a,b", "!db-node", "@cert-authority"])
def test_known_hosts_refuses_names_that_mean_more_than_one_host(name: str) -> None:
    with pytest.raises(InputError):
        keys.known_hosts([([name], PUBLIC)])


@pytest.mark.parametrize("public", ["", "ssh-ed25519", "ssh-ed25519 ???", PUBLIC.replace("ssh-ed25519", "ssh-rsa", 1)])
def test_what_is_no_public_key_is_refused(public: str) -> None:
    with pytest.raises(InputError):
        keys.parse_public(public)
