"""`tieline gallery counter-demo`: what it shows, and callers with bare sockets."""

import socket
import struct

import pytest


def framed(message: bytes) -> bytes:
    return struct.pack("!I", len(message)) + message


@pytest.fixture(scope="module")
def demo(gallery):
    program = gallery("counter-demo", "--count", "3", "--stay")
    program.until(lambda line: line.startswith("tieline udp 3"))
    program.udp = int(program.printed[1].rpartition(":")[2])
    return program


def test_it_shows_three_messages_as_one_and_as_three(demo):
    assert demo.printed[2:9] == [
        "bare socket 1: b'message 1message 2message 3'",
        *(f"tieline tcp {number}: b'message {number}'" for number in (1, 2, 3)),
        *(f"tieline udp {number}: b'message {number}'" for number in (1, 2, 3)),
    ]


def test_a_demonstration_ends_by_itself(gallery):
    program = gallery("counter-demo", "--count", "1")
    program.ended()
    assert program.printed[2:] == [
        "bare socket 1: b'message 1'",
        "tieline tcp 1: b'message 1'",
        "tieline udp 1: b'message 1'",
    ]


def test_a_learners_client_is_told_the_number_of_its_message(demo, call, receive):
    client = call(demo)
    for number in (1, 2, 3):
        client.send(framed(b"hello"))
        assert receive(client, 5) == framed(b"%d" % number)


def test_over_udp_too_an_empty_one_counted_but_never_answered_by_more(demo):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(20)
        client.sendto(b"hello", ("127.0.0.1", demo.udp))
        number = int(client.recv(1024))
        client.sendto(b"", ("127.0.0.1", demo.udp))
        client.sendto(b"hello", ("127.0.0.1", demo.udp))
        assert int(client.recv(1024)) == number + 2


def test_empty_messages_bytes_one_at_a_time_and_many_in_a_packet_are_counted_right(demo, call, receive):
    client = call(demo)
    for byte in framed(b"slow"):
        client.send(bytes([byte]))
    assert receive(client, 5) == framed(b"1")
    client.send(framed(b"") + framed(b"a") + framed(b"b" * 1000))
    assert receive(client, 15) == framed(b"2") + framed(b"3") + framed(b"4")


def test_who_vanishes_or_claims_too_much_ends_alone(demo, call, receive, vanish):
    gone, liar, other = call(demo), call(demo), call(demo)
    gone.send(framed(b"in the middle")[:9])
    vanish(gone)
    liar.send(struct.pack("!I", 2**32 - 1) + b"x" * 1000)
    try:
        assert liar.recv(1024) == b""
    except ConnectionError:
        pass
    other.send(framed(b"a"))
    assert receive(other, 5) == framed(b"1")


def test_a_flood_that_is_not_read_holds_up_nobody(demo, call, flood, receive):
    flooding, other = call(demo), call(demo)
    flood(flooding, framed(b"x" * 100_000))
    other.send(framed(b"a"))
    assert receive(other, 5) == framed(b"1")


def test_a_hundred_at_once(demo, call, receive, at_once):
    def one(number: int) -> bytes:
        client = call(demo)
        client.send(framed(b"caller %d" % number) * 2)
        return receive(client, 10)

    assert at_once(one) == [framed(b"1") + framed(b"2")] * 100
