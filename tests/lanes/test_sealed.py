"""A lane in TLS: the same as a plain one, and nothing is believed that was cut, altered or not said."""

import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tieline.errors import Denied, LinkClosed
from tieline.lanes.connection import Lane
from tieline.lanes.sealed import Sealed
from tieline.limits import DEFAULT, MiB
from tieline.transports.certificate import make_certificate
from tieline.transports.tls import client_context, server_context
from tieline.wire.lane import HEADER, AllKept, End, Kept, Kind, message_frame

PAIR = make_certificate(["localhost"])
HASTY = msgspec.structs.replace(DEFAULT, lane_idle=0.2, lane_progress=0.2)
Alter = Callable[[bytes], bytes]


class Ends:
    """`here` and `there`, two lanes in TLS; what goes from here to there passes `alter`, piece by piece; it ends where
    that takes some away."""

    def __init__(self, alter: Alter | None = None, limits: msgspec.Struct = DEFAULT, tickets: int = 0) -> None:
        mine, out = socket.socketpair()
        self.wires = [mine, out]
        self._threads: list[threading.Thread] = []
        if alter is not None:
            back, other = socket.socketpair()
            self.wires += [back, other]
            self.run(lambda: _pass_on(out, back, alter))
            self.run(lambda: _pass_on(back, out, bytes))
            out = other
        context = server_context(*PAIR)
        context.num_tickets = tickets
        client, server = Sealed(mine, client_context("pin"), server=False), Sealed(out, context, server=True)
        shaking = self.run(lambda: server.handshake(30))
        client.handshake(30)
        shaking.join(30)
        self.here, self.there = Lane(client, limits), Lane(server, limits)  # type: ignore[arg-type]

    def run(self, work: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=work)
        self._threads.append(thread)
        thread.start()
        return thread

    def close(self) -> None:
        for wire in self.wires:
            try:
                wire.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(30)
        for wire in self.wires:
            wire.close()


def _pass_on(source: socket.socket, target: socket.socket, alter: Alter) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(altered := alter(data))
            if len(altered) < len(data):
                break
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture
def make() -> Iterator[Callable[..., Ends]]:
    made: list[Ends] = []

    def new(*args: object, **options: object) -> Ends:
        made.append(Ends(*args, **options))  # type: ignore[arg-type]
        return made[-1]

    yield new
    for ends in made:
        ends.close()


def read(lane: Lane, size: int) -> bytes:
    buffer = bytearray(size)
    lane.read_into(memoryview(buffer))
    return bytes(buffer)


@pytest.mark.parametrize("size", [0, 1, 16384, 16385, 3 * MiB + 7])
def test_what_is_sent_arrives_and_nothing_more(make: Callable[..., Ends], size: int) -> None:
    ends, data = make(), os.urandom(size)
    thread = ends.run(lambda: ends.here.send(HEADER.pack(size, Kind.DATA) + data + message_frame(End())))
    assert ends.there.header() == (Kind.DATA, size)
    assert read(ends.there, size) == data
    assert ends.there.message() == End()
    assert not ends.there.readable()
    ends.there.say(AllKept())
    assert ends.here.message() == AllKept()
    thread.join(30)
    assert (ends.here.bytes_out, ends.here.bytes_in) == (ends.there.bytes_in, ends.there.bytes_out)


def test_it_may_come_byte_by_byte(make: Callable[..., Ends]) -> None:
    one, other = socket.socketpair()
    ends = make()
    frame = message_frame(Kept(300)) + message_frame(AllKept())
    ends.here._carrier.sock = one  # what is sealed comes out here
    ends.here.send(frame)
    sealed = other.recv(65536)

    def trickle() -> None:
        for byte in sealed:
            ends.wires[0].sendall(bytes([byte]))

    ends.run(trickle)
    assert [ends.there.message(), ends.there.message()] == [Kept(300), AllKept()]
    one.close()
    other.close()


def test_two_who_both_send_do_not_wait_for_each_other(make: Callable[..., Ends]) -> None:
    ends, answers = make(), 20_000

    def other() -> None:
        for number in range(answers):
            ends.there.say(Kept(number))
        read(ends.there, 8 * MiB)

    thread = ends.run(other)
    ends.here.send(bytes(8 * MiB))
    assert [ends.here.message() for _ in range(answers)] == [Kept(number) for number in range(answers)]
    thread.join(30)
    assert not thread.is_alive()


def test_a_flipped_byte_cuts_the_lane_and_what_was_before_it_is_right(make: Callable[..., Ends]) -> None:
    passed, data = 0, os.urandom(4 * MiB)

    def flip(piece: bytes) -> bytes:
        nonlocal passed
        before, passed = passed, passed + len(piece)
        at = 2 * MiB - before
        return piece if not 0 <= at < len(piece) else piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1 :]

    ends = make(flip)
    sending: list[BaseException] = []

    def send() -> None:
        try:
            ends.here.send(data)
            ends.here.message()
        except LinkClosed as error:
            sending.append(error)

    thread = ends.run(send)
    got = bytearray()

    def read_on() -> None:
        while True:
            got.extend(read(ends.there, 4096))

    with pytest.raises(LinkClosed):
        read_on()
    assert len(got) < 2 * MiB
    assert data.startswith(got)
    with pytest.raises(LinkClosed):
        read(ends.there, 1)  # nor later
    thread.join(30)
    assert sending  # it was told why


@pytest.mark.parametrize("at", [0, 3, 40, 20_000])
def test_what_ends_within_a_record_was_cut(make: Callable[..., Ends], at: int) -> None:
    left: int | None = None

    def cut(piece: bytes) -> bytes:
        nonlocal left
        if left is None:
            return piece
        passed, left = piece[:left], max(0, left - len(piece))
        return passed

    ends = make(cut)
    left = at
    ends.run(lambda: ends.here.send(bytes(60_000)))
    with pytest.raises(LinkClosed, match="cut"):
        read(ends.there, 60_000)


def test_a_goodbye_of_tls_is_a_cut_lane_too(make: Callable[..., Ends]) -> None:
    ends = make()
    ends.here.say(Kept(1))
    with pytest.raises(ssl.SSLWantReadError):
        ends.here._carrier.tls.unwrap()  # type: ignore[attr-defined]
    ends.here._carrier.flush()
    assert ends.there.message() == Kept(1)
    with pytest.raises(LinkClosed, match="cut"):
        ends.there.message()  # though the socket stays open


def test_silence_and_a_reader_who_takes_nothing_have_deadlines(make: Callable[..., Ends]) -> None:
    ends = make(None, HASTY)
    with pytest.raises(LinkClosed, match="said nothing"):
        ends.there.message()
    with pytest.raises(LinkClosed, match="takes nothing more"):
        ends.here.send(bytes(32 * MiB))


@pytest.mark.parametrize("doing", ["sending", "receiving"])
def test_it_is_stopped_from_another_thread(make: Callable[..., Ends], doing: str) -> None:
    ends = make()
    timer = threading.Timer(0.1, ends.here.stop, [Denied("revoked")])
    timer.start()
    with pytest.raises(Denied, match="revoked"):
        ends.here.send(bytes(64 * MiB)) if doing == "sending" else ends.here.message()
    timer.join()


def test_tickets_that_come_while_we_send_are_no_answers(make: Callable[..., Ends]) -> None:
    ends = make(tickets=2)
    assert not ends.here.readable()
    ends.run(lambda: ends.here.send(bytes(MiB)))
    read(ends.there, MiB)
    assert not ends.here.readable()
    ends.there.say(Kept(1))
    assert ends.here.message() == Kept(1)


@pytest.mark.requires("openssl")
def test_a_key_that_changes_changes_nothing_else(tmp_path: Path) -> None:
    """openssl's client asks for new keys of both sides (its `K`); a lane that only reads answers with its next word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        command = ["openssl", "s_client", "-connect", where]
        caller = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert caller.stdin is not None
        assert caller.stdout is not None
        sock, _ = listener.accept()
        try:
            sealed = Sealed(sock, server_context(*PAIR), server=True)
            sealed.handshake(30)
            lane = Lane(sealed)
            heard = b""
            for number, (line, answer) in enumerate(
                [
                    (b"one\n", b"<one"),
                    (b"K\n", b"KEYUPDATE"),
                    (b"two\n", b"<two"),
                    (b"k\n", b"KEYUPDATE"),
                    (b"3\n", b"<3"),
                ]
            ):
                caller.stdin.write(line)
                caller.stdin.flush()
                if number % 2 == 0:
                    assert read(lane, len(line)) == line
                    lane.send(b"<" + line)
                while answer not in heard:  # the caller takes a letter for a command only when it comes alone
                    heard += os.read(caller.stdout.fileno(), 65536)
                heard = b""
        finally:
            sock.close()
            caller.kill()
            caller.communicate()


@pytest.mark.parametrize("server", [True, False])
@pytest.mark.parametrize("way", ["silent", "slow", "gone", "garbage"])
def test_a_handshake_that_comes_to_nothing_ends_in_time(server: bool, way: str) -> None:
    mine, other = socket.socketpair()
    over = threading.Event()

    def talk() -> None:
        if way == "gone":
            other.shutdown(socket.SHUT_WR)
        elif way == "garbage":
            other.sendall(b"\x16\x03\x03\x00\x05hello")
        elif way == "slow":
            other.sendall(b"\x16\x03\x03\x40\x00")
            while not over.wait(0.02):  # each byte in time, all of them not
                other.sendall(b"\x01")

    thread = threading.Thread(target=talk)
    thread.start()
    context = server_context(*PAIR) if server else client_context("pin")
    with pytest.raises(OSError) as caught:
        Sealed(mine, context, server=server).handshake(0.3)
    over.set()
    thread.join(30)
    late = "silent", "slow"
    assert type(caught.value) is TimeoutError if way in late else not isinstance(caught.value, TimeoutError)
    if way == "garbage":
        other.settimeout(20)
        told = other.recv(65536)
        while told and told[0] != 21:  # behind our own hello
            told = told[5 + int.from_bytes(told[3:5], "big") :]
        assert told, "nobody was told why"
    mine.close()
    other.close()
