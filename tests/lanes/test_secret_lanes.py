"""A lane whose bytes are secret: the same as a plain one, and nothing is believed that was cut, altered or not said."""

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress

import msgspec
import pytest
from tests.files.conftest import House

from tieline.errors import Denied, LinkClosed, ProtocolError
from tieline.lanes import patience
from tieline.lanes.connection import Lane
from tieline.lanes.dial import dial_lane, show
from tieline.lanes.tls import Tls
from tieline.lanes.turns import Turns
from tieline.limits import DEFAULT, Limits, MiB
from tieline.transports.address import Address
from tieline.transports.certificate import make_certificate
from tieline.transports.tls import LANE, client_context, server_context
from tieline.wire.lane import HEADER, PREFACE, Kind
from tieline.wire.lane_messages import AllKept, End, Kept, Open, Opened, Put, message_frame

PAIR = make_certificate(["localhost"])
HASTY = msgspec.structs.replace(DEFAULT, lane_idle=0.2, lane_progress=0.2)
PATIENT = msgspec.structs.replace(DEFAULT, lane_idle=0.3)
Alter = Callable[[bytes], bytes]


class Ends:
    """`here` and `there`, two lanes after their handshake; what goes from here to there passes `alter`, piece by piece;
    it ends where that takes some away."""

    def __init__(self, alter: Alter | None = None, limits: Limits = DEFAULT, tickets: int = 0) -> None:
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
        client, server = Tls(mine, client_context("pin"), server=False), Tls(out, context, server=True)
        shaking = self.run(lambda: server.handshake(30))
        client.handshake(30)
        shaking.join(30)
        self.here, self.there = Lane(client, limits), Lane(server, limits)

    def opened(self, *first: bytes) -> "Ends":
        """Both have said their keys; `there` has sent this right behind its own."""
        there = self.run(lambda: self.answer(first))
        show(self.here, b"token", 30)
        there.join(30)
        return self

    def answer(self, first: tuple[bytes, ...] = ()) -> None:
        assert self.there.exactly(len(PREFACE)) == PREFACE
        opening = self.there.message()
        assert isinstance(opening, Open)
        key = self.there.key()
        self.there.say(Opened(key))
        self.there.seal(key, opening.key)
        for data in first:
            self.there.send(data)

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


def sealed(lane: Lane, data: bytes) -> bytes:
    """What the lane would send for it: records that come next."""
    one, other = socket.socketpair()
    with one, other:
        lane._carrier.sock = one
        lane.send(data)
        lane._carrier.sock = lane.sock
        return other.recv(65536)


@pytest.mark.parametrize("size", [0, 1, 16384, 16385, 3 * MiB + 7])
def test_what_is_sent_arrives_and_nothing_more(make: Callable[..., Ends], size: int) -> None:
    ends, data = make().opened(), os.urandom(size)
    thread = ends.run(lambda: ends.here.send(HEADER.pack(size, Kind.DATA) + data + message_frame(End())))
    assert ends.there.header() == (Kind.DATA, size)
    assert read(ends.there, size) == data
    assert ends.there.message() == End()
    assert not ends.there.readable()
    ends.there.say(AllKept())
    assert ends.here.message() == AllKept()
    thread.join(30)
    assert (ends.here.bytes_out, ends.here.bytes_in) == (ends.there.bytes_in, ends.there.bytes_out)


def test_nobody_reads_along(make: Callable[..., Ends]) -> None:
    seen = bytearray()

    def look(piece: bytes) -> bytes:
        seen.extend(piece)
        return piece

    ends, secret = make(look).opened(), b"a secret of this lane"
    ends.run(lambda: ends.here.send(secret * 10_000))
    assert read(ends.there, len(secret) * 10_000) == secret * 10_000
    assert len(seen) > len(secret) * 10_000
    assert secret not in seen
    assert b"tieline-lane/1\n" not in seen  # nor its first words


def test_it_may_come_byte_by_byte(make: Callable[..., Ends]) -> None:
    ends = make().opened()
    record = sealed(ends.here, message_frame(Kept(300)) + message_frame(AllKept()))

    def trickle() -> None:
        for byte in record:
            ends.wires[0].sendall(bytes([byte]))

    ends.run(trickle)
    assert [ends.there.message(), ends.there.message()] == [Kept(300), AllKept()]


def test_a_record_that_comes_slowly_is_no_silence(make: Callable[..., Ends]) -> None:
    ends, put = make(None, PATIENT).opened(), Put(["/some/where"] * 900)
    record = sealed(ends.here, message_frame(put))

    def trickle() -> None:
        for at in range(0, len(record), len(record) // 8):
            ends.wires[0].sendall(record[at : at + len(record) // 8])
            over.wait(0.1)  # each part sooner than silence ends a lane, all of them not

    over = threading.Event()
    ends.run(trickle)
    try:
        assert ends.there.message() == put
    finally:
        over.set()


def test_a_record_that_does_not_get_on_ends_the_lane(make: Callable[..., Ends]) -> None:
    ends = make(None, HASTY).opened()
    ends.wires[0].sendall(sealed(ends.here, message_frame(AllKept()))[:-1])
    with pytest.raises(LinkClosed, match=r"\(0\.2 s\)"):  # and not the 30 that silence may last
        ends.there.message(30)


def test_who_sends_a_byte_in_each_record_gets_no_longer_turns(
    make: Callable[..., Ends], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counted(Turns):
        passed = 0

        def pass_on(self) -> None:
            self.passed += 1
            super().pass_on()

    turns = Counted(1)
    monkeypatch.setattr(patience, "TURNS", turns)
    ends = make().opened()
    ends.run(lambda: [ends.here.send(b"x") for _ in range(1000)])
    with ends.there.working():
        assert read(ends.there, 1000) == b"x" * 1000
    assert turns.passed == 999


def test_two_who_both_send_do_not_wait_for_each_other(make: Callable[..., Ends]) -> None:
    ends, answers = make().opened(), 20_000

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

    ends = make(flip).opened()

    def send() -> None:
        with suppress(LinkClosed):
            ends.here.send(data)

    ends.run(send)
    got = bytearray()

    def read_on() -> None:
        while True:
            got.extend(read(ends.there, 4096))

    with pytest.raises(LinkClosed, match="altered"):
        read_on()
    assert len(got) < 2 * MiB
    assert data.startswith(got)
    with pytest.raises(LinkClosed, match="altered"):
        read(ends.there, 1)  # nor later
    ends.there.close()


@pytest.mark.parametrize("at", [0, 3, 40, 20_000])
def test_what_ends_within_a_record_was_cut(make: Callable[..., Ends], at: int) -> None:
    left: int | None = None

    def cut(piece: bytes) -> bytes:
        nonlocal left
        if left is None:
            return piece
        passed, left = piece[:left], max(0, left - len(piece))
        return passed

    ends = make(cut).opened()
    left = at
    ends.run(lambda: ends.here.send(bytes(60_000)))
    with pytest.raises(LinkClosed, match="cut"):
        read(ends.there, 60_000)


def test_a_goodbye_of_tls_before_the_first_words_is_a_cut_lane(make: Callable[..., Ends]) -> None:
    ends = make()
    with pytest.raises(ssl.SSLWantReadError):
        ends.here._carrier.tls.unwrap()  # type: ignore[attr-defined]
    ends.here._carrier.flush()
    with pytest.raises(LinkClosed, match="cut"):
        ends.there.message()  # though the socket stays open


def test_silence_and_a_reader_who_takes_nothing_have_deadlines(make: Callable[..., Ends]) -> None:
    ends = make(None, HASTY).opened()
    with pytest.raises(LinkClosed, match="said nothing"):
        ends.there.message()
    with pytest.raises(LinkClosed, match="takes nothing more"):
        ends.here.send(bytes(32 * MiB))


@pytest.mark.parametrize("doing", ["sending", "receiving"])
def test_it_is_stopped_from_another_thread(make: Callable[..., Ends], doing: str) -> None:
    ends = make().opened()
    timer = threading.Timer(0.1, ends.here.stop, [Denied("revoked")])
    timer.start()
    with pytest.raises(Denied, match="revoked"):
        ends.here.send(bytes(64 * MiB)) if doing == "sending" else ends.here.message()
    timer.join()


@pytest.mark.parametrize("tickets", [0, 2])
def test_what_comes_right_behind_the_first_words_is_not_lost(make: Callable[..., Ends], tickets: int) -> None:
    ends, data = make(tickets=tickets), os.urandom(100_000)
    answering = ends.run(lambda: ends.answer((message_frame(Kept(1)), data)))
    key = ends.here.key()
    ends.here.send(PREFACE + message_frame(Open(b"token", key)))
    answering.join(30)  # all of it lies there now: tickets, the last word in TLS, and what is sealed
    opened = ends.here.message()
    assert isinstance(opened, Opened)
    ends.here.seal(key, opened.key)
    assert ends.here.readable()
    assert ends.here.message() == Kept(1)
    assert read(ends.here, len(data)) == data
    assert not ends.here.readable()


def test_more_in_tls_than_the_first_words_ends_the_lane(make: Callable[..., Ends]) -> None:
    ends = make()
    ends.here.send(PREFACE + message_frame(Open(b"token", bytes(32))) + message_frame(End()))
    with pytest.raises(ProtocolError, match="more was said"):
        ends.answer()


@pytest.mark.parametrize("size", [0, 16, 33])
def test_a_key_that_is_none_ends_the_lane(make: Callable[..., Ends], size: int) -> None:
    ends = make()
    ends.here.send(PREFACE + message_frame(Open(b"token", bytes(size))))
    with pytest.raises(ProtocolError, match="key"):
        ends.answer()


@pytest.mark.parametrize("garbage", [bytes(4), b"\xff" * 4, b"\0\4\0\x11", b"\0\0\0\x10" + bytes(16)])
def test_a_record_of_no_possible_length_ends_the_lane(make: Callable[..., Ends], garbage: bytes) -> None:
    ends = make().opened()
    ends.here.sock.send(garbage)
    with pytest.raises(ProtocolError, match="sealed record"):
        ends.there.message()


def test_garbage_of_a_possible_length_ends_the_lane(make: Callable[..., Ends]) -> None:
    ends = make().opened()
    ends.here.sock.send(b"\0\0\0\x20" + os.urandom(32))
    with pytest.raises(LinkClosed, match="altered"):
        ends.there.message()


def test_a_record_sent_twice_ends_the_lane(make: Callable[..., Ends]) -> None:
    ends = make().opened()
    ends.wires[0].sendall(sealed(ends.here, message_frame(Kept(1))) * 2)
    assert ends.there.message() == Kept(1)
    with pytest.raises(LinkClosed, match="altered"):
        ends.there.message()


async def test_a_key_that_is_none_is_refused_before_the_token_is_used_up(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada", house.tls)
    token: bytes = await peer.call("files.lane", returns=bytes)
    with pytest.raises(LinkClosed, match="key of 16 bytes"):
        await asyncio.to_thread(open_with, peer.address, token, bytes(16))
    lane = await asyncio.to_thread(dial_lane, peer.address, token)
    lane.close()


def open_with(address: Address, token: bytes, key: bytes) -> None:
    with socket.create_connection((address.host, address.port)) as sock:
        secured = Tls(sock, client_context("pin", [LANE]), server=False)
        secured.handshake(30)
        lane = Lane(secured)
        lane.send(PREFACE + message_frame(Open(token, key)))
        lane.message(30)
