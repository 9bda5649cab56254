"""`tieline gallery upper-udp` and bare datagram sockets."""

import socket

import pytest


@pytest.fixture(scope="module")
def upper(gallery):
    return gallery("upper-udp")


@pytest.fixture
def client():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        yield sock


def test_a_learners_client_gets_its_words_back_in_upper_case(upper, client):
    for word in (b"hello", b"a" * 8000, b"x"):
        client.sendto(word, upper.place)
        answer, sender = client.recvfrom(65535)
        assert (answer, sender) == (word.upper(), upper.place)


def test_an_empty_datagram_is_answered_by_an_empty_one(upper, client):
    client.sendto(b"", upper.place)
    assert client.recvfrom(1024) == (b"", upper.place)


def test_two_at_once_are_two(upper, client):
    client.sendto(b"one", upper.place)
    client.sendto(b"two", upper.place)
    assert {client.recvfrom(1024)[0], client.recvfrom(1024)[0]} == {b"ONE", b"TWO"}


def test_senders_who_are_gone_before_the_answer_harm_nobody(upper, client):
    for _ in range(50):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.sendto(b"nobody reads this", upper.place)
    client.sendto(b"a", upper.place)
    assert client.recvfrom(1024)[0] == b"A"


def test_after_a_flood_the_next_is_answered(upper, client):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flooding:
        for _ in range(5000):
            flooding.sendto(b"x" * 1000, upper.place)
    client.settimeout(1)
    for _ in range(20):  # datagrams may be lost; a learner asks again
        client.sendto(b"a", upper.place)
        try:
            assert client.recvfrom(1024)[0] == b"A"
            return
        except TimeoutError:
            continue
    raise AssertionError("no answer after the flood")


def test_a_hundred_at_once(upper, at_once):
    def one(number: int) -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(20)
            sock.sendto(b"caller %d" % number, upper.place)
            return sock.recvfrom(1024)[0]

    assert at_once(one) == [b"CALLER %d" % number for number in range(100)]
