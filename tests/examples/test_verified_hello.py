"""`tieline gallery verified-hello` and callers with bare sockets."""

import hashlib

import pytest

KEY = b"s3cret words"


@pytest.fixture(scope="module")
def server(gallery):
    return gallery("verified-hello", "--key", KEY.decode())


@pytest.fixture
def answered(server, call, receive):
    """What a client is told that answers with this key."""

    def ask(key: bytes) -> bytes:
        client = call(server)
        nonce = receive(client, 32)
        assert len(nonce) == 32
        client.send(hashlib.sha1(key + nonce).hexdigest().encode())
        try:
            return receive(client, 1024)
        except ConnectionError:
            return b""

    return ask


def test_a_learners_client_with_the_key_is_told_hello(answered):
    assert answered(KEY) == b"hello"


@pytest.mark.parametrize("key", [b"", b"another", KEY.upper()])
def test_one_without_is_closed_at_once(answered, key):
    assert answered(key) == b""


def test_an_answer_one_byte_at_a_time_counts(server, call, receive):
    client = call(server)
    for letter in hashlib.sha1(KEY + receive(client, 32)).hexdigest().encode():
        client.send(bytes([letter]))
    assert receive(client, 1024) == b"hello"


def test_the_answer_to_another_callers_challenge_is_none(server, call, receive):
    one, other = call(server), call(server)
    nonce, _ = receive(one, 32), receive(other, 32)
    other.send(hashlib.sha1(KEY + nonce).hexdigest().encode())
    try:
        assert receive(other, 1024) == b""
    except ConnectionError:
        pass


def test_floods_and_crashes_in_the_challenge_harm_nobody(server, answered, call, vanish):
    for _ in range(10):
        vanish(call(server))
        flooding = call(server)
        try:
            flooding.sendall(b"x" * 100_000)
        except ConnectionError:
            pass  # put out in the middle of it
    assert answered(KEY) == b"hello"


def test_two_answers_in_a_packet_are_one_too_many_and_no_harm(server, call, receive):
    client = call(server)
    client.send(hashlib.sha1(KEY + receive(client, 32)).hexdigest().encode() * 2)
    assert receive(client, 1024) == b"hello"


def test_a_hundred_at_once_each_by_its_own_challenge(answered, at_once):
    told = at_once(lambda number: answered(KEY if number % 2 else b"wrong"))
    assert told == [b"hello" if number % 2 else b"" for number in range(100)]
