"""X3: the EC2 API."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

from labctl.checks.log import Log, Wrong, cloud_check
from labctl.checks.made import ec2_access

_VERSION = "2016-11-15"
_SPACE = f"{{http://ec2.amazonaws.com/doc/{_VERSION}/}}"


@cloud_check(
    "X3",
    "The EC2 API tells of images and instances",
    exercises="the service of the role ec2, Keystone's EC2 credentials and its check of signatures",
    needs=("C02:ec2", "C03:nova", "C03:glance"),
    limit=(60, 300),
)
def ec2(log: Log) -> None:
    """Make EC2 credentials for demo, and ask by signed requests for images, instances and key pairs. The image
    "instance", where there is one, must be among the images. A request with a wrong signature must be turned away.
    Remove the credentials."""
    cloud, node = log.cloud, log.cloud.node("ec2")
    if not node:
        log.skip("no node has the role ec2: Debian 13 has no EC2 API")
    demo, secret = cloud.demo, secrets.token_hex(16)
    with cloud.made.scope(cloud):
        with log.step("credentials", node=cloud.node("keystone"), suspect="keystone: its credentials"):
            user, project = demo.current_user_id, demo.current_project_id

            def make(name: str) -> Any:
                blob = json.dumps({"access": ec2_access(name), "secret": secret})
                return demo.identity.create_credential(type="ec2", blob=blob, user_id=user, project_id=project)

            cloud.made.make("credentials", "ec2", make)
        signer = Signer(access=ec2_access(cloud.made.name("ec2")), secret=secret, region=cloud.planned.spec.region)
        images = log.ask("images", lambda: _ask(log, signer, "DescribeImages"), node=node, suspect="ec2")
        with log.step("the image instance", node=node, suspect="ec2"):
            known = log.again(lambda: list(demo.image.images(name="instance")))
            listed = {each.text for each in images.iter(f"{_SPACE}imageId")}
            if missing := [each.id for each in known if f"ami-{each.id.replace('-', '')}" not in listed]:
                raise Wrong(f"DescribeImages does not list {missing[0]}")
        for action in ("DescribeInstances", "DescribeKeyPairs"):
            what = "instances" if action == "DescribeInstances" else "key pairs"
            log.ask(what, lambda: _ask(log, signer, action), node=node, suspect="ec2")  # noqa: B023 - used at once
        with log.step("a wrong signature", node=node, suspect="ec2: it does not have signatures checked"):
            stranger = Signer(access=signer.access, secret=secrets.token_hex(16), region=signer.region)
            status, code, _ = log.again(lambda: _send(log, stranger, "DescribeInstances"))
            if (status, code) != (401, "AuthFailure"):
                raise Wrong(f"HTTP {status} {code} to a wrong signature")


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Signs requests with AWS signature version 4.

    Attributes:
        access, secret: of the credentials.
    """

    access: str
    secret: str
    region: str

    def headers(self, url: str, body: bytes, now: datetime) -> Mapping[str, str]:
        """Return the headers of a request by POST whose form is signed."""
        moment, parts = now.strftime("%Y%m%dT%H%M%SZ"), urlsplit(url)
        scope = f"{moment[:8]}/{self.region}/ec2/aws4_request"
        sent = {"content-type": "application/x-www-form-urlencoded", "host": parts.netloc, "x-amz-date": moment}
        names = ";".join(sent)
        lines = [f"{name}:{value}" for name, value in sent.items()]
        request = "\n".join(["POST", parts.path or "/", "", *lines, "", names, hashlib.sha256(body).hexdigest()])
        text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()])
        key = f"AWS4{self.secret}".encode()
        for word in (*scope.split("/"), text):
            key = hmac.digest(key, word.encode(), "sha256")
        login = f"Credential={self.access}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
        return sent | {"authorization": f"AWS4-HMAC-SHA256 {login}"}


def _ask(log: Log, signer: Signer, action: str) -> ElementTree.Element:
    """Return the answer to a request that must be answered."""
    status, code, answer = _send(log, signer, action)
    if status != 200 or answer.tag != f"{_SPACE}{action}Response":
        raise Wrong(f"HTTP {status} {code or answer.tag} to {action}")
    return answer


def _send(log: Log, signer: Signer, action: str) -> tuple[int, str, ElementTree.Element]:
    """Send a request; return the status, EC2's name of the error, and the answer."""
    url = log.cloud.demo.endpoint_for("ec2", interface="public")
    body = urlencode({"Action": action, "Version": _VERSION}).encode()
    headers = signer.headers(url, body, datetime.now(UTC))
    answer = log.cloud.http().post(url, data=body, headers=headers, timeout=log.cloud.seconds)
    try:
        document = ElementTree.fromstring(answer.content)  # noqa: S314 - expat loads nothing from elsewhere
    except ElementTree.ParseError as exc:
        raise Wrong(f"HTTP {answer.status_code} to {action}, and the answer is no XML") from exc
    return answer.status_code, document.findtext("Errors/Error/Code", ""), document
