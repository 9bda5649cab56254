import asyncio
import socket
from contextlib import contextmanager

import pytest

from tieline.transports.dialling import connect_tcp, connect_unix, interleaved, race
from tieline.transports.sockets import STREAM, listen_tcp
from tieline.transports.unix import listen_unix

V4, V6 = socket.AF_INET, socket.AF_INET6


@contextmanager
def listening():
    (server,) = listen_tcp("127.0.0.1", 0)
    with server:
        yield server.getsockname()


@contextmanager
def refusing():
    """A port where nobody listens, and where nobody else can begin to."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()


@contextmanager
def silent():
    """A port that never answers: a listener whose backlog is full drops the first packet of every newcomer."""
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        yield server.getsockname()


def test_families_take_turns_and_the_systems_favourite_begins():
    found = [(V6, ("a",)), (V6, ("b",)), (V4, ("c",)), (V6, ("b",)), (V4, ("d",)), (V4, ("e",))]
    assert "".join(where[0] for _, where in interleaved(found)) == "acbde"
    assert interleaved([]) == []


async def test_a_name_is_dialled_and_the_socket_has_its_options():
    with listening() as (_, port), await connect_tcp("localhost", port) as sock:
        assert not sock.getblocking()
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_refused_address_gives_way_to_the_next_at_once():
    with refusing() as dead, listening() as alive:
        sock = await race([(V4, dead), (V4, alive)], options=STREAM, head_start=3600)
        with sock:
            assert sock.getpeername() == alive


async def test_a_silent_address_does_not_hold_up_the_next():
    with silent() as dead, listening() as alive:
        sock = await race([(V4, dead), (V4, alive)], options=STREAM, head_start=0.01)
        with sock:
            assert sock.getpeername() == alive
    assert len(asyncio.all_tasks()) == 1


async def test_when_all_refuse_the_first_refusal_is_the_reason():
    with refusing() as one, refusing() as two, pytest.raises(ConnectionRefusedError):
        await race([(V4, one), (V4, two)], options=STREAM, head_start=0.01)


async def test_a_name_without_an_address_is_an_os_error():
    with pytest.raises(OSError, match="no address"):
        await race([], options=STREAM, head_start=0.01)


async def test_giving_up_closes_every_socket_that_was_tried():
    with silent() as one, silent() as two, pytest.raises(TimeoutError):
        await asyncio.wait_for(race([(V4, one), (V4, two)], options=STREAM, head_start=0.01), 0.05)
    assert len(asyncio.all_tasks()) == 1  # an unclosed socket fails the test as a ResourceWarning


async def test_two_that_answer_at_once_leave_one_socket():
    with listening() as one, listening() as two:
        sock = await race([(V4, one), (V4, two)], options=STREAM, head_start=0)
        with sock:
            assert sock.getpeername() in (one, two)


async def test_a_unix_socket_is_dialled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with listen_unix("tie.sock"), await connect_unix("tie.sock") as sock:
        assert sock.getpeername() == "tie.sock"
