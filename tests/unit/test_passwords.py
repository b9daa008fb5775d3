"""Pinned passwords: whoever reads one gets back what the topology says, or the topology is refused."""

from __future__ import annotations

import ast
import configparser
import random
import re
import string
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib import parse

import oslo_messaging
import pytest
import yaml
from kombu.utils.url import url_to_parts
from oslo_config import cfg
from sqlalchemy.engine import make_url

from labctl import ini, quoting
from labctl.changes import Ini, Run
from labctl.cloud.cloud import Cloud
from labctl.errors import InputError
from labctl.installing.passwords import complete
from labctl.installing.tasks import plan_tasks
from labctl.plan.lab import INSTALLED, plan
from labctl.roles import fit, login
from labctl.secret import reveal
from labctl.spec import topology
from tests.unit.test_roles import IDENTITY

PRINTABLE = [character for character in string.printable if character.isprintable()]
NASTY = [
    "pa$$w$ord",
    "$HOME",
    "${HOME}",
    "a\\$b",
    "\\\\$$\\",
    '"quoted"',
    "'quoted'",
    '"',
    "'",
    " blanks at the ends ",
    "100%",
    "%(here)s",
    "# no comment",
    "; no comment",
    "[section]",
    "a = b",
    "x@y:z/%?#",
    """a'b"c $(id) `x`""",
    "-rf",
    "a,b:c",
    "\\",
    "é",
]


def every() -> list[str]:
    """Return passwords with each printable character at each place, beside each of the difficult ones, and random."""
    made = [shape.format(one) for one in PRINTABLE for shape in ("{0}", "{0}{0}", "{0}a", "a{0}", "a{0}b", "{0}a{0}")]
    made += [one + other for one in "\\$\"'% " for other in PRINTABLE]
    draw = random.Random(13)
    return [*NASTY, *made, *("".join(draw.choices(PRINTABLE, k=draw.randint(1, 12))) for _ in range(500))]


def cloud(**passwords: str) -> Cloud:
    """Return the cloud of allinone with these passwords, whatever a check would say."""
    spec = topology.load("allinone")
    assert spec.openstack is not None
    spec = spec.model_copy(update={"openstack": spec.openstack.model_copy(update={"passwords": passwords})})
    lab = plan(spec, IDENTITY, stage=INSTALLED)
    return Cloud.of(lab, complete({}, lab), slow=True, nested={"allinone": "qemu"})


def read(text: str, wanted: Mapping[str, Mapping[str, str]], path: Path) -> dict[str, dict[str, str]]:
    """Read the wanted options as a service does."""
    path.write_text(text)
    conf = cfg.ConfigOpts()
    for section, options in wanted.items():
        conf.register_opts([cfg.StrOpt(name) for name in options], group=section)
    conf(["--config-file", str(path)], project="test")
    return {section: {name: conf[section][name] for name in options} for section, options in wanted.items()}


def test_oslo_config_reads_every_value_back(tmp_path: Path):
    values = {"auth": {f"o{number}": password for number, password in enumerate(every())}}
    assert read(ini.set_values("", values), values, tmp_path / "service.conf") == values


@pytest.mark.parametrize("password", NASTY)
def test_every_option_of_every_service_is_read_back(password: str, tmp_path: Path):
    made = cloud(**{"*": password})
    actions = [action for task in plan_tasks(made) for step in task.steps for action in step.actions]
    files = [action for action in actions if isinstance(action, Ini) and action.dialect == "oslo"]
    assert len(files) > 10
    for action in files:
        every = reveal(action.values)
        values = {
            section: {name: value for name, value in options.items() if isinstance(value, str)}
            for section, options in every.items()
        }
        assert read(ini.set_values("", every), values, tmp_path / "service.conf") == values, action.path


def test_values_stay_when_a_file_is_edited_again():
    values = {"auth": {f"o{number}": password for number, password in enumerate([*NASTY, "a\u2028b"])}}
    once = ini.set_values("", values)
    assert ini.set_values(once, values) == once


@pytest.mark.parametrize("value", ["$x", "%(x)s", "@(x)", "a#b", "a;b", '"a"', "'a'", "a\\n", " a", "a\nb"])
def test_other_readers_of_ini_files_are_given_no_character_that_means_something_to_them(value: str):
    with pytest.raises(InputError):
        ini.set_values("", {"uwsgi": {"option": value}}, "plain")


def test_the_message_queues_url_is_read_back_by_oslo_messaging_and_kombu(tmp_path: Path):
    rule = fit.passwords()["rabbitmq"].fits
    conf = cfg.ConfigOpts()
    conf([], project="test")
    carried = [password for password in every() if re.fullmatch(rule, password) and password.isascii()]
    assert {character for password in carried for character in password} == set(PRINTABLE) - {"/"}
    for password in carried:
        made = f"rabbit://openstack:{quoting.url(password)}@10.0.0.3:5672/"
        (host,) = oslo_messaging.TransportURL.parse(conf, made).hosts
        assert (host.username, host.password, host.hostname, host.port) == ("openstack", password, "10.0.0.3", 5672)
        # As oslo_messaging._drivers.impl_rabbit.Connection hands it on.
        parts = url_to_parts(f"amqp://{parse.quote(host.username)}:{parse.quote(host.password)}@{host.hostname}:5672/")
        assert (parts.password, parts.hostname, parts.port) == (password, "10.0.0.3", 5672)
    with pytest.raises(ValueError, match="Port could not be cast"):
        _ = url_to_parts(f"amqp://openstack:{parse.quote('a/b')}@10.0.0.3:5672/").port


def test_a_databases_url_is_read_back_by_sqlalchemy_and_whoever_reads_urls():
    for password in every():
        url = f"mysql+pymysql://glance:{quoting.url(password)}@10.0.0.3/glance"
        split = parse.urlsplit(url)
        assert (parse.unquote(str(split.password)), split.hostname, split.path) == (password, "10.0.0.3", "/glance")
        made = make_url(url)
        assert (made.username, made.password, made.host, made.database) == ("glance", password, "10.0.0.3", "glance")


def test_keystones_database_url_passes_configparser_unharmed():
    rule = fit.passwords()["keystone-db"].fits
    for password in filter(re.compile(rule).fullmatch, every()):
        url = reveal(cloud(**{"keystone-db": password}).database_url("keystone")) if password in NASTY else password
        parser = configparser.ConfigParser()
        parser.read_dict({"alembic": {"sqlalchemy.url": url}})
        assert parser["alembic"]["sqlalchemy.url"] == url
        assert quoting.url(password) == password
    assert not re.fullmatch(rule, "x@y")


def test_mariadb_reads_every_literal_back():
    """Read it as https://mariadb.com/kb/en/string-literals/ says: doubled quotes, and escapes with a backslash."""
    escapes = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "Z": "\x1a"}
    for password in [*every(), "two\nlines"]:
        literal = quoting.sql(password)
        assert re.fullmatch(r"'(?:[^'\\]|''|\\.)*'", literal), literal
        text = re.sub(r"''|\\(.)", lambda found: escapes.get(found[1], found[1]) if found[1] else "'", literal[1:-1])
        assert text == password


def test_a_shell_reads_every_word_back():
    passwords = every()
    line = quoting.shell_line(["printf", "%s\\n", *passwords])
    assert subprocess.run(["sh", "-c", line], capture_output=True, check=True).stdout.decode().splitlines() == passwords


def test_python_reads_every_literal_back():
    assert [ast.literal_eval(quoting.python(password)) for password in every()] == every()


@pytest.mark.parametrize("password", NASTY)
def test_whoever_logs_in_gets_the_password_back(password: str, tmp_path: Path):
    made = cloud(demo=password)
    (tmp_path / "openrc").write_text(reveal(login.openrc(made, "demo")))
    line = f'. {tmp_path}/openrc; printf %s "$OS_PASSWORD"'
    assert subprocess.run(["sh", "-c", line], capture_output=True, check=True).stdout.decode() == password
    assert yaml.safe_load(reveal(login.clouds_yaml(made)))["clouds"]["demo"]["auth"]["password"] == password


def test_one_file_has_the_clouds_of_several_teams():
    one, two = cloud(demo="one"), cloud(demo="two")
    other = replace(two, lab=replace(two.lab, identity=replace(IDENTITY, team="other")))
    labs = [one, other]
    clouds = yaml.safe_load(reveal(login.clouds_of_teams(labs)))["clouds"]
    assert {name: each["auth"]["password"] for name, each in clouds.items() if name.endswith("demo")} == {
        f"{one.lab.team}-demo": "one",
        "other-demo": "two",
    }
    assert len(clouds) == 4


SETTERS = {"keystone": ("keystone-manage", "admin"), "rabbitmq": ("rabbitmqctl", "rabbitmq")}
"""Roles whose programs are told a password: the program, and the password's name."""


@pytest.mark.parametrize(
    ("role", "password"),
    [
        (role, password)
        for role, (_, name) in SETTERS.items()
        for password in NASTY
        if re.fullmatch(fit.passwords()[name].fits, password)
    ],
)
def test_programs_that_set_a_password_get_it_as_it_is_and_not_as_an_argument(role: str, password: str, tmp_path: Path):
    program, name = SETTERS[role]
    arguments, given = tmp_path / "arguments", tmp_path / "given"
    (tmp_path / program).write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >>{arguments}\n'
        f'test "$*" != "add_user openstack" || exec cat >>{given}\n'
        f'printf "%s\\n" "$OS_BOOTSTRAP_PASSWORD" >>{given}\n'
    )
    (tmp_path / program).chmod(0o755)
    (run,) = (
        action
        for task in plan_tasks(cloud(**{name: password}), only=role)
        for step in task.steps
        for action in step.actions
        if isinstance(action, Run) and password in reveal(action.stdin) and program in action.command
    )
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(["sh", "-c", run.command], input=reveal(run.stdin).encode(), env=path, check=True)
    assert given.read_text().split("\n")[0] == password
    assert password not in arguments.read_text().split("\n")
