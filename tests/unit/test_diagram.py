"""Pictures of labs: everything is in them, no text leaves its box, and what users wrote cannot break out."""

from __future__ import annotations

import contextlib
import itertools
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from labctl.checks.model import Report, Result, Step, Verdict
from labctl.cli.root import root
from labctl.lab import seen
from labctl.lab.seen import Seen
from labctl.plan.lab import plan
from labctl.report import diagram
from labctl.spec import topology
from labctl.spec.topology import Topology
from tests.unit.conftest import _identity
from tests.unit.fake_site import World

SVG = "{http://www.w3.org/2000/svg}"
NASTY = """
name: nasty
description: A <b>lab</b> & "more" ]]> 用于研讨会的实验室用于研讨会的实验室用于研讨会的实验室用于研讨会的实验室
domain: a-rather-long-domain-name-for-a-lab.example.org
networks:
  mgmt: {kind: nat}
  twelve-chars: {subnet: 10.100.0.0/16, names: short}
  b: {}
  c: {}
  d: {}
  e: {}
  f: {subnet: 10.101.0.0/16, names: full}
nodes:
  a-node-whose-name-is-as-long-as-possible:
    description: "Averyveryveryveryveryveryveryveryveryveryveryverylongword </text><script>alert(1)</script>"
    nics: [{network: mgmt}, {network: twelve-chars, address: 10.100.100.100}, {network: b}]
    disks: [{size: 1 GiB}, {size: 2 GiB}]
  n2: {nics: [{network: mgmt}, {network: c}, {network: f, address: 10.101.100.100}]}
  n3: {nics: [{network: mgmt}]}
"""


@dataclass(frozen=True)
class Text:
    """A line of a picture, and how far it reaches."""

    text: str
    x: float
    left: float
    right: float
    y: float


@pytest.fixture(params=[*topology.shipped(), "nasty", "live"])
def drawn(request: pytest.FixtureRequest) -> tuple[Topology, str]:
    name = request.param
    if name == "live":
        spec = topology.load("gridka")
        return spec, diagram.svg(spec, live(spec))
    spec = topology.loads(NASTY, "nasty.yaml") if name == "nasty" else topology.load(name)
    return spec, diagram.svg(spec)


def live(spec: Topology, **changed: object) -> Seen:
    states = dict.fromkeys(spec.nodes, "running") | {next(iter(spec.nodes)): "shutoff"}
    red = {"B05": (list(spec.nodes)[-1],), "C10": ()}
    return Seen(
        **{"plan": plan(spec, _identity()), "states": states, "checked": "2026-11-26T09:00:00+00:00", "red": red}
        | changed  # type: ignore[arg-type]
    )


def texts(svg: str) -> list[Text]:
    """Return the lines of a picture with the widths that a fixed-width font of that size would give them."""
    found = []
    for each in ET.fromstring(svg).iter(f"{SVG}text"):
        text, x = each.text or "", float(each.attrib["x"])
        wide = diagram.estimate(text, int(each.attrib["font-size"]))
        left = {"start": x, "middle": x - wide / 2, "end": x - wide}[each.attrib["text-anchor"]]
        found.append(Text(text, x, left, left + wide, float(each.attrib["y"])))
    return found


def boxes(svg: str) -> Iterator[tuple[float, float, float, float]]:
    for each in ET.fromstring(svg).iter(f"{SVG}rect"):
        x, y, wide, high = (float(each.attrib.get(key, 0)) for key in ("x", "y", "width", "height"))
        yield x, y, x + wide, y + high


def test_every_node_network_and_address_is_there(drawn: tuple[Topology, str]) -> None:
    spec, svg = drawn
    said = [each.text for each in texts(svg)]
    assert said.count("internal") <= 1
    for key, network in spec.networks.items():
        assert key in said
        assert network.subnet is None or str(network.subnet) in said
    for name, node in spec.nodes.items():
        assert name in said
        for position, nic in enumerate(node.nics):
            assert any(line.startswith(f"eth{position} ") and str(nic.address or "") in line for line in said)
    wires = list(ET.fromstring(svg).iter(f"{SVG}path"))
    assert len(wires) == sum(len(node.nics) for node in spec.nodes.values())


def test_no_text_leaves_its_box_and_none_covers_another(drawn: tuple[Topology, str]) -> None:
    _, svg = drawn
    found, written = list(boxes(svg)), texts(svg)
    for each in written:
        around = [box for box in found if box[0] <= each.x <= box[2] and box[1] < each.y < box[3]]
        box = min(around, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
        assert box[0] <= each.left
        assert each.right <= box[2], f"{each} leaves its box"
    for one, other in itertools.combinations(written, 2):
        if abs(one.y - other.y) < 11:
            assert one.right <= other.left or other.right <= one.left, f"{one} covers {other}"


def test_a_wire_covers_no_other_one(drawn: tuple[Topology, str]) -> None:
    _, svg = drawn
    rows = [each.attrib["d"].split("H")[0].split(" ")[1] for each in ET.fromstring(svg).iter(f"{SVG}path")]
    assert len(rows) == len(set(rows))


def test_what_users_wrote_stays_text() -> None:
    svg = diagram.svg(topology.loads(NASTY, "nasty.yaml"))
    assert not list(ET.fromstring(svg).iter(f"{SVG}script"))
    assert "<b>" in " ".join(each.text for each in texts(svg))


def test_a_live_lab_shows_states_and_red_checks() -> None:
    spec = topology.load("gridka")
    said = [each.text for each in texts(diagram.svg(spec, live(spec)))]
    assert (said.count("running"), said.count("shutoff"), said.count("✘ B05")) == (7, 1, 1)
    assert "192.168.128.0/24" in said
    assert "eth0 192.168.128.10" in said
    assert any("Red: B05, C10" in line and "of the whole lab: C10" in line for line in said)


def test_a_host_that_is_silent_leaves_states_unknown() -> None:
    spec = topology.load("mini")
    said = [each.text for each in texts(diagram.svg(spec, live(spec, states={}, trouble="nobody answers", red={})))]
    assert said.count("unknown") == 2
    assert "States are not known: nobody answers." in said


def test_paper_has_no_dark_colours() -> None:
    spec = topology.load("mini")
    assert "prefers-color-scheme" in diagram.svg(spec)
    assert "prefers-color-scheme" not in diagram.svg(spec, dark=False)


def test_the_last_checks_of_a_lab_are_kept_one_by_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.create("red")
    monkeypatch.setattr(seen.site, "opened", lambda *_, **__: contextlib.nullcontext(world.site()))
    assert seen.seen(world.home, "red").checked == ""
    seen.keep(world.home, report("10:00", B05=Verdict.FAIL, B06=Verdict.FAIL, B07=Verdict.BLOCKED))
    seen.keep(world.home, report("11:00", B06=Verdict.PASS))
    found = seen.seen(world.home, "red")
    assert (found.checked, found.red) == ("11:00", {"B05": ("node-1",)})
    assert found.states == {"node-1": "running", "node-2": "running"}


def report(at: str, **verdicts: Verdict) -> Report:
    results = tuple(
        Result(id=name, verdict=verdict, steps=(Step(name="look", node="node-1", verdict=verdict),), seconds=0, limit=1)
        for name, verdict in verdicts.items()
    )
    return Report(run="1", lab="red", topology="mini", mode="full", started=at, seconds=0, results=results, frontier=())


def test_the_command_draws_topologies_and_labs(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LABCTL_HOME", str(world.home.root))
    monkeypatch.setattr(seen.site, "opened", lambda *_, **__: contextlib.nullcontext(world.site()))
    world.create("red")
    assert "red: topology mini" in CliRunner().invoke(root, ["diagram", "red"]).output
    assert "The mini lab" in CliRunner().invoke(root, ["diagram", "mini"]).output
    done = CliRunner().invoke(root, ["diagram", "havana", "-o", str(tmp_path / "a.svg")])
    assert (done.exit_code, ET.parse(tmp_path / "a.svg").getroot().tag) == (0, f"{SVG}svg")
    failed = CliRunner().invoke(root, ["diagram", "nobody"])
    assert "neither a lab nor a topology 'nobody'" in str(failed.exception)
