"""Who gets a lane: a token once, in time, within bounds, and no longer than he is welcome."""

import asyncio
import os
import socket
import ssl
import threading
from contextlib import AsyncExitStack, suppress

import msgspec
import pytest
from tests.files.conftest import House

from tieline.client import Client
from tieline.errors import CallError, Denied, LinkClosed, LinkError, Overloaded
from tieline.lanes.connection import Lane
from tieline.lanes.dial import dial_lane
from tieline.limits import DEFAULT, Limits, MiB
from tieline.transports.address import parse
from tieline.transports.tls import LANE, client_context
from tieline.wire.lane import PREFACE
from tieline.wire.lane_messages import Get, Put, Seen, SeenAll

HASTY = msgspec.structs.replace(DEFAULT, opening=0.5, lanes=4, lanes_per_account=2, lane_token=5.0, lane_idle=0.5)


@pytest.fixture
def limits() -> Limits:
    return HASTY


async def token(peer: Client) -> bytes:
    found: bytes = await peer.call("files.lane", returns=bytes)
    return found


async def open_lane(peer: Client, with_token: bytes | None = None) -> Lane:
    return await asyncio.to_thread(dial_lane, peer.address, with_token or await token(peer))


async def end_of(lane: Lane) -> BaseException:
    """How the server ends it."""
    try:
        with pytest.raises((CallError, LinkError)) as caught:
            await asyncio.to_thread(lane.message, 20.0)
        return caught.value
    finally:
        lane.close()


@pytest.mark.parametrize("way", ["tcp", "tls"])
async def test_a_token_opens_one_lane_once(house: House, stack: AsyncExitStack, way: str) -> None:
    peer = await house.login(stack, "ada", getattr(house, way))
    mine = await token(peer)
    lane = await open_lane(peer, mine)
    with pytest.raises(Denied, match="good once"):
        await open_lane(peer, mine)
    with pytest.raises(Denied):
        await open_lane(peer, os.urandom(32))
    lane.say(Put(["/x"]))
    assert await asyncio.to_thread(lane.message) == SeenAll()
    lane.close()


async def test_a_token_dies_with_the_link_that_asked_for_it(house: House) -> None:
    key = await house.key("ada")
    async with house.connect("ada", key) as peer:
        mine = await token(peer)
        address = peer.address
    while len(house.server.links):  # noqa: ASYNC110  # no event tells it
        await asyncio.sleep(0.01)
    with pytest.raises(Denied):
        await asyncio.to_thread(dial_lane, address, mine)


async def test_a_lane_outlives_a_lost_link_but_not_its_account(house: House, stack: AsyncExitStack) -> None:
    key = await house.key("ada")
    async with house.connect("ada", key) as peer:
        lane = await open_lane(peer)
        lane.say(Put(["/x"]))
        assert await asyncio.to_thread(lane.message) == SeenAll()
    owner = await stack.enter_async_context(house.owner())
    assert len(house.server.lanes) == 1
    await owner.call("accounts.revoke", account="ada")
    assert isinstance(await end_of(lane), Denied | LinkClosed)


async def test_a_device_that_is_revoked_loses_its_token_too(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    mine, address = await token(peer), peer.address
    owner = await stack.enter_async_context(house.owner())
    await owner.call("accounts.revoke", account="ada", device="laptop")
    with pytest.raises(Denied):
        await asyncio.to_thread(dial_lane, address, mine)


async def test_a_token_is_taken_back_before_the_link_that_asked_for_it_is_cut(
    house: House, stack: AsyncExitStack
) -> None:
    peer = await house.login(stack, "ada")
    mine = await token(peer)
    house.server.lanes.cut("ada", "laptop")
    with pytest.raises(Denied):
        await open_lane(peer, mine)


async def test_nobody_takes_all_lanes(house: House, stack: AsyncExitStack) -> None:
    ada, bob, eve = [await house.login(stack, name) for name in ("ada", "bob", "eve")]
    lanes = [await open_lane(peer) for peer in (ada, ada, bob)]
    with pytest.raises(Overloaded, match="nobody may have more"):
        await open_lane(ada)
    lanes.append(await open_lane(bob))
    with pytest.raises(Overloaded, match="serves no more"):
        await open_lane(eve)
    for lane in lanes:
        lane.close()


@pytest.mark.parametrize("limits", [msgspec.structs.replace(HASTY, lane_wait=0.3)])
async def test_a_lane_on_which_nothing_comes_is_cut(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    assert isinstance(await end_of(await open_lane(peer)), LinkClosed)


async def test_callers_without_a_token_are_dropped_in_time_and_keep_nobody_out(
    house: House, stack: AsyncExitStack
) -> None:
    peer = await house.login(stack, "ada")
    where = ("127.0.0.1", parse(house.tcp).port)
    silent = [socket.create_connection(where) for _ in range(10)]
    for sock in silent:
        sock.sendall(PREFACE[:5])
    lane = await open_lane(peer)
    lane.close()
    for sock in silent:
        sock.settimeout(20)
        assert await asyncio.to_thread(sock.recv, 1) == b""
        sock.close()


async def test_a_system_without_threads_turns_a_lane_away_and_serves_the_next(
    house: House, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await house.login(stack, "ada")
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "tieline.lane":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises((LinkError, OSError)):
        await open_lane(peer)
    assert "could not be served" in caplog.text
    assert (house.server.lanes._threads, len(house.server.lanes._opening)) == (0, 0)
    monkeypatch.undo()
    (await open_lane(peer)).close()


async def test_a_hello_that_comes_byte_by_byte_is_still_a_lanes(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    with socket.create_connection(("127.0.0.1", parse(house.tcp).port)) as sock:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_context("x", (LANE,)).wrap_bio(incoming, outgoing, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        hello = outgoing.read()
        for at in range(0, len(hello), 100):
            sock.sendall(hello[at : at + 100])
            await asyncio.sleep(0.01)
        sock.settimeout(20)
        incoming.write(await asyncio.to_thread(sock.recv, 65536))
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                incoming.write(await asyncio.to_thread(sock.recv, 65536))
        assert client.selected_alpn_protocol() == LANE
    assert peer.is_open


@pytest.mark.parametrize(
    "garbage", [b"\xf8tieline-lane/2\n", PREFACE + b"\x00\x00\x00\x05\x02hello", PREFACE + b"\xff" * 99]
)
async def test_what_does_not_begin_like_a_lane_is_ended(house: House, garbage: bytes) -> None:
    with socket.create_connection(("127.0.0.1", parse(house.tcp).port)) as sock:
        sock.sendall(garbage)
        sock.settimeout(20)
        with suppress(ConnectionResetError):
            while await asyncio.to_thread(sock.recv, 65536):
                pass
    assert len(house.server.lanes) == 0


async def test_a_root_that_was_not_announced_and_a_bad_batch_end_the_lane(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    lane = await open_lane(peer)
    lane.say(Get(["/x"]))
    lane.say(Seen(0, [], []))
    lane.say(Put(["/x"]))
    assert isinstance(await end_of(lane), LinkClosed)


async def test_a_draining_server_lets_a_transfer_finish(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    (house.folder / "x").write_bytes(os.urandom(64 * MiB))
    putting = asyncio.create_task(peer.files.put(house.folder / "x", "/x"))
    while not len(house.server.lanes):  # noqa: ASYNC110  # no event tells it
        await asyncio.sleep(0.001)
    await house.server.lanes.close(30)
    assert (await putting).failed == []
    assert (house.files / "x").stat().st_size == 64 * MiB
