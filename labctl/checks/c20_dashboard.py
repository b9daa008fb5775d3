"""C20: the dashboard, by plain HTTP."""

from __future__ import annotations

import re
from html import unescape
from types import SimpleNamespace
from typing import Any

from labctl.checks import bench
from labctl.checks.log import Log, Wrong, cloud_check

_INPUT = re.compile(r"<input\b[^>]*>")
_ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')
_PAGES = (
    ("instances", "project/instances/", 'id="instances"'),
    ("volumes", "project/volumes/", 'id="volumes"'),
    ("images", "project/images/", "</html>"),
)
_PAGE = (60.0, 600.0)  # seconds for one page; the first after a login takes an emulated node half a minute at rest
_KEPT = 10.0  # seconds after which the session must still be good


@cloud_check(
    "C20:login",
    "The dashboard lets demo in",
    exercises="Apache, Django, memcached, Keystone from the dashboard's node",
    needs=("C01",),
    quick=True,
    limit=(60, 180),
)
def login(log: Log) -> None:
    """Get the dashboard's login page, send its form with the CSRF token as demo, and see the overview that follows."""
    _enter(log)


@cloud_check(
    "C20:pages",
    "The dashboard shows its pages",
    exercises="Apache, Django, memcached; Nova, Cinder and Glance by their public endpoints from the dashboard's node",
    needs=("C20:login", "C03:nova", "C03:cinder", "C03:glance"),
    limit=(60, 300),
)
def pages(log: Log) -> None:
    """Log in to the dashboard as demo and open the lists of instances, volumes and images; after ten seconds the
    session must still be kept."""
    session, root = _enter(log)
    node = log.cloud.node("horizon")
    for title, path, mark in _PAGES:
        log.ask(title, lambda: _page(log, session, root + path, mark), node=node, suspect="apache2")  # noqa: B023
    log.pause(_KEPT, _KEPT)
    log.ask(
        "the session is kept", lambda: _page(log, session, f"{root}project/", "</html>"), node=node, suspect="memcached"
    )


@cloud_check(
    "C20:stacks",
    "The dashboard shows stacks",
    exercises="Heat's panel in the dashboard; Heat by its public endpoint from the dashboard's node",
    needs=("C20:login", "C03:heat"),
    limit=(60, 300),
)
def stacks(log: Log) -> None:
    """Log in to the dashboard as demo and open the list of stacks, where a node has the role heat-dashboard."""
    node = log.cloud.node("heat-dashboard")
    if not node:
        log.skip("no node has the role heat-dashboard")
    session, root = _enter(log)
    url = f"{root}project/stacks/"
    log.ask("stacks", lambda: _page(log, session, url, 'id="stacks"'), node=node, suspect="apache2: Heat's panel")


@cloud_check(
    "C20:launch",
    "A server is launched and deleted in the dashboard",
    exercises="what the web interface's form does: Nova, Glance and Neutron from the dashboard's node",
    needs=("C20:pages", "C10"),
    limit=(300, 1500),
)
def launch(log: Log) -> None:
    """Log in to the dashboard as demo, launch a server as its form does, see it ACTIVE, and delete it there."""
    cloud = log.cloud
    bench.first(log)
    session, root = _enter(log)
    node = cloud.node("horizon")
    wanted = bench.body(log)
    form = {
        "source_id": wanted["image_id"],
        "flavor_id": wanted["flavor_id"],
        "nics": [{"net-id": each["uuid"]} for each in wanted["networks"]],
        "key_name": "lab",
        "user_data": "",
        "security_groups": [],
        "instance_count": 1,
    }

    def post(name: str) -> Any:
        answer = session.post(
            f"{root}api/nova/servers/",
            json=form | {"name": name},
            headers=_asks(session, root),
            timeout=log.limit(_PAGE),
        )
        _good(answer, 200, 201)
        return SimpleNamespace(id=answer.json()["id"])

    with cloud.made.scope(cloud):
        with log.step("launch", node=node, suspect="apache2: the dashboard's way to nova"):
            made = cloud.made.make("server", "launched", post)
        with log.step("ACTIVE", node=cloud.node("compute"), suspect="nova-compute"):
            log.status(lambda: cloud.demo.compute.get_server(made.id), "ACTIVE", bench.ACTIVE)
        with log.step("delete", node=node, suspect="apache2: the dashboard's way to nova"):
            url = f"{root}api/nova/servers/{made.id}"
            _good(session.delete(url, headers=_asks(session, root), timeout=log.limit(_PAGE)), 200, 204)
            log.gone(lambda: cloud.demo.compute.get_server(made.id), bench.ACTIVE)


def _enter(log: Log) -> tuple[Any, str]:
    """Log in; return the session and the dashboard's URL."""
    cloud = log.cloud
    node = cloud.node("horizon")
    if not node:
        log.skip("no node has the role horizon")
    root, session = f"http://{cloud.public('horizon')}/horizon/", cloud.http()
    page = log.ask(
        "login page",
        lambda: _page(log, session, f"{root}auth/login/", "csrfmiddlewaretoken"),
        node=node,
        suspect="apache2",
    )
    with log.step("log in", node=node, suspect="apache2: the dashboard's way to keystone"):
        known, url = cloud.login("demo"), f"{root}auth/login/"
        fields = _hidden(page) | {"username": known.username, "password": known.password}
        answer = log.again(
            lambda: session.post(url, data=fields, headers={"Referer": url}, timeout=log.limit(_PAGE)), answers=False
        )
        _good(answer)
        if "/auth/login" in answer.url or 'id="id_password"' in answer.text:
            raise Wrong(_message(answer.text))
    return session, root


def _page(log: Log, session: Any, url: str, mark: str) -> str:
    answer = session.get(url, timeout=(log.subject.scaled(5, 30), log.limit(_PAGE)))
    _good(answer)
    if "/auth/login" in answer.url and "/auth/login" not in url:
        raise Wrong("the session is not kept: the login page comes again")
    if mark not in answer.text:
        raise Wrong(f"the page has no {mark}")
    return str(answer.text)


def _asks(session: Any, root: str) -> dict[str, str]:
    """Return the headers with which the dashboard's own scripts ask it."""
    return {
        "Referer": f"{root}project/instances/",
        "X-CSRFToken": session.cookies.get("csrftoken", ""),
        "X-Requested-With": "XMLHttpRequest",
    }


def _good(answer: Any, *wanted: int) -> None:
    if answer.status_code not in (wanted or (200,)):
        from labctl.cloud import trouble

        raise Wrong(trouble.answer(answer).says)


def _hidden(page: str) -> dict[str, str]:
    """Return the hidden fields of a page's form."""
    inputs = [dict(_ATTRIBUTE.findall(tag)) for tag in _INPUT.findall(page)]
    return {
        each["name"]: unescape(each.get("value", ""))
        for each in inputs
        if each.get("type") == "hidden" and "name" in each
    }


def _message(page: str) -> str:
    """Return what the login page complains about."""
    found = re.search(
        r'class="[^"]*(?:alert-danger|help-block|error)[^"]*"[^>]*>(.*?)</(?:div|span|p)>', page, re.DOTALL
    )
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", found[1])).split()) if found else ""
    return f"the dashboard does not let demo in: {text or 'the login page comes again'}"
