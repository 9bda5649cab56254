"""The seal itself: what opens, what does not, and that no key meets a nonce twice."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.errors import ConfigError, LinkClosed
from tieline.wire import sealed
from tieline.wire.keyring import Keyring
from tieline.wire.sealed import HEADER, MESSAGE, OPENING_SIZE, OVERHEAD, PING, Session, key_of, stretched

KEY = key_of(b"k" * 32)
CLIENT, SERVER = b"c" * 16, b"s" * 16


def sides(key=KEY, client_salt=CLIENT, server_salt=SERVER):
    return (
        Session(key, client_salt, server_salt, server=False),
        Session(key, client_salt, server_salt, server=True),
    )


@given(st.binary(max_size=200))
def test_what_one_side_seals_the_other_opens(message):
    client, server = sides()
    assert server.open(client.seal(message)) == message
    assert client.open(server.seal(message)) == message


def test_an_empty_message_is_a_message():
    client, server = sides()
    assert server.open(client.seal(b"")) == b""


def test_sealing_takes_33_bytes():
    client, _ = sides()
    assert OVERHEAD == 33
    assert len(client.seal(b"12345")) == 5 + OVERHEAD


@given(st.binary(max_size=50), st.data())
def test_no_changed_bit_goes_unnoticed(message, data):
    client, server = sides()
    datagram = bytearray(client.seal(message))
    bit = data.draw(st.integers(0, len(datagram) * 8 - 1))
    datagram[bit // 8] ^= 1 << bit % 8
    assert server.open(bytes(datagram)) is None
    assert server.window.newest == -1, "a forged counter must not move the window"


@given(st.binary(max_size=50), st.data())
def test_no_part_of_a_datagram_opens(message, data):
    client, server = sides()
    datagram = client.seal(message)
    cut = data.draw(st.integers(0, len(datagram) - 1))
    assert server.open(datagram[:cut]) is None
    assert server.open(datagram + b"\0") is None


def test_what_comes_back_to_its_sender_does_not_open():
    client, server = sides()
    assert client.open(client.seal(b"hello")) is None
    assert server.open(server.seal(b"hello")) is None


def test_a_ping_cannot_be_made_a_message():
    client, server = sides()
    ping = client.seal(b"", PING)
    assert server.open(bytes([MESSAGE]) + ping[1:]) is None


@pytest.mark.parametrize(
    "other",
    [
        sides(key=key_of(b"x" * 32))[1],
        sides(client_salt=b"x" * 16)[1],
        sides(server_salt=SERVER[:8] + b"x" * 8)[1],
        sides(key=sealed.Key(b"another!", KEY.secret))[1],
    ],
    ids=["key", "client's salt", "server's salt", "key id"],
)
def test_another_session_does_not_open_it(other):
    assert other.open(sides()[0].seal(b"hello")) is None


def test_no_key_seals_two_datagrams_with_one_nonce():
    """Every session of two clients with one key, each twice, on a server that was started twice."""
    used = set()
    for _ in range(8):
        for session in sides(client_salt=os.urandom(16), server_salt=os.urandom(16)):
            for _ in range(20):
                datagram = session.seal(b"the same")
                used.add((session.id, datagram[1 : HEADER.size], datagram[HEADER.size :]))
    assert len(used) == 8 * 2 * 20
    assert len({sealed_text for _, _, sealed_text in used}) == len(used)


def test_directions_and_sessions_have_keys_of_their_own():
    """The same counter, the same message: the bytes differ wherever the key must."""
    one, other = sides(), sides(server_salt=b"t" * 16)
    texts = {session.seal(b"the same message")[HEADER.size :] for session in (*one, *other)}
    assert len(texts) == 4


def test_a_counter_is_never_used_again_at_its_end():
    client, server = sides()
    client._counter = 2**64 - 1
    assert server.open(client.seal(b"the last")) == b"the last"
    with pytest.raises(LinkClosed, match="counter"):
        client.seal(b"one more")


def test_hello_and_welcome_are_of_one_length_so_that_nobody_is_sent_more_than_he_sends():
    _, server = sides()
    assert len(sealed.hello(KEY, CLIENT)) == len(sealed.welcome(server)) == OPENING_SIZE == 57


def test_only_who_holds_the_key_can_say_hello():
    hello = sealed.hello(KEY, CLIENT)
    assert sealed.is_authentic(KEY, hello)
    assert not sealed.is_authentic(key_of(b"x" * 32), hello)
    assert not sealed.is_authentic(KEY, hello[:-1])
    assert not sealed.is_authentic(KEY, hello + b"\0")
    assert not any(sealed.is_authentic(KEY, hello[:n] + bytes([hello[n] ^ 1]) + hello[n + 1 :]) for n in range(57))


def test_a_passphrase_gives_both_sides_the_same_key():
    assert stretched("correct horse") == stretched(b"correct horse") != stretched("correct horsf")


@pytest.mark.parametrize("bad", ["", "short", b"1234567"])
def test_a_short_passphrase_is_refused_by_name(bad):
    with pytest.raises(ConfigError, match=r"key.*needs 8"):
        stretched(bad)


def test_a_secret_of_another_length_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"key.*16 bytes"):
        key_of(b"k" * 16)


def test_a_secret_is_in_no_repr():
    client, _ = sides()
    for thing in (KEY, client, Keyring(KEY)):
        assert "kkkk" not in repr(thing)
        assert KEY.secret.hex()[:8] not in repr(thing)


def test_a_keyring_hands_out_keys_and_takes_them_back():
    keys, told = Keyring(KEY), []
    keys.on_revoke.append(told.append)
    key = keys.issue("ada", "udp://lab:7788")
    assert keys.find(key.id) is key
    assert keys.owner(key) == "ada"
    assert keys.owner(KEY) is None
    assert key.address == "udp://lab:7788"
    assert keys.revoke(key.id)
    assert not keys.revoke(key.id)
    assert keys.find(key.id) is None
    assert told == [key]
