"""C02: the catalogue, and every API's door."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from labctl.checks.cloud import SERVICES, Service
from labctl.checks.log import Log, Wrong, cloud_check


def _door(service: Service) -> None:
    @cloud_check(
        f"C02:{service.name}",
        f"{service.name} is in the catalogue and answers",
        exercises=f"catalogue, {service.name}'s listener and application",
        needs=("C01",),
        quick=True,
        limit=(10, 60),
        about=(
            f"See that the catalogue has a public and an internal endpoint of {service.name}, and get the version page "
            "of each without a token. An answer below 500 is a door that is open; an answer above says that the "
            "application did not load; refused, no route and no answer in time are told apart."
        ),
    )
    def door(log: Log) -> None:
        if not log.cloud.nodes(service.role):
            log.skip(f"no node has the role {service.role}")
        node, session = log.cloud.node(service.role), log.cloud.http()
        for interface in ("public", "internal"):
            with log.step(f"{interface} endpoint", node=log.cloud.node("keystone"), suspect="keystone: the catalogue"):
                url = log.cloud.demo.endpoint_for(service.type, interface=interface)
                if not url:
                    raise Wrong(f"the catalogue has no {interface} endpoint of type {service.type}")
                parts = urlsplit(url)
                if not parts.hostname:
                    raise Wrong(f"the {interface} endpoint is no URL: {url}")
            root = f"{parts.scheme}://{parts.netloc}/"
            log.ask(f"{interface} door", lambda: _open(log, session, root), node=node, suspect=service.name)  # noqa: B023


def _page(name: str, role: str, title: str, port: int, path: str) -> None:
    @cloud_check(
        f"C02:{name}",
        f"{title} answers",
        exercises=f"{title}'s listener",
        quick=True,
        limit=(10, 60),
        about=f"Get {path} from port {port} of {title}'s node, by its public name; any answer below 500 will do.",
    )
    def page(log: Log) -> None:
        if not log.cloud.nodes(role):
            log.skip(f"no node has the role {role}")
        root = f"http://{log.cloud.public(role)}:{port}{path}"
        session = log.cloud.http()
        log.ask("door", lambda: _open(log, session, root), node=log.cloud.node(role), suspect=title)


def _open(log: Log, session: Any, url: str) -> None:
    """Get a page without a token; below 500 is fine."""
    from labctl.cloud import trouble

    answer = session.get(url, timeout=(log.subject.scaled(5, 30), log.cloud.seconds), allow_redirects=False)
    if answer.status_code >= 500:
        raise Wrong(f"{trouble.answer(answer).says}: the application did not load, or nothing stands behind the server")


for _each in SERVICES.values():
    _door(_each)
_page("console", "nova", "nova-novncproxy", 6080, "/vnc_lite.html")
_page("dashboard", "horizon", "apache2", 80, "/")
