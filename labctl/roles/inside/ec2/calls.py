"""The calls of EC2's API that a tutorial needs, carried out by Nova and Glance.

The IDs of instances and images are the UUIDs of Nova and Glance in other clothes: i- or ami- and 32 digits. There is no
table that could be lost, and clients take an ID for a word.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from openstack import exceptions
from openstack.connection import Connection

_USER_DATA = 16 * 1024  # bytes
_RESERVATION = "ec2-reservation"  # the metadata by which servers that were made together are found
_IMAGES = {"aki": "kernel", "ari": "ramdisk", "ami": "machine"}
_PENDING, _RUNNING, _LEAVING, _TERMINATED, _STOPPING, _STOPPED = (
    {"code": code, "name": name}
    for code, name in (
        *((0, "pending"), (16, "running"), (32, "shutting-down")),
        *((48, "terminated"), (64, "stopping"), (80, "stopped")),
    )
)


class RefusedError(Exception):
    """A request that is not carried out.

    Attributes:
        code: as EC2 calls it.
        status: of HTTP.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


@dataclass(frozen=True)
class Given:
    """The parameters of a call: single ones, and lists (InstanceId.1, InstanceId.2)."""

    one: Mapping[str, str]
    many: Mapping[str, list[str]]

    def demand(self, name: str) -> str:
        """Return a parameter that must be there."""
        if not self.one.get(name):
            raise RefusedError("MissingParameter", f"The request must contain the parameter {name}")
        return self.one[name]

    def listed(self, name: str) -> list[str]:
        """Return a list that must be there."""
        if name not in self.many:
            raise RefusedError("MissingParameter", f"The request must contain the parameter {name}")
        return self.many[name]

    def number(self, name: str) -> int:
        """Return a count."""
        text = self.demand(name)
        if not re.fullmatch("[1-9][0-9]{0,2}", text):
            raise RefusedError("InvalidParameterValue", f"{name} is a number from 1 to 999")
        return int(text)


@dataclass(frozen=True)
class Call:
    """A call: what does it, and the parameters that it takes."""

    do: Callable[[Connection, Given], dict[str, Any]]
    one: frozenset[str]
    many: frozenset[str]

    def given(self, form: Mapping[str, str]) -> Given:
        """Sort the parameters of a request; refuse those that the call does not take."""
        one: dict[str, str] = {}
        many: dict[str, dict[int, str]] = {}
        for key, value in form.items():
            found = re.fullmatch(r"([A-Za-z]+)\.([1-9][0-9]{0,2})", key)
            if found and found[1] in self.many:
                many.setdefault(found[1], {})[int(found[2])] = value
            elif key in self.one:
                one[key] = value
            else:
                raise RefusedError("UnknownParameter", "The request has a parameter that is not known here")
        return Given(one, {name: [values[place] for place in sorted(values)] for name, values in many.items()})


CALLS: dict[str, Call] = {}
Do = Callable[[Connection, Given], dict[str, Any]]


def call(name: str, *, one: Iterable[str] = (), many: Iterable[str] = ()) -> Callable[[Do], Do]:
    """Register the function that does a call."""

    def register(do: Do) -> Do:
        CALLS[name] = Call(do, frozenset(one), frozenset(many))
        return do

    return register


@call("DescribeImages", many=["ImageId"])
def images(cloud: Connection, given: Given) -> dict[str, Any]:
    """List images that the project sees."""
    states = {"active": "available", "queued": "pending", "saving": "pending", "importing": "pending"}
    found = {_image_id(each): each for each in cloud.image.images()}
    for wanted in given.many.get("ImageId", ()):
        _bare(wanted, "InvalidAMIID", *_IMAGES)
    chosen = _chosen(found, given.many.get("ImageId"), "InvalidAMIID.NotFound")
    return {
        "imagesSet": [
            {
                "imageId": name,
                "imageLocation": each.name,
                "imageState": states.get(each.status, "failed"),
                "imageOwnerId": each.owner_id,
                "isPublic": each.visibility == "public",
                "architecture": each.architecture or "x86_64",
                "imageType": _IMAGES[name[:3]],
                "name": each.name,
                "rootDeviceType": "instance-store",
                "virtualizationType": "hvm",
                "creationDate": each.created_at,
            }
            for name, each in chosen.items()
        ]
    }


@call("DescribeKeyPairs", many=["KeyName"])
def key_pairs(cloud: Connection, given: Given) -> dict[str, Any]:
    """List the user's key pairs."""
    found = {each.name: each for each in cloud.compute.keypairs()}
    chosen = _chosen(found, given.many.get("KeyName"), "InvalidKeyPair.NotFound")
    return {"keySet": [{"keyName": each.name, "keyFingerprint": each.fingerprint} for each in chosen.values()]}


@call("DescribeInstances", many=["InstanceId"])
def instances(cloud: Connection, given: Given) -> dict[str, Any]:
    """List the project's servers, those that were made together side by side."""
    groups: dict[str, list[Any]] = {}
    for each in _servers(cloud, given.many.get("InstanceId")):
        groups.setdefault(_reservation(each), []).append(each)
    return {"reservationSet": [_group(name, servers) for name, servers in groups.items()]}


_MAKING = threading.Lock()


@call(
    "RunInstances",
    one=["ImageId", "InstanceType", "MinCount", "MaxCount", "KeyName", "UserData", "ClientToken"],
    many=["SecurityGroup"],
)
def run(cloud: Connection, given: Given) -> dict[str, Any]:
    """Make servers. A client that asks again with the same token, as all do that wait in vain, gets the same ones."""
    image = _bare(given.demand("ImageId"), "InvalidAMIID", "ami")
    least, most = given.number("MinCount"), given.number("MaxCount")
    if least > most:
        raise RefusedError("InvalidParameterValue", "MinCount is larger than MaxCount")
    options: dict[str, Any] = {"user_data": _user_data(given.one["UserData"])} if "UserData" in given.one else {}
    if "KeyName" in given.one:
        options["key_name"] = given.one["KeyName"]
    if "SecurityGroup" in given.many:
        options["security_groups"] = [{"name": name} for name in given.many["SecurityGroup"]]
    try:
        cloud.image.get_image(image)
    except exceptions.NotFoundException as exc:
        raise RefusedError("InvalidAMIID.NotFound", "There is no such image") from exc
    flavor = cloud.compute.find_flavor(given.one.get("InstanceType", "m1.small"))
    if flavor is None:
        raise RefusedError("InvalidParameterValue", "There is no such instance type")
    token = given.one.get("ClientToken") or secrets.token_hex(32)
    name = f"r-{hashlib.sha256(token.encode()).hexdigest()[:17]}"
    with _MAKING:
        made = _made(cloud, name)
        if not made:
            cloud.compute.create_server(
                name=name,
                image_id=image,
                flavor_id=flavor.id,
                networks="auto",
                min_count=least,
                max_count=most,
                metadata={_RESERVATION: name},
                **options,
            )
            made = _made(cloud, name)
    return _group(name, made)


@call("StartInstances", many=["InstanceId"])
def start(cloud: Connection, given: Given) -> dict[str, Any]:
    """Start servers that are off."""
    return _changed(cloud, given, cloud.compute.start_server, _PENDING, _RUNNING)


@call("StopInstances", many=["InstanceId"])
def stop(cloud: Connection, given: Given) -> dict[str, Any]:
    """Stop servers."""
    return _changed(cloud, given, cloud.compute.stop_server, _STOPPING, _STOPPED)


@call("TerminateInstances", many=["InstanceId"])
def terminate(cloud: Connection, given: Given) -> dict[str, Any]:
    """Delete servers."""
    return _changed(cloud, given, cloud.compute.delete_server, _LEAVING, _LEAVING)


def _changed(
    cloud: Connection, given: Given, do: Callable[[str], Any], on_its_way: dict[str, Any], there: dict[str, Any]
) -> dict[str, Any]:
    """Change the state of servers, all of which must be known; those that are there already stay as they are."""
    items = []
    for each in _servers(cloud, given.listed("InstanceId")):
        before = _state(each)
        if before != there:
            do(each.id)
        after = there if before == there else on_its_way
        items.append({"instanceId": _id("i", each.id), "currentState": after, "previousState": before})
    return {"instancesSet": items}


def _servers(cloud: Connection, wanted: list[str] | None) -> list[Any]:
    """Return the project's servers, or those with some IDs, all of which must be known."""
    for each in wanted or ():
        _bare(each, "InvalidInstanceID", "i")
    found = {_id("i", each.id): each for each in cloud.compute.servers()}
    return list(_chosen(found, wanted, "InvalidInstanceID.NotFound").values())


def _made(cloud: Connection, reservation: str) -> list[Any]:
    return [each for each in cloud.compute.servers() if _reservation(each) == reservation]


def _chosen(found: dict[str, Any], wanted: list[str] | None, code: str) -> dict[str, Any]:
    """Return all that was found, or what is wanted of it."""
    if wanted is None:
        return found
    if set(wanted) - set(found):
        raise RefusedError(code, "Something that is asked for does not exist")
    return {name: found[name] for name in wanted}


def _reservation(server: Any) -> str:
    return str((server.metadata or {}).get(_RESERVATION) or _id("r", server.id))


def _group(name: str, servers: list[Any]) -> dict[str, Any]:
    owner = servers[0].project_id if servers else None
    items = [_item(each) | {"amiLaunchIndex": place} for place, each in enumerate(servers)]
    return {"reservationId": name, "ownerId": owner, "groupSet": [], "instancesSet": items}


def _item(server: Any) -> dict[str, Any]:
    """Return a server as EC2 describes it."""
    private, public = (next(_addresses(server, kind), None) for kind in ("fixed", "floating"))
    image = (server.image or {}).get("id")
    flavor = server.flavor or {}
    trouble = (server.fault or {}).get("message") if server.status == "ERROR" else None
    return {
        "instanceId": _id("i", server.id),
        "imageId": _id("ami", image) if image else None,
        "instanceState": _state(server),
        "privateDnsName": server.name,
        "dnsName": public,
        "keyName": server.key_name,
        "instanceType": flavor.get("original_name") or flavor.get("name"),
        "launchTime": server.created_at,
        "placement": {"availabilityZone": server.availability_zone},
        "monitoring": {"state": "disabled"},
        "privateIpAddress": private,
        "ipAddress": public,
        "stateReason": {"code": "Server.InternalError", "message": trouble} if trouble else None,
        "rootDeviceType": "instance-store" if image else "ebs",
        "tagSet": [{"key": "Name", "value": server.name}],
    }


def _addresses(server: Any, kind: str) -> Iterator[str]:
    for cards in (server.addresses or {}).values():
        yield from (each["addr"] for each in cards if each.get("OS-EXT-IPS:type") == kind and each["version"] == 4)


def _state(server: Any) -> dict[str, Any]:
    """Return a server's state in EC2's words; one that could not be made counts as ended, as it does there."""
    task, status = server.task_state or "", server.status
    if task in ("deleting", "soft-deleting") or status in ("DELETED", "SOFT_DELETED"):
        return _LEAVING
    if status == "ERROR":
        return _TERMINATED
    if task == "powering-off":
        return _STOPPING
    if status == "BUILD" or task == "powering-on":
        return _PENDING
    return _RUNNING if status in ("ACTIVE", "REBOOT", "RESIZE", "VERIFY_RESIZE", "MIGRATING") else _STOPPED


def _image_id(image: Any) -> str:
    return _id(image.container_format if image.container_format in _IMAGES else "ami", image.id)


def _id(prefix: str, name: str) -> str:
    return f"{prefix}-{uuid.UUID(name).hex}"


def _bare(name: str, code: str, *prefixes: str) -> str:
    """Return the UUID that an ID stands for."""
    found = re.fullmatch(rf"({'|'.join(prefixes)})-([0-9a-f]{{32}})", name)
    if not found:
        raise RefusedError(f"{code}.Malformed", f"IDs are {prefixes[-1]}- and 32 hexadecimal digits")
    return str(uuid.UUID(found[2]))


def _user_data(text: str) -> str:
    """Return user data as Nova takes them: the same, if they are what they should be."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise RefusedError("InvalidParameterValue", "UserData is not in base64") from exc
    if len(data) > _USER_DATA:
        raise RefusedError("InvalidParameterValue", f"UserData has more than {_USER_DATA} bytes")
    return text
