"""`tieline gallery upper` and callers with bare sockets."""

import pytest


@pytest.fixture(scope="module")
def upper(gallery):
    return gallery("upper")


def test_a_learners_client_gets_its_words_back_in_upper_case(upper, call):
    client = call(upper)
    for word in (b"hello", b"world 7", "straße".encode()):
        client.send(word)
        assert client.recv(1024) == word.upper()
    client.send(b"exit")
    assert client.recv(1024) == b""


def test_exit_ends_that_caller_only(upper, call):
    one, other = call(upper), call(upper)
    one.send(b"exit")
    assert one.recv(1024) == b""
    other.send(b"still here")
    assert other.recv(1024) == b"STILL HERE"


def test_who_sends_nothing_holds_up_nobody(upper, call):
    silent, other = call(upper), call(upper)
    silent.send(b"")
    other.send(b"a")
    assert other.recv(1024) == b"A"
    silent.send(b"b")
    assert silent.recv(1024) == b"B"


def test_a_caller_who_crashes_is_an_end_for_it_alone(upper, call, vanish):
    for _ in range(10):
        caller = call(upper)
        caller.send(b"in the mid")
        vanish(caller)
    other = call(upper)
    other.send(b"a")
    assert other.recv(1024) == b"A"


def test_one_byte_at_a_time_and_two_messages_in_a_packet_lose_nothing(upper, call, receive):
    client = call(upper)
    for letter in b"trickle":
        client.send(bytes([letter]))
    assert receive(client, 7) == b"TRICKLE"
    client.send(b"one" + b"two")
    assert receive(client, 6) == b"ONETWO"


def test_who_floods_and_does_not_read_is_held_back_and_nobody_else(upper, call, flood, receive):
    flooding, other = call(upper), call(upper)
    taken = flood(flooding, b"x" * 65536)
    assert taken < 64 << 20, "all of it was taken, so it is kept somewhere"
    other.send(b"a")
    assert other.recv(1024) == b"A"
    assert receive(flooding, taken) == b"X" * taken


def test_a_hundred_at_once(upper, call, at_once, receive):
    def one(number: int) -> bytes:
        client = call(upper)
        client.send(b"caller %d" % number)
        return receive(client, len(b"caller %d" % number))

    assert at_once(one) == [b"CALLER %d" % number for number in range(100)]
