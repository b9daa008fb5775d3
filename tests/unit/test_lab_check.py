"""Labs as checks see them: their nodes, other labs' addresses, a way in, and logins to their clouds."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from labctl import waiting
from labctl.checks.made import Made
from labctl.errors import InputError, RemoteError
from labctl.lab import check
from tests.unit.fake_site import World


def test_a_check_gets_a_way_into_the_lab_and_the_addresses_of_others(world: World) -> None:
    world.create("red", "blue")
    with check.subject(world.work(), world.plan("red")) as lab:
        assert lab.strangers == (world.plan("blue").nodes[0].mgmt,)
        assert lab.dialer is not None
        assert lab.virt == "qemu"


def test_a_node_that_is_off_is_named(world: World) -> None:
    world.create("red")
    world.stop("red")
    with check.subject(world.work(), world.plan("red")) as lab:
        with pytest.raises(RemoteError, match="node-1 is shut off") as caught:
            lab.guest("node-1")
        assert caught.value.remedy == "labctl start red"


def test_an_interrupted_run_says_what_it_removes_before_it_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.create("red")
    plan, record = world.plan("red"), [{"kind": "server", "name": "labctl-check-1-server-compute1"}]
    made = Made("1", read=lambda: json.dumps(record), write=lambda _: None, patience=1)
    monkeypatch.setattr(check, "INSTALLED", plan.stage)
    monkeypatch.setattr(check, "units", lambda _: {})
    monkeypatch.setattr(check, "_cloud", lambda *_: SimpleNamespace(made=made, planned=None))
    work = world.work()
    with check.subject(work, plan):
        work.cancelled.set()
        assert waiting.until(lambda: any("interrupted" in text for text in world.notes.said), seconds=10, pause=0.05)
    (said,) = [text for text in world.notes.said if "interrupted" in text]
    assert said.endswith("is removed first: server labctl-check-1-server-compute1")


def test_a_lab_without_a_cloud_has_no_login(world: World) -> None:
    world.create("red")
    with pytest.raises(InputError, match="has no cloud"):
        check.login(world.home, "red", "demo")


def test_users_of_a_cloud_log_in_at_its_public_address(world: World) -> None:
    world.create("red", named="allinone")
    login = check.login(world.home, "red", "demo")
    assert (login.username, login.project) == ("demo", "demo")
    assert login.auth_url == "http://allinone.example.org:5000/v3"
    assert login.password not in repr(login)
