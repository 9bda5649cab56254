"""OpenSSL on memory, both ends of it: no socket, no loop."""

import ssl

import pytest

from tieline.transports.certificate import make_certificate
from tieline.transports.tls import NATIVE, client_context, server_context
from tieline.transports.tls_memory import PIECE, TlsMemory

CERTIFICATE = make_certificate([])


@pytest.fixture
def ends():
    """A client and a server who have shaken hands."""
    client = TlsMemory(client_context("0" * 64, [NATIVE]), "server")
    server = TlsMemory(server_context(*CERTIFICATE), None)
    shaken = [False, False]
    while not all(shaken):
        for turn, (one, other) in enumerate(((client, server), (server, client))):
            shaken[turn] = shaken[turn] or one.shake()
            carry(one, other)
    return client, server


def carry(one, other):
    if one.outgoing.pending:
        other.feed(one.take())


def test_several_records_come_together_as_far_as_the_buffer_reaches(ends):
    client, server = ends
    for word in (b"one ", b"two ", b"three"):
        server.encrypt(word)
    carry(server, client)
    assert client.decrypt(4) == b"one "
    buffer = bytearray(6)
    assert client.fill(memoryview(buffer)) == 6
    assert buffer == b"two th"
    assert client.is_here()
    assert client.fill(memoryview(buffer)) == 3
    assert buffer[:3] == b"ree"
    assert not client.is_here()
    assert client.fill(memoryview(buffer)) == 0
    assert not client.goodbye


def test_what_came_before_a_broken_record_is_there_and_the_end_after_it(ends):
    client, server = ends
    client.encrypt(b"good")
    carry(client, server)
    client.encrypt(b"bad")
    sealed = bytearray(client.take())
    sealed[-1] ^= 1
    server.feed(sealed)
    buffer = memoryview(bytearray(100))
    assert server.fill(buffer) == 4
    assert server.broken.reason == "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"


def test_a_goodbye_is_known_with_what_came_before_it(ends):
    client, server = ends
    client.encrypt(b"last words")
    client.say_goodbye()
    carry(client, server)
    assert server.fill(memoryview(bytearray(100))) == 10
    assert server.goodbye
    assert server.is_here()


def test_a_large_message_is_sealed_in_pieces_and_is_whole_at_the_other_end(ends):
    client, server = ends
    said = bytes(range(256)) * (2 * PIECE // 256 + 1)
    server.feed(client.seal(said))
    assert client.outgoing.pending == 0
    buffer = bytearray(len(said) + 1)
    assert server.fill(memoryview(buffer)) == len(said)
    assert buffer[:-1] == said


def test_what_is_passed_over_is_gone_until_the_goodbye(ends):
    client, server = ends
    client.encrypt(b"nobody wants it")
    carry(client, server)
    assert server.pass_over()
    assert not server.is_here()
    client.say_goodbye()
    carry(client, server)
    assert not server.pass_over()


def test_a_handshake_that_fails_says_why():
    server = TlsMemory(server_context(*CERTIFICATE), None)
    assert not server.shake()
    server.feed(b"\x16\x03\x01\x00\x05GARB!")
    with pytest.raises(ssl.SSLError):
        server.shake()
    assert server.outgoing.pending  # the alert
