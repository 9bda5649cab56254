"""Both halves of sealed datagrams over a network made of lists: it loses, doubles, keeps and forges."""

import os
import tracemalloc
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.errors import LinkClosed
from tieline.wire.keyring import HANDED_OUT_SESSIONS, Keyring
from tieline.wire.sealed import HELLO, WELCOME, key_of
from tieline.wire.sealed_client import SealedClient
from tieline.wire.sealed_server import WAITING, SealedServer

KEY = key_of(b"k" * 32)


class Place:
    """A server and its clients; `dropped` counts for all of them, `heard` is what the server was told."""

    def __init__(self, *keys):
        self.keys = Keyring(*(keys or (KEY,)))
        self.dropped = Counter()
        self.now = 0.0
        self.heard = []
        self.server = self.new_server()
        self.tape = []

    def new_server(self):
        return SealedServer(self.keys, self.drop)

    def drop(self, reason):
        self.dropped[reason] += 1

    def client(self, key=KEY, at="home"):
        client = SealedClient(key, self.drop)
        client.start(self.now)
        self.run(client, at)
        return client

    def to_server(self, datagram, sender):
        self.tape.append((datagram, sender))
        message = self.server.receive(datagram, sender)
        if message is not None:
            self.heard.append((message, sender))
        out, self.server.out = self.server.out, []
        return out

    def run(self, client, at="home"):
        """Carry until nobody has anything to say."""
        while client.out:
            out, client.out = client.out, []
            for datagram in out:
                for answer in self.to_server(datagram, at):
                    assert len(answer) <= len(datagram)
                    client.receive(answer, self.now)

    def later(self, client, seconds, at="home"):
        """Time passes, and the client has its turns."""
        end = self.now + seconds
        while client.deadline() is not None and client.deadline() <= end:
            self.now = client.deadline()
            client.tick(self.now)
            self.run(client, at)
        self.now = end


@pytest.fixture
def place():
    return Place()


def test_after_hello_and_welcome_messages_go_both_ways(place):
    client = place.client()
    assert client.verified
    place.to_server(client.seal(b"hello"), "home")
    assert place.heard == [(b"hello", "home")]
    assert client.receive(place.server.seal(b"hello yourself", "home"), 0.0) == b"hello yourself"
    assert not place.dropped


def test_the_server_can_speak_first_once_the_client_is_there(place):
    client = place.client()
    assert place.server.senders == ["home"]
    assert client.receive(place.server.seal(b"news", "home"), 0.0) == b"news"


def test_a_replayed_datagram_is_dropped(place):
    datagram = place.client().seal(b"pay")
    for _ in range(3):
        place.to_server(datagram, "home")
    assert len(place.heard) == 1
    assert place.dropped == {"replayed": 2}


def test_reordered_datagrams_within_the_window_all_count(place):
    client = place.client()
    datagrams = [client.seal(bytes([n])) for n in range(200)]
    for datagram in reversed(datagrams):
        place.to_server(datagram, "home")
    assert {message for message, _ in place.heard} == {bytes([n]) for n in range(200)}
    assert not place.dropped


def test_one_that_is_older_than_the_window_is_dropped(place):
    client = place.client()
    late = client.seal(b"late")
    for _ in range(1024):
        place.to_server(client.seal(b"x"), "home")
    place.to_server(late, "home")
    assert place.dropped == {"too old": 1}


def test_a_reflected_datagram_is_dropped_by_either_side(place):
    client = place.client()
    assert client.receive(client.seal(b"hello"), 0.0) is None
    place.to_server(place.server.seal(b"hello", "home"), "home")
    assert place.heard == []
    assert place.dropped == {"forged": 2}


def test_the_opening_reflected_is_dropped(place):
    client = SealedClient(KEY, place.drop)
    client.start(0.0)
    [hello] = client.out
    assert client.receive(hello, 0.0) is None
    [welcome] = place.to_server(hello, "home")
    assert place.to_server(welcome, "home") == []
    assert place.dropped == {"unknown session": 2}


def test_a_wrong_key_is_never_verified(place):
    client = place.client(key_of(b"x" * 32))
    assert not client.verified
    with pytest.raises(LinkClosed):
        client.seal(b"hello")
    assert place.dropped == {"unknown key": 1}


def test_a_key_id_alone_opens_nothing(place):
    forged = key_of(b"x" * 32)
    client = place.client(type(forged)(KEY.id, forged.secret))
    assert not client.verified
    assert place.dropped == {"forged": 1}
    assert len(place.server) == 0


def test_two_clients_with_one_key_do_not_get_in_each_others_way(place):
    one, other = place.client(at="one"), place.client(at="other")
    for _ in range(5):
        place.to_server(one.seal(b"1"), "one")
        place.to_server(other.seal(b"2"), "other")
    assert Counter(place.heard) == {(b"1", "one"): 5, (b"2", "other"): 5}
    assert one.receive(place.server.seal(b"for the other", "other"), 0.0) is None
    assert place.dropped == {"unknown session": 1}


def test_a_client_that_starts_again_at_the_same_place_is_heard_and_found(place):
    place.client()
    again = place.client()
    place.to_server(again.seal(b"again"), "home")
    assert place.heard == [(b"again", "home")]
    assert again.receive(place.server.seal(b"hi", "home"), 0.0) == b"hi"


def test_nothing_recorded_before_the_server_started_again_is_heard_after(place):
    client = place.client()
    place.to_server(client.seal(b"once"), "home")
    recorded, place.server, place.heard = place.tape[:], place.new_server(), []
    for datagram, sender in recorded * 2:
        place.to_server(datagram, sender)
    assert place.heard == []
    assert place.server.senders == []


def test_a_client_finds_the_server_again_that_has_started_anew(place):
    client = place.client()
    place.server = place.new_server()
    place.to_server(client.seal(b"lost"), "home")
    place.later(client, 30.0)
    place.to_server(client.seal(b"found"), "home")
    assert place.heard == [(b"found", "home")]


def test_an_answer_that_stays_out_makes_it_find_out_at_once(place):
    client = place.client()
    place.server = place.new_server()
    client.doubt(place.now)
    place.later(client, 1.5)
    place.to_server(client.seal(b"found"), "home")
    assert place.heard == [(b"found", "home")]


def test_a_client_that_hears_nothing_pings_and_stays_in_its_session(place):
    client = place.client()
    place.later(client, 1000.0)
    assert len(place.server) == 1
    assert not place.dropped


def test_hellos_into_the_void_become_rare(place):
    client = SealedClient(KEY, place.drop)
    client.start(0.0)
    hellos = 0
    while client.deadline() < 100.0:
        client.tick(client.deadline())
        hellos += len(client.out)
        client.out.clear()
    assert 10 < hellos < 20


def test_a_welcome_played_back_does_not_begin_its_session_again(place):
    """Or its counter would be 0 again, and its nonces would be used twice."""
    client = SealedClient(KEY, place.drop)
    client.start(0.0)
    [welcome] = place.to_server(client.out.pop(), "home")
    client.receive(welcome, 0.0)
    session = client._session
    first = client.seal(b"first")
    client.receive(welcome, 0.0)
    assert client._session is session
    client.start(1.0)
    client.receive(welcome, 1.0)
    assert client._session is session
    assert client.seal(b"first") != first
    assert place.dropped == {"replayed": 2}


def test_a_hello_played_back_is_welcomed_to_the_same_session_and_disturbs_nobody(place):
    client = SealedClient(KEY, place.drop)
    client.start(0.0)
    [hello] = client.out
    assert place.to_server(hello, "home") == place.to_server(hello, "attacker")
    assert len(place.server) == 1
    assert place.server.senders == []


def test_hellos_played_back_push_out_no_client_that_is_there(place):
    client = place.client()
    hellos = []
    for _ in range(WAITING + 50):
        other = SealedClient(KEY, place.drop)
        other.start(0.0)
        hellos += other.out
    for hello in hellos:
        place.to_server(hello, "attacker")
    assert len(place.server) == WAITING + 1
    place.to_server(client.seal(b"still here"), "home")
    assert place.heard == [(b"still here", "home")]


def test_a_client_that_moves_is_answered_where_it_is(place):
    client = place.client(at="home")
    late = client.seal(b"late")
    place.to_server(client.seal(b"from the train"), "train")
    assert place.server.senders == ["train"]
    place.to_server(late, "home")
    assert place.server.senders == ["train"], "what was overtaken on the way moves nobody"
    with pytest.raises(LinkClosed, match="home"):
        place.server.seal(b"hello", "home")


def test_a_key_that_was_handed_out_has_an_owner_and_ends_when_it_is_revoked():
    place = Place()
    key = place.keys.issue("ada")
    client = place.client(key)
    place.to_server(client.seal(b"hello"), "home")
    assert place.server.owner("home") == "ada"
    place.keys.revoke(key.id)
    place.to_server(client.seal(b"hello?"), "home")
    assert len(place.server) == 0
    assert place.server.owner("home") is None
    assert place.heard == [(b"hello", "home")]
    assert not place.client(key).verified


def test_the_holder_of_a_handed_out_key_takes_no_ones_place():
    place = Place()
    mine, greedy = place.client(), place.keys.issue("eve")
    clients = [place.client(greedy, at=n) for n in range(HANDED_OUT_SESSIONS + 5)]
    assert len(place.server) == HANDED_OUT_SESSIONS + 1
    for client in (clients[0], clients[-1], mine):
        place.to_server(client.seal(b"still here"), "somewhere")
    assert len(place.heard) == 2


def test_a_flood_of_garbage_is_counted_and_kept_nowhere(place):
    place.client()
    garbage = [os.urandom(n % 90) for n in range(500)]
    garbage += [bytes([kind]) + os.urandom(56) for kind in (HELLO, WELCOME) for _ in range(100)]
    garbage += [bytes([HELLO]) + KEY.id + os.urandom(48) for _ in range(100)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for datagram in garbage * 3:
        assert place.server.receive(datagram, "attacker") is None
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 4096
    assert sum(place.dropped.values()) == len(garbage) * 3
    assert place.server.out == []
    assert len(place.server) == 1


@given(st.binary(max_size=120))
def test_neither_half_raises_whatever_comes(datagram):
    """Invariant: bytes that nobody sealed give no message, no answer and no exception."""
    place = Place()
    client = place.client()
    session = next(iter(place.server._by_id))
    for forged in (datagram, datagram[:1] + session + datagram, bytes([0xE3]) + session + datagram):
        assert place.server.receive(forged, "attacker") is None
        assert client.receive(forged, 0.0) is None
    assert place.server.out == client.out == []


@given(st.lists(st.sampled_from(["send", "lose", "double", "swap", "restart server", "restart client", "wait"])))
def test_whatever_the_network_does_nothing_is_heard_twice_or_wrong(happenings):
    place = Place()
    client, held, number = place.client(), None, 0
    for happening in happenings:
        number += 1
        message = b"%d" % number
        match happening:
            case "send":
                place.to_server(client.seal(message), "home")
            case "lose":
                client.seal(message)
            case "double":
                datagram = client.seal(message)
                place.to_server(datagram, "home")
                place.to_server(datagram, "elsewhere")
            case "swap":
                held, previous = client.seal(message), held
                if previous is not None:
                    place.to_server(previous, "home")
            case "restart server":
                place.server = place.new_server()
            case "restart client":
                client = place.client()
            case "wait":
                place.later(client, 25.0)
    for datagram, sender in place.tape[:]:
        place.to_server(datagram, sender)
    heard = [message for message, _ in place.heard]
    assert len(heard) == len(set(heard))
    assert all(1 <= int(message) <= number for message in heard)
