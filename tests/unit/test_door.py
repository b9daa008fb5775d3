"""The SSH door, met by a client on loopback: what it opens, and that it opens nothing else."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import asyncssh
import pytest
from asyncssh.connection import SSHServerConnection

from labctl.lab.visit import target
from labctl.remote import keys
from tests.unit.fake_classroom import DOOR, HOST, LAB, LATE, PASSWORDS, Classroom, play, team_plan

# -- what it opens ---------------------------------------------------------------------------------------------------


def test_a_command_runs_on_the_node_that_the_user_name_names(tmp_path: Path) -> None:
    async def scene(room: Classroom) -> None:
        async with room.visit("red+node-2") as ssh:
            done = await ssh.run("cat", input="hello")
            assert (done.stdout, done.exit_status) == ("hello", 0)
        assert [line[:2] for line in room.labs.dialled] == [("red", "red-node-2")]
        await room.until(lambda: len(room.events) == 3)
        assert room.said() == [
            ("login", "red", "password", ""),
            ("open", "red", "command", "node-2"),
            ("end", "red", "command", "node-2"),
        ]
        assert len({event.connection for event in room.events}) == 1
        assert room.events[0].address == "127.0.0.1"

    play(tmp_path, scene)


def test_status_signal_and_both_outputs_come_back(tmp_path: Path) -> None:
    async def scene(room: Classroom) -> None:
        async with room.visit("red+node-1") as ssh:
            failed = await ssh.run("fail 7")
            assert (failed.exit_status, failed.stdout, failed.stderr) == (7, "", "no")
            died = await ssh.run("die")
            assert died.exit_signal is not None
            assert died.exit_signal[0] == "KILL"

    play(tmp_path, scene)


def test_a_terminal_has_its_type_and_size_and_its_changes_reach_the_node(tmp_path: Path) -> None:
    async def scene(room: Classroom) -> None:
        async with room.visit("red+node-1") as ssh:
            shell = await ssh.create_process(term_type="xterm", term_size=(123, 40))
            assert await shell.stdout.readuntil("$ ") == "xterm 123 $ "
            shell.change_terminal_size(77, 20)
            assert await shell.stdout.read() == "size 77"
            shell = await ssh.create_process(term_type="xterm")
            await shell.stdout.readuntil("$ ")
            shell.send_signal("INT")
            assert await shell.stdout.read() == "signal INT"

    play(tmp_path, scene)


def test_a_visitor_who_names_no_node_chooses_from_the_list(tmp_path: Path) -> None:
    async def scene(room: Classroom) -> None:
        async with room.visit("red") as ssh:
            shell = await ssh.create_process(term_type="xterm")
            shown = await shell.stdout.readuntil("Which node? ")
            assert "node-1  10.0.0.3  172.16.0.3" in shown
            shell.stdin.write("nodx\x7f-9\r")
            assert "There is no such node" in await shell.stdout.readuntil("Which node? ")
            shell.stdin.write("2\rfor the node\n")  # typed before the node is there
            assert "you said for the node" in await shell.stdout.readuntil("for the node\n")
        assert room.labs.dialled[0][1] == "red-node-2"
        for leave in ("\x04", "\x03"):
            async with room.visit("red") as ssh:
                shell = await ssh.create_process(term_type="xterm")
                shell.stdin.write(leave)
                await shell.stdout.read()
                assert shell.exit_status == 2

    play(tmp_path, scene)


def test_files_go_both_ways(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"\0\xff" * 100_000)

    async def scene(room: Classroom) -> None:
        async with room.visit("red+node-1") as ssh, ssh.start_sftp_client() as sftp:
            await sftp.get("/there", tmp_path / "here")
            await sftp.put(tmp_path / "here", "/back")

    play(tmp_path, scene)
    assert (tmp_path / "back").read_bytes() == b"\0\xff" * 100_000


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("node-2", "10.0.0.4"),
        ("NODE-2.example.org.", "172.16.0.4"),
        ("red-node-2", "192.168.128.11"),
        ("10.0.0.4", "10.0.0.4"),
        ("172.16.1.7", "172.16.1.7"),  # an instance's
        ("192.168.128.11", "192.168.128.11"),
    ],
)
def test_every_name_and_inner_address_of_the_own_lab_is_dialled(tmp_path: Path, host: str, address: str) -> None:
    async def scene(room: Classroom) -> None:
        async with room.visit("red") as ssh:
            reader, writer = await ssh.open_connection(host, 80)
            writer.write(b"ping" * 100_000)
            writer.write_eof()
            assert await reader.read() == b"ping" * 100_000 + b"!"
        assert room.labs.dialled == [("red", host, address, 80)]
        await room.until(lambda: room.labs.lines == 0)
        await room.until(lambda: len(room.events) == 3)
        assert room.said()[1:] == [("open", "red", "port", f"{host}:80"), ("end", "red", "port", f"{host}:80")]

    play(tmp_path, scene)


def test_a_node_is_reached_through_the_door_with_the_labs_own_key(tmp_path: Path) -> None:
    async def scene(room: Classroom) -> None:
        async with (
            room.visit("red") as door,
            asyncssh.connect(
                "node-1",
                tunnel=door,
                username="root",
                config=None,
                client_keys=[asyncssh.import_private_key(LAB.private)],
                known_hosts=([asyncssh.import_public_key(HOST.public)], [], []),
            ) as node,
        ):
            assert (await node.run("cat", input="through")).stdout == "through"

    play(tmp_path, scene)


def test_twenty_sessions_share_few_logins_and_leave_nothing(tmp_path: Path) -> None:
    async def scene(room: Classroom) -> None:
        async def one(number: int) -> None:
            async with room.visit("red+node-1") as ssh:
                assert (await ssh.run("cat", input=f"{number}" * 10_000)).stdout == f"{number}" * 10_000

        await asyncio.gather(*(one(number) for number in range(20)))
        assert 1 <= len(room.labs.dialled) <= 3
        await room.until(lambda: len(room.said("end")) == 20)

    play(tmp_path, scene)


def test_a_slow_reader_gets_everything_and_slows_the_node_down(tmp_path: Path) -> None:
    async def scene(room: Classroom) -> None:
        async with room.visit("red+node-1") as ssh:
            process = await ssh.create_process("flood 200", encoding=None)
            await asyncio.sleep(0.5)
            content = await process.stdout.read()
            assert len(content) == 200 * 65536 + len(LATE)
            assert content.endswith(LATE.encode())
            assert process.exit_status == 0

    play(tmp_path, scene)


# -- who is let in ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("red", PASSWORDS["blue"]),
        ("blue+node-1", PASSWORDS["red"]),
        ("red", ""),
        ("", PASSWORDS["red"]),
        ("RED", PASSWORDS["red"]),
        ("root", PASSWORDS["red"]),
        ("red ", PASSWORDS["red"]),
        ("../red", PASSWORDS["red"]),
        ("red/../blue", PASSWORDS["red"]),
        ("green", "none"),
        ("+node-1", ""),
    ],
)
def test_nobody_comes_in_with_what_is_not_the_teams(tmp_path: Path, user: str, password: str) -> None:
    async def scene(room: Classroom) -> None:
        with pytest.raises(asyncssh.PermissionDenied):
            async with room.visit(user, password):
                pass
        await room.until(lambda: bool(room.events) or not user)
        assert {event for event, *_ in room.said()} <= {"failed"}
        assert room.labs.dialled == []

    play(tmp_path, scene)


def test_a_key_lets_its_own_team_in_and_no_other(tmp_path: Path) -> None:
    ada, eve = keys.generate("ada"), keys.generate("eve")

    async def scene(room: Classroom) -> None:
        room.give_key("red", ada.public)
        key = {"client_keys": [asyncssh.import_private_key(ada.private)]}
        async with room.visit("red+node-1", **key) as ssh:
            assert (await ssh.run("cat", input="in")).stdout == "in"
        await room.until(lambda: bool(room.said("login")))
        assert room.said("login") == [("login", "red", keys.fingerprint(ada.public), "")]
        with pytest.raises(asyncssh.PermissionDenied):
            async with room.visit("blue+node-1", **key):
                pass
        other = {"client_keys": [asyncssh.import_private_key(eve.private)]}
        with pytest.raises(asyncssh.PermissionDenied):
            async with room.visit("red+node-1", **other):
                pass
        await room.until(lambda: len(room.said("failed")) == 2)
        assert room.said("failed") == [("failed", "blue", "key", ""), ("failed", "red", "key", "")]

    play(tmp_path, scene)


def test_whoever_guesses_passwords_has_to_wait_and_the_team_itself_does_not(tmp_path: Path) -> None:
    async def scene(room: Classroom) -> None:
        for _ in range(5):
            with pytest.raises(asyncssh.PermissionDenied):
                async with room.visit("red", "wrong"):
                    pass
        with pytest.raises(asyncssh.DisconnectError, match="Too many wrong passwords"):
            async with room.visit("red"):  # even the right one, for a minute
                pass
        async with room.visit("blue"):
            pass
        await room.until(lambda: ("refused", "red", "too many wrong passwords", "") in room.said())

    play(tmp_path, scene)


def test_the_door_shows_its_own_key(tmp_path: Path) -> None:
    async def scene(room: Classroom) -> None:
        async with room.visit("red", known_hosts=([asyncssh.import_public_key(DOOR.public)], [], [])):
            pass

    play(tmp_path, scene)


# -- what it does not open -------------------------------------------------------------------------------------------

STRANGE = [
    "127.0.0.1",
    "localhost",
    "::1",
    "0.0.0.0",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.3",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0",
    "192.168.128.1",  # this machine's address in the management network
    "192.168.128.99",  # nobody's there
    "192.168.129.10",  # a node of the other team
    "blue-node-1",
    "169.254.169.254",
    "8.8.8.8",
    "example.org",
    "node-1.example.com",
    "node-3",
    "",
    "10.0.0.3 ",
    "10.0.0.3/24",
    "x" * 5000,
    "node-1\n",
    "../node-1",
]


@pytest.mark.parametrize("host", STRANGE, ids=lambda host: repr(host[:20]))
def test_no_place_outside_the_own_lab_is_dialled(tmp_path: Path, host: str) -> None:
    async def scene(room: Classroom) -> None:
        async with room.visit("red") as ssh:
            with pytest.raises(asyncssh.ChannelOpenError) as refused:
                await ssh.open_connection(host, 22)
            assert refused.value.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED
        assert room.labs.dialled == []
        await room.until(lambda: bool(room.said("refused")))
        assert room.said("refused") == [("refused", "red", "port", f"{host[:255]}:22")]

    play(tmp_path, scene)


@pytest.mark.parametrize("user", ["red+blue-node-1", "red+node-3", "red+192.168.129.10", "red+../node-1", "red+root@x"])
def test_no_session_goes_to_a_node_of_another_team(tmp_path: Path, user: str) -> None:
    async def scene(room: Classroom) -> None:
        async with room.visit(user) as ssh:
            for done in (await ssh.run("cat", input=""), await ssh.run(term_type="xterm")):
                assert done.exit_status == 2
                assert "red has no node" in str(done.stderr)
            with pytest.raises(asyncssh.Error):
                await ssh.start_sftp_client()
        assert room.labs.dialled == []
        await room.until(lambda: {line[2] for line in room.said("refused")} == {"command", "shell", "sftp"})

    play(tmp_path, scene)


def test_every_other_kind_of_channel_and_request_is_refused_and_recorded(tmp_path: Path) -> None:
    """The lists name all that asyncssh has a handler for: a new kind fails the test until somebody has looked at it."""
    handled = {re.sub(r"^_process_", "", name) for name in dir(SSHServerConnection) if name.startswith("_process_")}
    assert {name for name in handled if name.endswith("_open")} == {
        "session_open",  # allowed: see above
        "direct_tcpip_open",  # allowed to the own lab
        "direct_streamlocal_at_openssh_dot_com_open",
        "tun_at_openssh_dot_com_open",
        "channel_open",  # no kind, but what tells kinds apart
    }
    assert {name for name in handled if name.endswith("_global_request")} == {
        "tcpip_forward_global_request",
        "cancel_tcpip_forward_global_request",
        "streamlocal_forward_at_openssh_dot_com_global_request",
        "cancel_streamlocal_forward_at_openssh_dot_com_global_request",
        "hostkeys_prove_00_at_openssh_dot_com_global_request",  # the door proves its own key
        "keepalive_at_openssh_dot_com_global_request",
    }

    async def scene(room: Classroom) -> None:
        async with room.visit("red+node-1", agent_forwarding=True, agent_path="/nowhere") as ssh:
            for listen in (
                ssh.forward_remote_port("", 0, "127.0.0.1", 22),
                ssh.forward_remote_port("127.0.0.1", 8080, "127.0.0.1", 22),
                ssh.forward_remote_path("/tmp/labctl.sock", "/tmp/x"),
                ssh.open_unix_connection("/run/libvirt/libvirt-sock"),
                ssh.create_tun(lambda: asyncssh.SSHTunTapSession()),
                ssh.create_tap(lambda: asyncssh.SSHTunTapSession()),
            ):
                with pytest.raises((asyncssh.ChannelListenError, asyncssh.ChannelOpenError)):
                    await listen
            done = await ssh.run("env", env={"LD_PRELOAD": "/x", "LC_ALL": "C", "BASH_ENV": "/x"})
            assert done.stdout == "[]"
            channel, _ = await ssh.create_session(asyncssh.SSHClientSession, "cat", encoding=None)
            x11 = b"\0" + b"\0\0\0\x12MIT-MAGIC-COOKIE-1" + b"\0\0\0\x04abcd" + b"\0\0\0\0"
            assert await channel._make_request(b"x11-req", x11) is False
            assert await channel._make_request(b"auth-agent-req@openssh.com") is False
            assert await channel._make_request(b"nonsense@example.org") is False
            channel.close()
            with pytest.raises(asyncssh.ChannelOpenError):
                await ssh.create_session(asyncssh.SSHClientSession, subsystem="netconf")
        assert room.asked == []  # nothing of it reached the node
        await room.until(lambda: len({line[2] for line in room.said("refused")}) == 7)
        assert {line[2] for line in room.said("refused")} == {
            "remote forwarding",
            "remote socket forwarding",
            "socket forwarding",
            "network tunnel",
            "agent forwarding",
            "X11 forwarding",
            "subsystem netconf",
        }

    play(tmp_path, scene)


def test_a_plan_gives_no_address_of_the_host() -> None:
    lab = team_plan("red", 0)
    own = {str(nic.address) for node in lab.nodes for nic in node.nics}
    for network in lab.networks:
        if network.nat and network.subnet is not None:
            for address in map(str, network.subnet):
                if address not in own:
                    with pytest.raises(Exception, match="no address of the lab"):
                        target(lab, address, team="red")


# -- labs come and go ------------------------------------------------------------------------------------------------


def test_sessions_and_connections_end_when_their_node_is_reset_and_others_stay(tmp_path: Path) -> None:
    async def scene(room: Classroom) -> None:
        async with room.visit("red+node-1") as ssh, room.visit("red+node-2") as other:
            gone = await ssh.create_process("sleep")
            stays = await other.create_process("sleep")
            reader, _ = await ssh.open_connection("node-1", 80)
            await gone.stdout.readexactly(6)
            await stays.stdout.readexactly(6)
            room.reset("red", "node-1")
            done = await gone.wait()
            assert done.exit_status == 255
            assert "node-1 was reset or removed" in str(done.stderr)
            assert await reader.read() == b""
            assert stays.exit_status is None
            assert (await ssh.run("cat", input="again")).stdout == "again"  # by a new login
        assert [line[1] for line in room.labs.dialled].count("red-node-1") == 2

    play(tmp_path, scene)


def test_everything_ends_when_the_lab_is_destroyed_or_the_team_has_no_access_any_more(tmp_path: Path) -> None:
    async def scene(room: Classroom) -> None:
        async with room.visit("red+node-1") as ssh, room.visit("blue") as blue:
            process = await ssh.create_process("sleep")
            await process.stdout.readexactly(6)
            reader, _ = await ssh.open_connection("172.16.1.7", 80)  # no node's
            room.destroy("red")
            assert (await process.wait()).exit_status == 255
            assert await reader.read() == b""
            assert "red has no lab" in str((await ssh.run("cat")).stderr)
            del room.labs.access_["blue"]
            await blue.wait_closed()
        await room.until(lambda: room.labs.lines == 0)

    play(tmp_path, scene)


def test_a_node_that_is_dead_or_another_machine_is_said_to_be(tmp_path: Path) -> None:
    async def scene(room: Classroom) -> None:
        room.labs.dead.add("node-1")
        room.labs.host_key = keys.generate("another").public
        async with room.visit("red+node-1") as ssh, room.visit("red+node-2") as other:
            done = await ssh.run("cat")
            assert (done.exit_status, "does not answer on port 22" in str(done.stderr)) == (255, True)
            with pytest.raises(asyncssh.ChannelOpenError, match="does not answer"):
                await ssh.open_connection("node-1", 80)
            done = await other.run("cat")
            assert (done.exit_status, "another machine answers" in str(done.stderr)) == (255, True)
        await room.until(lambda: room.labs.lines == 0)

    play(tmp_path, scene)


def test_a_visitor_who_leaves_takes_everything_along(tmp_path: Path) -> None:
    async def scene(room: Classroom) -> None:
        async with room.visit("red+node-1") as ssh:
            process = await ssh.create_process("sleep")
            await process.stdout.readexactly(6)
            await ssh.open_connection("node-2", 80)
            ssh.abort()
        await room.until(lambda: len(room.said("end")) == 2)
        await room.until(lambda: room.labs.lines == 1)  # the login to the node, kept for the next

    play(tmp_path, scene)
