"""Real hellos, as OpenSSL writes them, whole and in part; and bytes that are none."""

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.transports.hello import PEEK, asks_for


def hello(*names: str) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if names:
        context.set_alpn_protocols(list(names))
    out = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


def test_the_protocols_are_read_in_their_order() -> None:
    assert asks_for(hello("tieline-lane/1")) == ["tieline-lane/1"]
    assert asks_for(hello("h2", "http/1.1")) == ["h2", "http/1.1"]


def test_a_hello_that_names_none_asks_for_nothing() -> None:
    assert asks_for(hello()) == []


def test_a_beginning_is_not_enough_until_the_names_are_there() -> None:
    whole = hello("tieline-lane/1")
    answers = [asks_for(whole[:size]) for size in range(1, len(whole) + 1)]
    known = answers.index(["tieline-lane/1"])
    assert answers[:known] == [None] * known
    assert all(answer == ["tieline-lane/1"] for answer in answers[known:])


def test_a_hello_in_several_records_is_one_hello() -> None:
    whole = hello("tieline-lane/1")
    body = whole[5:]
    pieces = [body[at : at + 40] for at in range(0, len(body), 40)]
    split = b"".join(whole[:3] + len(piece).to_bytes(2, "big") + piece for piece in pieces)
    assert asks_for(split) == ["tieline-lane/1"]


def test_a_hello_that_never_comes_to_the_point_asks_for_nothing() -> None:
    endless = b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc" + bytes(34) + b"\xff" * PEEK
    assert asks_for(endless[: PEEK - 1]) is None
    assert asks_for(endless) == []


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x00\x00", b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", b"GET / HTTP/1.1"])
def test_what_is_no_hello_asks_for_nothing(data: bytes) -> None:
    assert asks_for(data) == []


@given(st.binary(max_size=600))
def test_any_bytes_give_an_answer(data: bytes) -> None:
    assert isinstance(asks_for(b"\x16\x03\x01" + data), list | None)
