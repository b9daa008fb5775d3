"""Labs run under KVM where the host itself says that it works; a lab that stands stays what it was made as."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import Any, cast

import pytest
from netaddr import IPNetwork

from labctl.errors import InputError, RefusedError
from labctl.hypervisor import Hypervisor
from labctl.hypervisor.fake import FakeHypervisor
from labctl.hypervisor.fake_host import FakeHost
from labctl.lab import decisions
from labctl.site import site
from labctl.site.site import Site
from labctl.site.work import Work
from labctl.spec import topology
from labctl.spec.host import Host
from labctl.state import Home, LabRecord
from tests.unit.fake_site import Notes, World

HOST = "test:///default"  # libvirt's test driver offers no KVM


def test_new_labs_are_emulated_where_the_host_offers_no_kvm_and_the_reason_is_known(tmp_path: Path) -> None:
    with site.opened(Home(tmp_path), HOST) as place:
        assert place.virt == "qemu"
        assert "offers no KVM" in place.emulated
    with site.opened(Home(tmp_path), HOST, virt="qemu") as place:
        assert place.emulated == ""


def test_kvm_that_was_asked_for_is_refused_with_the_hosts_reason(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught, site.opened(Home(tmp_path), HOST, virt="kvm"):
        pass
    assert "offers no KVM" in caught.value.details


def test_a_lab_under_kvm_is_reached_whatever_became_of_its_hosts_kvm(tmp_path: Path) -> None:
    """Its host offers none now, or the user may not open /dev/kvm: destroy works all the same."""
    with site.opened(Home(tmp_path), HOST, recorded="kvm") as place:
        assert place.virt == "kvm"


def test_a_lab_is_not_completed_with_nodes_of_the_other_kind(tmp_path: Path) -> None:
    home, spec = Home(tmp_path), topology.load("mini")
    record = LabRecord(
        team="team01",
        lab=uuid.uuid4(),
        owner=home.owner,
        host=HOST,
        mgmt=IPNetwork("192.168.128.0/24"),
        topology=spec.document(),
        digest=spec.digest,
        stage="bare",
        virt="kvm",
    )
    home.lab("team01").save(record)
    with site.opened(home, HOST, virt="qemu") as place:
        work = Work(home=home, site=place, jobs=1, progress=Notes(), cancelled=threading.Event())
        with pytest.raises(RefusedError) as caught:
            decisions.decide(work, ["team01"], decisions.Choice(), overcommit=False, held=None)
    assert caught.value.brief == "the nodes of team01 are under KVM, and these would be emulated"


def test_what_a_host_has_is_listed_once_until_it_is_looked_at_again(world: World) -> None:
    place = world.site()
    assert place.domains == {}
    world.create("red")
    assert place.domains == {}
    assert set(place.again().domains) == {"red-node-1", "red-node-2"}


def test_a_pool_that_is_missing_is_made_and_one_that_is_off_is_started(tmp_path: Path) -> None:
    host = FakeHost()
    hypervisor = cast(Hypervisor, FakeHypervisor(host))
    place = Site("fake", Host(), hypervisor, cast(Any, None), "qemu")
    assert place.pool.active
    host.pools["labctl"].active = False
    assert place.again().pool.active
    assert place.again().volumes == {}
