"""How a lane waits: until something comes, until its deadline, or until somebody else stops it."""

import errno
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tieline.errors import LinkClosed, Unavailable
from tieline.lanes.patience import Patience
from tieline.lanes.turns import TURNS

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    here, there = socket.socketpair()
    here.setblocking(False)
    with here, there:
        yield here, there


def full(sock: socket.socket) -> None:
    """Nothing more can be sent."""
    with suppress(BlockingIOError):
        while True:
            sock.send(bytes(1 << 16))


def test_a_deadline_is_set_at_the_first_slice_and_says_what_was_waited_for(pair: Pair) -> None:
    patience = Patience(pair[0])
    until = patience.deadline(0.0, 60, "nothing came")
    assert until > time.monotonic() + 30
    assert patience.deadline(until, 60, "nothing came") == until
    with pytest.raises(LinkClosed, match=r"nothing came \(60 s\)"):
        patience.deadline(time.monotonic() - 1, 60, "nothing came")


def test_who_can_send_nothing_hears_what_comes_only_if_it_wants_to(pair: Pair) -> None:
    patience = Patience(pair[0])
    full(pair[0])
    pair[1].send(b"answer")
    assert patience.for_room(or_input=True)
    assert not patience.for_room(or_input=False)
    assert patience.has_input()


def test_a_wait_ends_when_another_thread_stops_it(pair: Pair) -> None:
    patience = Patience(pair[0])
    caught: list[Exception] = []

    def wait() -> None:
        try:
            while True:
                patience.deadline(0.0, 60, "nothing came")
                patience.for_input()
        except Unavailable as error:
            caught.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    patience.stop(Unavailable("closing"))
    patience.stop(Unavailable("said again"))
    waiting.join(30)
    assert [str(each) for each in caught] == ["closing"]


def test_the_reason_it_was_stopped_for_is_told_and_not_how_the_socket_took_it(pair: Pair) -> None:
    patience = Patience(pair[0])
    with pytest.raises(LinkClosed, match=r"was cut$"):
        patience.lost(OSError(errno.EPIPE, "Broken pipe"))
    with pytest.raises(LinkClosed, match="No route"):
        patience.lost(OSError(errno.EHOSTUNREACH, "No route to host"))
    with pytest.raises(LinkClosed, match=r"was cut$"):
        patience.lost()
    patience.stop(Unavailable("closing"))
    with pytest.raises(Unavailable, match="closing"):
        patience.lost(OSError(errno.EPIPE, "Broken pipe"))


def test_others_have_the_turn_while_it_waits(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    monkeypatch.setattr(TURNS, "take", lambda: happened.append("take"))
    monkeypatch.setattr(TURNS, "give", lambda: happened.append("give"))
    patience = Patience(pair[0])
    patience.pass_on()  # it has none
    pair[1].send(b"something")
    with patience.working():
        patience.for_input()
        assert happened == ["take", "give", "take"]
        assert patience.has_input()  # which waits for nobody
    assert happened == ["take", "give", "take", "give"]
