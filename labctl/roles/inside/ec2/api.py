"""EC2's API as a WSGI application: it reads requests, asks Keystone whose they are, and writes answers.

A request is a form with an AWS signature of version 4. Keystone checks the signature and returns a token of whose key
it is. Nova and Glance get this token, so they decide what is allowed. An action or a parameter that is not known is
refused before anything is done.
"""

from __future__ import annotations

import hashlib
import logging
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import parse_qsl
from xml.etree import ElementTree

from keystoneauth1 import exceptions as keystone
from keystoneauth1.access import AccessInfoV3
from keystoneauth1.identity.access import AccessInfoPlugin
from keystoneauth1.session import Session
from openstack import exceptions
from openstack.connection import Connection

from .calls import CALLS, RefusedError

CONF = "/etc/ec2/ec2.conf"
LARGEST = 64 * 1024
"""Bytes of a request; user data have 16 KiB at most."""

_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
_SECONDS = 120.0
_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<access>[A-Za-z0-9]{1,128})/\d{8}/[A-Za-z0-9-]{1,64}/ec2/aws4_request, ?"
    r"SignedHeaders=(?P<headers>[a-z0-9;-]{1,512}), ?Signature=(?P<signature>[0-9a-f]{64})"
)
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LOG = logging.getLogger("ec2")


class Api:
    """The WSGI application.

    Args:
        session: logs in as the service, which alone may ask Keystone about signatures.
        identity: URL of Keystone's API, with its version.
    """

    def __init__(self, session: Session, identity: str, region: str) -> None:
        self._session, self._identity, self._region = session, identity, region

    def __call__(self, environ: Mapping[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        request, action, status = str(uuid.uuid4()), "?", 200
        try:
            form, body = _form(environ)
            cloud = self._login(environ, body)
            named, _ = form.pop("Action", ""), form.pop("Version", "")
            if named not in CALLS:
                raise RefusedError("InvalidAction", "The action is not one of those that this service has")
            action = named
            found = CALLS[action].do(cloud, CALLS[action].given(form))
            answer = _document(f"{action}Response", {"requestId": request} | found)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the client gets an answer of EC2's form
            refused = _translated(exc, request)
            status = refused.status
            error = {"Errors": {"Error": {"Code": refused.code, "Message": str(refused)}}, "RequestID": request}
            answer = _document("Response", error, namespace=False)
            _LOG.info("%s %s: %s %s", request, action, status, refused.code)
        else:
            _LOG.info("%s %s: %s", request, action, status)
        headers = [("Content-Type", "text/xml;charset=UTF-8"), ("Content-Length", str(len(answer)))]
        start(f"{status} {HTTPStatus(status).phrase}", headers)
        return [answer]

    def _login(self, environ: Mapping[str, Any], body: bytes) -> Connection:
        """Have Keystone check the signature; return the connection of the user whose key it is."""
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        found = _SIGNED.fullmatch(authorization)
        if not found:
            raise RefusedError("AuthFailure", "Requests are signed with AWS signature version 4 for ec2", 401)
        headers = {name: _header(environ, name) for name in found["headers"].split(";")}
        if not {"host", "x-amz-date"} <= set(headers) or None in headers.values():
            raise RefusedError("AuthFailure", "Host and X-Amz-Date must be among the signed headers", 401)
        asked = {
            "access": found["access"],
            "signature": found["signature"],
            "host": headers["host"],
            "verb": "POST",
            "path": environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
            "params": {},
            # Keystone looks for these two by the names as they are written here.
            "headers": headers | {"Authorization": authorization, "X-Amz-Date": headers["x-amz-date"]},
            "body_hash": hashlib.sha256(body).hexdigest(),
        }
        self._session.get_token()  # whether the service itself may log in is not the caller's affair
        try:
            answer = self._session.post(f"{self._identity}/ec2tokens", json={"ec2Credentials": asked})
        except (keystone.Unauthorized, keystone.NotFound) as exc:
            raise RefusedError("AuthFailure", "Keystone does not know the key, or the signature is wrong", 401) from exc
        access = AccessInfoV3(answer.json(), auth_token=answer.headers["X-Subject-Token"])
        session = Session(auth=AccessInfoPlugin(access, self._identity), timeout=_SECONDS)
        return Connection(session=session, region_name=self._region, interface="internal")


def application(path: str = CONF) -> Api:
    """Return the application as its file says."""
    from keystoneauth1 import loading
    from oslo_config import cfg

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    for library in ("keystoneauth", "openstack", "urllib3"):
        logging.getLogger(library).setLevel(logging.WARNING)
    conf, section = cfg.ConfigOpts(), "keystone_authtoken"
    loading.register_auth_conf_options(conf, section)
    conf.register_opts([cfg.StrOpt("region_name")], group=section)
    conf(["--config-file", path], project="ec2")
    auth = loading.load_auth_from_conf_options(conf, section)
    return Api(Session(auth=auth, timeout=_SECONDS), conf[section].auth_url, conf[section].region_name)


def _form(environ: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
    """Read a request: a form, every byte of which is signed. A query would not be."""
    if environ["REQUEST_METHOD"] != "POST" or environ.get("QUERY_STRING"):
        raise RefusedError("InvalidAction", "Requests are forms, sent by POST, without a query", 405)
    length = environ.get("CONTENT_LENGTH") or ""
    if not re.fullmatch("[0-9]{1,9}", length):
        raise RefusedError("MissingContentLength", "The request does not tell its length", 411)
    if int(length) > LARGEST:
        raise RefusedError("RequestEntityTooLarge", f"The request has more than {LARGEST} bytes", 413)
    body = environ["wsgi.input"].read(int(length))
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=200)
    except ValueError as exc:
        raise RefusedError("MalformedQueryString", "The request is not a form") from exc
    form = dict(pairs)
    if len(form) != len(pairs):
        raise RefusedError("InvalidParameterCombination", "The request has a parameter twice")
    return form, body


def _header(environ: Mapping[str, Any], name: str) -> str | None:
    key = name.upper().replace("-", "_")
    return environ.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}")


def _translated(exc: Exception, request: str) -> RefusedError:
    """Say in EC2's words what went wrong; of what nobody can mend from outside, the log alone tells the cause."""
    if isinstance(exc, RefusedError):
        return exc
    if isinstance(exc, exceptions.HttpException):
        says = _NOT_XML.sub("", str(exc.details or exc.message))
        if exc.status_code == 403 and "uota exceeded" in says:
            return RefusedError("InstanceLimitExceeded", says)
        known = {
            400: "InvalidParameterValue",
            403: "UnauthorizedOperation",
            404: "InvalidInstanceID.NotFound",  # gone meanwhile, or on no compute node yet
            409: "IncorrectInstanceState",
        }
        if (status := cast("int", exc.status_code)) in known:
            return RefusedError(known[status], says, 403 if status == 403 else 400)
    expected = isinstance(exc, (exceptions.SDKException, keystone.ClientException))
    _LOG.error("%s: %s: %s", request, type(exc).__name__, " ".join(str(exc).split()), exc_info=not expected)
    return RefusedError("InternalError", "The service could not carry out the request; its log says why", 500)


def _document(name: str, content: Mapping[str, Any], *, namespace: bool = True) -> bytes:
    root = ElementTree.Element(name, {"xmlns": _NAMESPACE} if namespace else {})
    _fill(root, content)
    return cast("bytes", ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _fill(element: ElementTree.Element, content: Any) -> None:
    """Put content into an element: a mapping's values by their names, a list's as items; what is None is left out."""
    if isinstance(content, Mapping):
        for name, value in content.items():
            if value is not None:
                _fill(ElementTree.SubElement(element, name), value)
    elif isinstance(content, list):
        for value in content:
            _fill(ElementTree.SubElement(element, "item"), value)
    else:
        text = str(content).lower() if isinstance(content, bool) else str(content)
        element.text = _NOT_XML.sub("", text)
