"""`tieline gallery command` and callers with bare sockets."""

import os
import select
import socket
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def server(gallery):
    return gallery("command", "--allow", "echo", "true", "printf", "false", "head", "sleep")


@pytest.fixture(scope="module")
def open_server(gallery):
    return gallery("command", "--allow-any")


def ask(client: socket.socket, command: bytes, acknowledgement: bytes = b"ok") -> bytes:
    """As deployed clients do: the command, the size, an acknowledgement, so many bytes."""
    client.send(command)
    size = int(client.recv(1024).decode())
    client.send(acknowledgement)
    pieces, got = [], 0
    while got < size:
        pieces.append(client.recv(1 << 20))
        assert pieces[-1], f"closed after {got} of {size}"
        got += len(pieces[-1])
    assert got == size
    return b"".join(pieces)


def test_a_learners_client_runs_many_commands(server, call):
    client = call(server)
    for number in range(5):
        assert ask(client, b"echo hello %d" % number, b"ready to receive") == b"hello %d\n" % number
    assert ask(client, "printf '%s|' 'two words' é".encode()) == "two words|é|".encode()


def test_a_command_without_output_says_so(server, call):
    client = call(server)
    assert ask(client, b"true") == b"no output"
    assert ask(client, b"printf ''") == b"no output"


def test_100_mb_arrive_whole(server, call):
    assert ask(call(server), b"head -c 100000000 /dev/zero") == bytes(100_000_000)


def test_what_is_not_on_the_list_does_not_run(server, call, tmp_path):
    client = call(server)
    for command in (f"touch {tmp_path}/x", "/bin/echo hello", f"{tmp_path}/echo", "''"):
        assert ask(client, command.encode()).startswith(b"not allowed here: ")
    assert os.listdir(tmp_path) == []


def test_there_is_no_shell(server, call, tmp_path):
    client = call(server)
    for tail in (f"; touch {tmp_path}/x", f"> {tmp_path}/x", f"$(touch {tmp_path}/x)", f"| tee {tmp_path}/x"):
        assert ask(client, f"echo a {tail}".encode()).startswith(b"a ")
    assert os.listdir(tmp_path) == []


def test_all_may_run_where_the_owner_says_so_and_errors_are_told(open_server, call):
    client = call(open_server)
    assert b"no program" in ask(client, b"no-such-program-here").lower() or b"No such file" in ask(
        client, b"no-such-one"
    )
    assert b"No closing quotation" in ask(client, b"echo 'half")
    assert ask(client, b" \n") == b"no command"
    script = "import sys; print('out'); sys.stdout.flush(); print('err', file=sys.stderr); sys.exit(3)"
    assert ask(client, f'{sys.executable} -c "{script}"'.encode()) == b"out\nerr\n"


def test_a_program_that_asks_gets_no_answer_and_ends(open_server, call):
    assert ask(call(open_server), b"cat") == b"no output"


def test_what_a_caller_sends_with_a_newline_is_the_same_command(server, call):
    assert ask(call(server), b"echo hello\r\n", b"\n") == b"hello\n"


def test_callers_who_vanish_or_stall_hold_up_nobody(server, call, vanish):
    for stage in range(3):
        client = call(server)
        client.send(b"head -c 50000000 /dev/zero")
        if stage:
            client.recv(1024)
        if stage == 2:
            client.send(b"ok")
            client.recv(1024)
        vanish(client)
    stalling = call(server)
    stalling.send(b"head -c 50000000 /dev/zero")
    stalling.recv(1024)
    stalling.send(b"ok")  # and does not read
    sleeping = call(server)
    sleeping.send(b"sleep 30")
    assert ask(call(server), b"echo here") == b"here\n"


def test_the_program_of_a_caller_who_is_gone_is_ended(open_server, call, vanish, tmp_path):
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    script = f"import time; alive = open('{alive}', 'w'); alive.write('up'); alive.flush(); time.sleep(600)"
    client = call(open_server)
    client.send(f'{sys.executable} -c "{script}"'.encode())
    with open(alive, "rb", buffering=0) as pipe:
        assert pipe.read(2) == b"up"
        vanish(client)
        ready, _, _ = select.select([pipe], [], [], 30)  # at its end: the program held the other one
        assert ready, "it goes on for nobody"
        assert pipe.read(1) == b""


def test_an_acknowledgement_that_comes_while_the_program_runs_counts(server, call, tmp_path):
    os.mkfifo(tmp_path / "input")
    client = call(server)
    client.send(f"head -c 3 {tmp_path}/input".encode())
    with open(tmp_path / "input", "wb", buffering=0) as pipe:  # which waits until the program is there
        client.send(b"ok")
        pipe.write(b"abc")
    assert client.recv(1, socket.MSG_WAITALL) + client.recv(3, socket.MSG_WAITALL) == b"3abc"


def test_a_command_one_byte_at_a_time_is_as_many_commands_and_no_harm(server, call):
    client = call(server)
    for letter in b"ab":
        assert ask(client, bytes([letter])) == b"not allowed here: " + bytes([letter])


def test_two_commands_in_a_packet_are_one_since_nothing_is_between_them(server, call):
    assert ask(call(server), b"echo oneecho two") == b"oneecho two\n"


def test_a_flood_and_what_is_no_command_line_hold_up_nobody(server, call, flood):
    flood(call(server), b"x" * 100_000)
    assert ask(call(server), b"echo " + b"x" * 5000) == b"longer than 4096 bytes"
    assert ask(call(server), b"echo here") == b"here\n"


def test_a_hundred_at_once(server, call, at_once):
    assert at_once(lambda number: ask(call(server), b"echo %d" % number)) == [b"%d\n" % n for n in range(100)]


def test_who_says_neither_what_is_allowed_nor_that_all_is_is_told(gallery):
    done = subprocess.run(
        [sys.executable, "-m", "tieline", "gallery", "command"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--allow" in done.stderr
