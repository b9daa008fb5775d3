"""EC2's API: the service itself, asked by Amazon's own client on loopback; its role; the check's own signatures."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from labctl import ini
from labctl.changes import Ini, PutFile, Python, Unit
from labctl.checks.x03_ec2 import Signer
from labctl.installing.tasks import plan_tasks
from labctl.roles.inside.ec2 import api, calls
from labctl.secret import reveal
from tests.unit import fake_aws
from tests.unit.fake_aws import ACCESS, IMAGE, KERNEL, PASSWORD, SECRET, SERVER, TOKEN, FakeAws
from tests.unit.test_roles import cloud

AMI, AKI, ONE = f"ami-{IMAGE.hex}", f"aki-{KERNEL.hex}", f"i-{SERVER.hex}"
SESSION = botocore.session.get_session()
GUESS = "ami-" + "0" * 32
BOOT = {"ImageId": AMI, "MinCount": 1, "MaxCount": 1, "InstanceType": "m1.tiny"}


@dataclass
class World:
    """A running service, and the cloud behind it."""

    aws: FakeAws
    url: str

    def client(self, access: str = ACCESS, secret: str = SECRET) -> Any:
        """Return Amazon's own client; it asks once."""
        return client(self.url, access, secret)

    def form(self, body: bytes, signed: bytes | None = None) -> requests.Response:
        """Send a form with the signature of another one, or its own."""
        signer = Signer(access=ACCESS, secret=SECRET, region="RegionOne")
        headers = signer.headers(self.url, body if signed is None else signed, datetime.now(UTC))
        return requests.post(self.url, data=body, headers=headers, timeout=30)

    def done(self) -> list[tuple[str, str]]:
        """Return what Nova was asked to change."""
        return [(method, path) for method, path in self.aws.asked if method != "GET" and path.startswith("/compute")]


@cache
def client(url: str, access: str, secret: str) -> Any:
    """Make a client: it reads a megabyte of what Amazon's API is like."""
    return SESSION.create_client(
        "ec2",
        region_name="RegionOne",
        endpoint_url=url,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}),
    )


def configuration(aws: FakeAws, folder: Path) -> str:
    """Write the service's file as its role does; Keystone is the fake one."""
    actions = [each for task in plan_tasks(cloud("grizzly", ec2=PASSWORD)) for s in task.steps for each in s.actions]
    (file,) = (each for each in actions if isinstance(each, Ini) and each.path == api.CONF)
    values = reveal(file.values)
    values["keystone_authtoken"]["auth_url"] = f"{aws.url}/v3"
    (folder / "ec2.conf").write_text(ini.set_values("", values, file.dialect))
    return str(folder / "ec2.conf")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("ec2")
    with fake_aws.running() as aws, fake_aws.serving(api.application(configuration(aws, folder))) as url:
        yield World(aws, url)


@pytest.fixture
def world(running: World) -> Iterator[World]:
    running.aws.forget()
    yield running
    assert running.aws.unknown == []


def refusal(do: Any, **options: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        do(**options)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["RequestId"]
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def test_images_are_listed_under_ids_that_lead_back_to_glances(world: World) -> None:
    found = {each["ImageId"]: each for each in world.client().describe_images()["Images"]}
    assert set(found) == {AMI, AKI}
    assert (found[AMI]["Name"], found[AMI]["State"], found[AMI]["Public"]) == ("cirros <&>", "available", True)
    assert (found[AMI]["ImageType"], found[AKI]["ImageType"]) == ("machine", "kernel")
    (one,) = world.client().describe_images(ImageIds=[AKI])["Images"]
    assert one["Name"] == "vmlinuz"


@given(name=st.uuids())
def test_every_id_leads_back_to_its_uuid(name: Any) -> None:
    assert calls._bare(calls._id("i", str(name)), "InvalidInstanceID", "i") == str(name)


@pytest.mark.parametrize(
    ("ask", "options", "code"),
    [
        ("describe_images", {"ImageIds": ["ami-1"]}, "InvalidAMIID.Malformed"),
        ("describe_images", {"ImageIds": [GUESS]}, "InvalidAMIID.NotFound"),
        ("describe_images", {"Owners": ["self"]}, "UnknownParameter"),
        ("describe_instances", {"InstanceIds": [AMI]}, "InvalidInstanceID.Malformed"),
        ("describe_instances", {"InstanceIds": [ONE]}, "InvalidInstanceID.NotFound"),
        ("describe_instances", {"Filters": [{"Name": "x", "Values": ["y"]}]}, "UnknownParameter"),
        ("describe_key_pairs", {"KeyNames": ["other"]}, "InvalidKeyPair.NotFound"),
        ("describe_volumes", {}, "InvalidAction"),
        ("run_instances", BOOT | {"ImageId": GUESS}, "InvalidAMIID.NotFound"),
        ("run_instances", BOOT | {"ImageId": AKI}, "InvalidAMIID.Malformed"),
        ("run_instances", {"MinCount": 1, "MaxCount": 1}, "MissingParameter"),
        ("run_instances", BOOT | {"MinCount": 2}, "InvalidParameterValue"),
        (
            "run_instances",
            BOOT | {"InstanceType": "m9"},
            "InvalidParameterValue",
        ),
        (
            "run_instances",
            BOOT | {"UserData": "x" * 17000},
            "InvalidParameterValue",
        ),
        ("run_instances", BOOT | {"SubnetId": "subnet-1"}, "UnknownParameter"),
        ("stop_instances", {"InstanceIds": [ONE], "Force": True}, "UnknownParameter"),
        ("terminate_instances", {"InstanceIds": []}, "MissingParameter"),
    ],
)
def test_what_is_not_known_or_not_there_is_refused_and_nothing_is_done(
    world: World, ask: str, options: dict[str, Any], code: str
) -> None:
    assert refusal(getattr(world.client(), ask), **options) == (400, code)
    assert world.done() == []


def test_a_dry_run_of_a_termination_terminates_nothing(world: World) -> None:
    world.aws.server()
    assert refusal(world.client().terminate_instances, InstanceIds=[ONE], DryRun=True) == (400, "UnknownParameter")
    assert world.done() == []


def test_servers_are_described_with_state_addresses_and_what_they_are_made_of(world: World) -> None:
    world.aws.server()
    ((group,),) = (world.client().describe_instances(InstanceIds=[ONE])["Reservations"],)
    (found,) = group["Instances"]
    assert found["State"] == {"Code": 16, "Name": "running"}
    assert (found["InstanceId"], found["ImageId"], found["InstanceType"]) == (ONE, AMI, "m1.tiny")
    assert (found["PrivateIpAddress"], found["PublicIpAddress"], found["KeyName"]) == ("10.99.0.5", "172.16.1.7", "lab")
    assert found["LaunchTime"].isoformat() == "2026-11-26T20:00:00+00:00"
    assert found["Tags"] == [{"Key": "Name", "Value": "web <&> 1"}]
    assert group["ReservationId"] == f"r-{SERVER.hex}"


@pytest.mark.parametrize(
    ("status", "task", "state"),
    [
        ("BUILD", "spawning", "pending"),
        ("ACTIVE", None, "running"),
        ("ACTIVE", "powering-off", "stopping"),
        ("SHUTOFF", None, "stopped"),
        ("SHUTOFF", "powering-on", "pending"),
        ("PAUSED", None, "stopped"),
        ("ACTIVE", "deleting", "shutting-down"),
        ("ERROR", None, "terminated"),
        ("ERROR", "deleting", "shutting-down"),
    ],
)
def test_novas_states_in_ec2s_words(world: World, status: str, task: str | None, state: str) -> None:
    fault = {"fault": {"message": "No valid host was found."}} if status == "ERROR" else {}
    world.aws.server(status=status, **{"OS-EXT-STS:task_state": task}, **fault)
    (found,) = world.client().describe_instances()["Reservations"][0]["Instances"]
    assert found["State"]["Name"] == state
    assert found.get("StateReason", {}).get("Message") == ("No valid host was found." if fault else None)


def test_servers_are_made_as_they_are_asked_for(world: World) -> None:
    script = b"#!/bin/sh\necho hello\n"
    made = world.client().run_instances(
        ImageId=AMI,
        MinCount=1,
        MaxCount=2,
        InstanceType="m1.tiny",
        KeyName="lab",
        SecurityGroups=["default", "web"],
        UserData=script.decode(),
    )
    assert [each["State"]["Name"] for each in made["Instances"]] == ["pending", "pending"]
    ((_, _, document),) = (each for each in world.aws.bodies if each[1] == "/compute/v2.1/servers")
    wanted = document["server"]
    assert (wanted["imageRef"], wanted["flavorRef"], wanted["networks"]) == (str(IMAGE), "f", "auto")
    assert (wanted["min_count"], wanted["max_count"], wanted["key_name"]) == (1, 2, "lab")
    assert wanted["security_groups"] == [{"name": "default"}, {"name": "web"}]
    assert base64.b64decode(wanted["user_data"]) == script
    (group,) = world.client().describe_instances()["Reservations"]
    assert group["ReservationId"] == made["ReservationId"]
    assert len(group["Instances"]) == 2


def test_a_client_that_asks_again_gets_the_same_servers_also_at_the_same_time(world: World) -> None:
    wanted = BOOT
    with ThreadPoolExecutor(4) as executor:
        found = list(executor.map(lambda _: world.client().run_instances(**wanted, ClientToken="once"), range(4)))
    assert len({each["Instances"][0]["InstanceId"] for each in found}) == 1
    assert len(world.done()) == 1
    world.client().run_instances(**wanted, ClientToken="twice")
    assert len(world.done()) == 2


@pytest.mark.parametrize(
    ("ask", "status", "state", "request_"),
    [
        ("start_instances", "SHUTOFF", "pending", ("POST", f"/compute/v2.1/servers/{SERVER}/action")),
        ("start_instances", "ACTIVE", "running", None),
        ("stop_instances", "ACTIVE", "stopping", ("POST", f"/compute/v2.1/servers/{SERVER}/action")),
        ("stop_instances", "SHUTOFF", "stopped", None),
        ("terminate_instances", "ACTIVE", "shutting-down", ("DELETE", f"/compute/v2.1/servers/{SERVER}")),
        ("terminate_instances", "ERROR", "shutting-down", ("DELETE", f"/compute/v2.1/servers/{SERVER}")),
    ],
)
def test_servers_start_stop_and_go(
    world: World, ask: str, status: str, state: str, request_: tuple[str, str] | None
) -> None:
    world.aws.server(status=status)
    answer = getattr(world.client(), ask)(InstanceIds=[ONE])
    (found,) = next(value for key, value in answer.items() if key.endswith("Instances"))
    assert (found["InstanceId"], found["CurrentState"]["Name"]) == (ONE, state)
    assert world.done() == ([request_] if request_ else [])


def test_one_unknown_instance_among_others_and_none_is_touched(world: World) -> None:
    world.aws.server()
    unknown = "i-" + "0" * 32
    refused = refusal(world.client().terminate_instances, InstanceIds=[ONE, unknown])
    assert refused == (400, "InvalidInstanceID.NotFound")
    assert world.done() == []


@pytest.mark.parametrize(
    ("status", "says", "answer"),
    [
        (409, "Cannot 'start' instance while it is in vm_state building", (400, "IncorrectInstanceState")),
        (403, "Policy doesn't allow it", (403, "UnauthorizedOperation")),
        (404, "Instance could not be found", (400, "InvalidInstanceID.NotFound")),
        (500, "Unexpected API Error", (500, "InternalError")),
    ],
)
def test_what_nova_refuses_is_said_in_ec2s_words(world: World, status: int, says: str, answer: tuple[int, str]) -> None:
    world.aws.server(status="SHUTOFF")
    path = f"/compute/v2.1/servers/{SERVER}/action"
    world.aws.instead["POST", path] = (status, {"error": {"message": says, "code": status}})
    assert refusal(world.client().start_instances, InstanceIds=[ONE]) == answer


def test_a_full_quota_is_told(world: World) -> None:
    says = "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances"
    world.aws.instead["POST", "/compute/v2.1/servers"] = (403, {"forbidden": {"message": says, "code": 403}})
    wanted = BOOT
    assert refusal(world.client().run_instances, **wanted) == (400, "InstanceLimitExceeded")


def test_key_pairs_are_listed(world: World) -> None:
    (found,) = world.client().describe_key_pairs(KeyNames=["lab"])["KeyPairs"]
    assert (found["KeyName"], found["KeyFingerprint"]) == ("lab", "aa:bb")


@pytest.mark.parametrize(("access", "secret", "verdict"), [(ACCESS, "another" * 5, 401), ("b" * 32, SECRET, 404)])
def test_who_keystone_does_not_know_is_turned_away(world: World, access: str, secret: str, verdict: int) -> None:
    assert refusal(world.client(access, secret).describe_instances) == (401, "AuthFailure")
    assert set(world.aws.verdicts) == {verdict}
    assert not any(path.startswith(("/compute", "/image")) for _, path in world.aws.asked)


def test_a_form_that_was_changed_on_its_way_is_turned_away(world: World) -> None:
    good = b"Action=DescribeInstances&Version=2016-11-15"
    assert world.form(good).status_code == 200
    changed = world.form(good.replace(b"DescribeInstances", b"DescribeImages"), signed=good)
    assert (changed.status_code, "AuthFailure" in changed.text) == (401, True)


@pytest.mark.parametrize(
    ("service", "names"),
    [("s3", "host;x-amz-date"), ("ec2", "x-amz-date"), ("ec2", "host"), ("ec2", "host;x-amz-date;x-other"), ("", "")],
)
def test_what_is_not_signed_for_this_service_goes_no_further(world: World, service: str, names: str) -> None:
    headers = {"X-Amz-Date": "20261126T220000Z"}
    if service:
        scope = f"Credential={ACCESS}/20261126/RegionOne/{service}/aws4_request"
        headers["Authorization"] = f"AWS4-HMAC-SHA256 {scope}, SignedHeaders={names}, Signature={'0' * 64}"
    answer = requests.post(world.url, data=b"Action=DescribeInstances", headers=headers, timeout=30)
    assert (answer.status_code, "AuthFailure" in answer.text) == (401, True)
    assert world.aws.asked == []


def test_requests_are_forms_of_limited_size_without_a_query(world: World) -> None:
    def sent(method: str, url: str, body: bytes | Iterator[bytes] = b"") -> int:
        return requests.request(method, url, data=body, timeout=30).status_code

    assert sent("GET", world.url) == 405
    assert sent("POST", f"{world.url}?Action=DescribeInstances") == 405
    assert sent("POST", world.url, iter([b"Action=DescribeInstances"])) == 411  # in chunks: it tells no length
    assert sent("POST", world.url, b"Action=" + b"x" * api.LARGEST) == 413
    assert sent("POST", world.url, b"no form") == 400
    assert sent("POST", world.url, b"Action=A&Action=B") == 400
    assert sent("POST", world.url, b"\xff=\xff") == 400
    assert sent("POST", world.url, b"&".join(b"a%d=b" % number for number in range(300))) == 400
    assert world.aws.asked == []


@pytest.mark.parametrize("roles", [(False, True), (True, False)])
def test_a_service_that_keystone_does_not_trust_says_so_in_its_log_alone(
    world: World, roles: tuple[bool, bool], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    world.aws.roles = roles
    application = api.application(configuration(world.aws, tmp_path))  # which has not logged in yet
    with caplog.at_level(logging.INFO, logger="ec2"), fake_aws.serving(application) as url:
        assert refusal(World(world.aws, url).client().describe_instances) == (500, "InternalError")
    assert ("Unauthorized" if not roles[0] else "Forbidden") in caplog.text


def test_the_log_tells_each_request_and_no_secret(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="ec2"):
        world.client().describe_instances()
        refusal(world.client(secret="wrong" * 6).describe_instances)
        refusal(world.client().describe_volumes)
    lines = [each.getMessage() for each in caplog.records if each.name == "ec2"]
    assert [line.partition(" ")[2] for line in lines] == [
        "DescribeInstances: 200",
        "?: 401 AuthFailure",
        "?: 400 InvalidAction",
    ]
    assert not any(word in line for line in lines for word in (ACCESS, SECRET, PASSWORD, TOKEN, "Signature"))


def test_the_checks_own_signatures_are_those_of_amazons_client() -> None:
    url, body = "http://controller.cloud.example.org:8773/services/Cloud", b"Action=DescribeImages&Version=2016-11-15"
    for moment in (datetime(2026, 11, 26, 22, 0, 9, tzinfo=UTC), datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)):
        made = Signer(access=ACCESS, secret=SECRET, region="RegionOne").headers(url, body, moment)
        signer = SigV4Auth(Credentials(ACCESS, SECRET), "ec2", "RegionOne")
        sent = {name: value for name, value in made.items() if name != "authorization"}
        request = AWSRequest(method="POST", url=url, headers=sent, data=body)
        request.context["timestamp"] = made["x-amz-date"]
        signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        assert made["authorization"].endswith(f"Signature={signature}")


def test_the_role_brings_the_service_to_its_node_with_a_user_that_may_ask_about_signatures_alone() -> None:
    steps = [step for task in plan_tasks(cloud("grizzly"), only="ec2") for step in task.steps]
    assert {step.node for step in steps} == {"controller"}
    assert not any(step.live for step in steps)
    actions = [each for step in steps for each in step.actions]
    files = {each.path: each for each in actions if isinstance(each, PutFile)}
    folder = Path(api.__file__).parent
    for name in ("__init__.py", "api.py", "calls.py"):
        assert files[f"/usr/local/lib/ec2/ec2/{name}"].content == (folder / name).read_text()
    (made,) = (each.data["wanted"] for each in actions if isinstance(each, Python))
    assert [each["roles"] for each in made["users"]] == [{"service": ["service"]}]
    (conf,) = (each for each in actions if isinstance(each, Ini) and each.path == api.CONF)
    assert (conf.owner, conf.mode) == ("root:ec2", 0o640)
    assert [each.names for each in actions if isinstance(each, Unit)] == [("ec2-api",)]
