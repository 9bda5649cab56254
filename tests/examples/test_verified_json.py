"""`tieline gallery verified-json` and callers with bare sockets."""

import hmac
import json
import socket

import pytest

KEY = b"linux rules"


@pytest.fixture(scope="module", params=["sha256", "md5"])
def echo(gallery, request):
    program = gallery("verified-json", "--key", KEY.decode(), "--digest", request.param)
    program.digest = request.param
    return program


@pytest.fixture
def verified(echo, call, receive):
    """A connected client that has proven the key, as deployed ones do."""

    def connected() -> socket.socket:
        client = call(echo)
        nonce = receive(client, 32)
        client.send(hmac.new(KEY, nonce, echo.digest).digest())
        return client

    return connected


def values(client, count: int):
    """So many JSON values that follow one another, read as a learner would."""
    text, found, decoder = "", [], json.JSONDecoder()
    while len(found) < count:
        try:
            value, end = decoder.raw_decode(text)
        except ValueError:
            piece = client.recv(4096).decode()
            assert piece, f"closed after {found}"
            text = (text + piece).lstrip()
        else:
            found.append(value)
            text = text[end:].lstrip()
    return found


def test_a_learners_client_gets_its_values_back(verified):
    client = verified()
    for value in ({"name": "ada", "age": 36}, [1, 2.5, None, True], "text", {"中": "文"}, {}, [], ""):
        client.send(json.dumps(value).encode())
        assert values(client, 1) == [value]


def test_two_in_a_packet_are_two_and_one_in_two_packets_is_one(verified):
    client = verified()
    client.send(b'{"a": 1}{"b": "}{"}["c"]')
    assert values(client, 3) == [{"a": 1}, {"b": "}{"}, ["c"]]
    client.send(b'{"a": "in two')
    client.send(b' packets"}')
    assert values(client, 1) == [{"a": "in two packets"}]


def test_one_byte_at_a_time_is_read_as_what_it_becomes(verified):
    client = verified()
    for byte in json.dumps({"slow": [1, '\\"é']}, ensure_ascii=False).encode():
        client.send(bytes([byte]))
    assert values(client, 1) == [{"slow": [1, '\\"é']}]


def test_the_challenge_is_32_bytes_and_another_each_time(echo, call, receive):
    nonces = {receive(call(echo), 32) for _ in range(10)}
    assert {len(nonce) for nonce in nonces} == {32}
    assert len(nonces) == 10


@pytest.mark.parametrize("key", [b"another key", KEY + b" ", b"x"])
def test_a_wrong_key_gets_nothing(echo, call, receive, key):
    client = call(echo)
    client.send(hmac.new(key, receive(client, 32), echo.digest).digest())
    try:
        client.send(b'{"let": "me in"}')
        assert client.recv(1024) == b""
    except ConnectionError:
        pass  # closed so soon that it is a reset


def test_what_is_not_json_ends_that_caller_only(verified):
    client, other = verified(), verified()
    client.send(b"}}}} no json")
    try:
        assert client.recv(1024) == b""
    except ConnectionError:
        pass
    other.send(b'{"a": 1}')
    assert values(other, 1) == [{"a": 1}]


def test_callers_who_vanish_during_the_challenge_or_a_value_harm_nobody(echo, verified, call, vanish):
    for _ in range(5):
        vanish(call(echo))
        half = verified()
        half.send(b'{"half": ')
        vanish(half)
    client = verified()
    client.send(b"[1]")
    assert values(client, 1) == [[1]]


def test_who_floods_and_does_not_read_is_held_back_and_nobody_else(verified, flood):
    flooding, other = verified(), verified()
    assert flood(flooding, b'{"x": 1}' * 8000) < 64 << 20
    other.send(b"[1]")
    assert values(other, 1) == [[1]]


def test_a_hundred_at_once(verified, at_once):
    def one(number: int):
        client = verified()
        client.send(json.dumps({"number": number}).encode())
        return values(client, 1)

    assert at_once(one) == [[{"number": number}] for number in range(100)]
