"""`tieline gallery stamp` and callers with bare sockets."""

import re
from datetime import UTC, datetime

import pytest

TIME = rb"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\]:"


@pytest.fixture(scope="module")
def stamp(gallery):
    return gallery("stamp")


def test_a_learners_client_gets_its_message_with_the_time(stamp, call):
    client = call(stamp)
    for message in (b"hello", b"again", "zeit für tee".encode()):
        client.send(message)
        found = re.fullmatch(TIME + re.escape(message), client.recv(1024))
        assert found
        told = datetime.fromisoformat(found[1].decode()).replace(tzinfo=UTC)
        assert abs((datetime.now(UTC) - told).total_seconds()) < 60


def test_two_lines_in_a_packet_are_two_messages(stamp, call, receive):
    client = call(stamp)
    client.send(b"one\ntwo\n")
    assert re.fullmatch(TIME + b"one\n" + TIME + b"two\n", receive(client, 2 * 26))


def test_one_byte_at_a_time_loses_no_byte(stamp, call, receive):
    client = call(stamp)
    answers = b""
    for letter in b"slow":
        client.send(bytes([letter]))
        answers += receive(client, 23)
    assert re.sub(TIME, b"", answers) == b"slow"


def test_who_vanishes_or_floods_holds_up_nobody(stamp, call, vanish, flood):
    flooding, gone, other = call(stamp), call(stamp), call(stamp)
    gone.send(b"in the mid")
    vanish(gone)
    assert flood(flooding, b"x" * 100_000) < 64 << 20
    other.send(b"a")
    assert re.fullmatch(TIME + b"a", other.recv(1024))


def test_a_hundred_at_once(stamp, call, at_once):
    def one(number: int) -> bytes:
        client = call(stamp)
        client.send(b"%03d" % number)
        return client.recv(1024)[-3:]

    assert at_once(one) == [b"%03d" % number for number in range(100)]
