"""Files over a link: exactly so many bytes, on every transport, and nothing hangs when somebody goes."""

import asyncio
import io
import os
import socket
import threading

import pytest

import tieline
from tieline.errors import ConfigError, LinkClosed, ProtocolError
from tieline.limits import KiB, MiB
from tieline.link.lane import LANES, Lane

SIZES = [0, 1, 100 * KiB, 3 * MiB + 1]
ADDRESSES = ["tcp://127.0.0.1:0", "tls://127.0.0.1:0", "unix:{folder}/s", "memory:bulk"]


@pytest.fixture
def source(tmp_path):
    def make(size):
        path = tmp_path / "source"
        path.write_bytes(os.urandom(size))
        return path

    return make


def lanes():
    return [thread for thread in threading.enumerate() if thread.name == "tieline.lane"]


@pytest.mark.parametrize("place", ADDRESSES, ids=lambda text: text.split(":")[0])
@pytest.mark.parametrize("size", SIZES)
async def test_a_file_goes_there_and_back_between_messages(nothing_is_left, source, tmp_path, place, size):
    async def talk(link):
        announced = int(await link.receive())
        with stored.open("wb") as file:
            await link.receive_into(file, announced)
        await link.send("stored")
        with stored.open("rb") as file:
            assert await link.send_file(file) == announced
        await link.send("sent")
        await link.receive()  # until the caller closes: it may still be sending its file of no bytes

    path = source(size)
    stored = tmp_path / "stored"
    back = io.BytesIO()
    async with (
        tieline.listen(place.format(folder=tmp_path), talk, codec=tieline.Lines()) as listener,
        tieline.dial(listener.address, codec=tieline.Lines()) as link,
    ):
        await link.send(str(size))
        with path.open("rb") as file:
            await link.send_file(file)
        assert await link.receive() == "stored"
        await link.receive_into(back, size)
        assert await link.receive() == "sent"
    assert back.getvalue() == path.read_bytes() == stored.read_bytes()
    assert not lanes()


async def test_a_part_of_a_file_and_one_that_is_in_memory(nothing_is_left, source):
    path, received = source(2 * MiB), io.BytesIO()

    async def talk(link):
        await link.receive_into(received, MiB + 3)
        await link.send(b"x")

    async with tieline.listen("tcp://127.0.0.1:0", talk) as listener, tieline.dial(listener.address) as link:
        with path.open("rb") as file:
            assert await link.send_file(file, offset=MiB, size=MiB) == MiB
        assert await link.send_file(io.BytesIO(b"abcdef"), offset=1, size=3) == 3
        assert await link.receive() == b"x"
    assert received.getvalue() == path.read_bytes()[MiB:] + b"bcd"


async def test_messages_wait_while_a_file_is_sent(nothing_is_left, source):
    path = source(4 * MiB)

    async def talk(link):
        with path.open("rb") as file:
            sending = asyncio.create_task(link.send_file(file))
            await asyncio.sleep(0)
            while not link._sending_file:  # noqa: ASYNC110
                await asyncio.sleep(0)
            await link.send(b"after")
            await sending

    async with tieline.listen("tcp://127.0.0.1:0", talk) as listener, tieline.dial(listener.address) as link:
        body = io.BytesIO()
        await link.receive_into(body, 4 * MiB)
        assert body.getvalue() == path.read_bytes()
        assert await link.receive() == b"after"


async def test_progress_is_told_and_ends_at_the_whole(nothing_is_left, source):
    path, told, heard = source(3 * MiB), [], []

    async def talk(link):
        await link.receive_into(io.BytesIO(), 3 * MiB, heard.append)
        await link.send(b"x")

    async with tieline.listen("tcp://127.0.0.1:0", talk) as listener, tieline.dial(listener.address) as link:
        with path.open("rb") as file:
            await link.send_file(file, progress=told.append)
        await link.receive()
    for steps in (told, heard):
        assert steps == sorted(steps)
        assert steps[-1] == 3 * MiB


async def test_a_sender_that_drops_in_the_middle_is_an_end_that_says_how_far_it_came(nothing_is_left):
    said = asyncio.Queue()

    async def talk(link):
        with pytest.raises(LinkClosed) as caught:
            await link.receive_into(io.BytesIO(), 10 * MiB)
        said.put_nowait(str(caught.value))

    async with tieline.listen("tcp://127.0.0.1:0", talk) as listener:
        sock = socket.create_connection(("127.0.0.1", listener.port))
        with sock:
            await asyncio.to_thread(sock.sendall, bytes(MiB))
        assert await said.get() == f"the peer closed the link after {MiB} of {10 * MiB} bytes"


async def test_a_receiver_that_goes_ends_the_sending(nothing_is_left, source):
    path, ended = source(8 * MiB), asyncio.Queue()

    async def talk(link):
        with pytest.raises(LinkClosed) as caught, path.open("rb") as file:
            await link.send_file(file)
        ended.put_nowait(str(caught.value))

    async with tieline.listen("tcp://127.0.0.1:0", talk) as listener:
        with socket.create_connection(("127.0.0.1", listener.port)) as sock:
            await asyncio.to_thread(sock.recv, 1000)
        assert "vanished" in await ended.get()


@pytest.mark.parametrize("direction", ["in", "out"])
async def test_cancelling_a_transfer_stops_its_thread(nothing_is_left, source, direction):
    path, started = source(8 * MiB), asyncio.Event()

    async def talk(link):
        started.set()
        if direction == "in":
            await link.receive_into(io.BytesIO(), 8 * MiB)
        else:
            with path.open("rb") as file:
                await link.send_file(file)

    async with tieline.listen("tcp://127.0.0.1:0", talk) as listener:
        with socket.create_connection(("127.0.0.1", listener.port)):
            await started.wait()
            while not lanes():  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            for talk_task in list(listener._tasks):
                talk_task.cancel()
            while lanes():  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    assert Lane.busy == 0


async def test_a_silent_sender_is_cut_by_the_idle_deadline(nothing_is_left):
    said = asyncio.Queue()

    async def talk(link):
        with pytest.raises(LinkClosed) as caught:
            await link.receive_into(io.BytesIO(), 8 * MiB)
        said.put_nowait(str(caught.value))

    async with tieline.listen("tcp://127.0.0.1:0", talk, limits=tieline.Limits(idle=0.1)) as listener:
        with socket.create_connection(("127.0.0.1", listener.port)) as sock:
            sock.sendall(b"x" * 1000)
            assert "silent for 0.1 s" in await said.get()


async def test_more_transfers_than_threads(nothing_is_left, source):
    path, callers = source(MiB), LANES + 8
    whole = path.read_bytes()

    async def talk(link):
        body = io.BytesIO()
        await link.receive_into(body, MiB)
        await link.send("same" if body.getvalue() == whole else "differs")

    async def upload(address):
        async with tieline.dial(address, codec=tieline.Lines()) as link:
            with path.open("rb") as file:
                await link.send_file(file)
            return await link.receive()

    async with tieline.listen("tcp://127.0.0.1:0", talk, codec=tieline.Lines()) as listener:
        assert await asyncio.gather(*(upload(listener.address) for _ in range(callers))) == ["same"] * callers
    assert Lane.busy == 0


async def test_a_full_disk_is_the_callers_error_and_the_link_lives(nothing_is_left):
    class Full(io.RawIOBase):
        def write(self, data):
            raise OSError(28, "No space left on device")

    said = asyncio.Queue()

    async def talk(link):
        with pytest.raises(OSError, match="No space"):
            await link.receive_into(Full(), 2 * MiB)
        await link.send(b"no room")
        said.put_nowait("answered")

    async with tieline.listen("tcp://127.0.0.1:0", talk) as listener, tieline.dial(listener.address) as link:
        await link.send(bytes(10))
        assert await said.get() == "answered"
        assert await link.receive() == b"no room"


async def test_a_file_that_became_shorter_and_sizes_that_cannot_be(nothing_is_left, source, monkeypatch):
    path = source(MiB)
    monkeypatch.setattr("tieline.link.bulk._size", lambda file: 2 * MiB)
    async with (
        tieline.listen("tcp://127.0.0.1:0", lambda link: link.receive_into(io.BytesIO(), 8 * MiB)) as listener,
        tieline.dial(listener.address) as link,
    ):
        with path.open("rb") as file:
            with pytest.raises(ConfigError, match="size"):
                await link.send_file(file, size=3 * MiB)
            with pytest.raises(ConfigError, match="size"):
                await link.send_file(file, offset=-1)
            with pytest.raises(ConfigError, match="size"):
                await link.receive_into(io.BytesIO(), -1)
            with pytest.raises(ProtocolError, match="the file ended after 1048576 of 2097152"):
                await link.send_file(file)
