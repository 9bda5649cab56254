"""Files over networks that break and alter: they arrive whole, by themselves, and little is sent twice."""

import os
import random
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import pytest
from blake3 import blake3

import tieline
from tieline.limits import MiB
from tieline.login.scram import make_verifier
from tieline.wire.lane import BLOCK

from .altering import Altering
from .machines import LONG, ServerProcess
from .proxy import DOWN, UP, Cut, Proxy

IN_FLIGHT = 16 * MiB
"What sockets and this test's proxy hold, generously."
SIZE = 1024 * MiB if LONG else 40 * MiB
CUTS = 20 if LONG else 4


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    piece = os.urandom(MiB)
    with (tmp_path / "content").open("wb") as file:
        for number in range(SIZE // MiB):
            file.write(number.to_bytes(8, "big") + piece[8:])
    return digest(tmp_path / "content")


def digest(path: Path) -> bytes:
    return blake3().update_mmap(path).digest()


def client(server: ServerProcess, port: int) -> AbstractAsyncContextManager[tieline.Client]:
    return tieline.connect(f"tcp://127.0.0.1:{port}", account="ada", device="laptop", key="key")


async def ada(server: ServerProcess) -> None:
    """Somebody who comes over the network."""
    async with tieline.connect(server.unix) as owner:
        ticket: str = await owner.call("accounts.invite", account="ada", can=["chat", "files"], returns=str)
    async with tieline.connect(ticket.replace(ticket.split("/")[2], f"127.0.0.1:{server.port}")) as new:
        await new.call("accounts.enrol", device="laptop", verifier=make_verifier("key", 4096, os.urandom))


@pytest.mark.timeout(3600 if LONG else 120)
@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_transfer_whose_connection_is_cut_again_and_again_ends_by_itself(
    server: ServerProcess, tmp_path: Path, content: bytes, direction: str
) -> None:
    chance = random.Random(20)
    await ada(server)
    proxy = Proxy(server.port)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(proxy.running())
        peer = await stack.enter_async_context(client(server, proxy.port))
        way = UP if direction == "up" else DOWN
        if direction == "down":
            (server.data / "files" / "x").write_bytes((tmp_path / "content").read_bytes())
        proxy.arm(*(Cut(way, chance.randrange(2 * SIZE // CUTS), reset=chance.random() < 0.5) for _ in range(CUTS)))
        if direction == "up":
            done = await peer.files.put(tmp_path / "content", "/x")
            arrived = server.data / "files" / "x"
        else:
            done = await peer.files.get("/x", tmp_path / "back")
            arrived = tmp_path / "back"
    assert (done.failed, done.files) == ([], 1)
    assert digest(arrived) == content
    assert done.attempts > 1
    assert proxy.passed[way] - SIZE <= done.attempts * (BLOCK + IN_FLIGHT)


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_an_altered_byte_costs_its_block_and_nothing_else(
    server: ServerProcess, tmp_path: Path, content: bytes, direction: str
) -> None:
    await ada(server)
    (server.data / "files" / "there").write_bytes((tmp_path / "content").read_bytes())
    network = Altering(server.port, **{direction: [10 * MiB + 4321, 31 * MiB + 1]})
    async with network.running(), client(server, network.port) as peer:
        if direction == "up":
            done = await peer.files.put(tmp_path / "content", "/x")
            arrived = server.data / "files" / "x"
        else:
            done = await peer.files.get("/there", tmp_path / "back")
            arrived = tmp_path / "back"
    assert network.altered == 2
    assert (done.failed, done.files, done.attempts) == ([], 1, 1)
    assert digest(arrived) == content
    assert SIZE < done.wire_bytes <= SIZE + 2 * (BLOCK + IN_FLIGHT)


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_small_file_that_was_altered_comes_again(server: ServerProcess, tmp_path: Path, direction: str) -> None:
    await ada(server)
    source = tmp_path / "source"
    source.mkdir()
    for number in range(200):
        (source / f"{number:03}").write_bytes(os.urandom(5000))
    network = Altering(server.port, **{direction: [300_000, 700_000]})
    async with network.running(), client(server, network.port) as peer:
        if direction == "down":
            await peer.files.put(source, "/x", inside=False)
            done = await peer.files.get("/x", tmp_path / "back")
            arrived = tmp_path / "back"
        else:
            done = await peer.files.put(source, "/x", inside=False)
            arrived = server.data / "files" / "x"
    assert network.altered == 2
    assert (done.failed, done.files) == ([], 200)
    assert done.attempts == 2
    for path in source.iterdir():
        assert (arrived / path.name).read_bytes() == path.read_bytes()


@pytest.mark.usefixtures("hurried")
async def test_what_comes_from_a_pipe_survives_a_cut(server: ServerProcess, tmp_path: Path, content: bytes) -> None:
    await ada(server)
    proxy = Proxy(server.port)
    async with proxy.running(), client(server, proxy.port) as peer:
        proxy.arm(Cut(UP, 11 * MiB), Cut(UP, 9 * MiB, reset=True))
        with (tmp_path / "content").open("rb") as file:
            done = await peer.files.put_stream(file.fileno(), "/x")
        assert (done.failed, done.attempts) == ([], 3)
    assert digest(server.data / "files" / "x") == content


@pytest.mark.usefixtures("hurried")
async def test_a_reader_of_a_file_notices_no_cut(server: ServerProcess, tmp_path: Path, content: bytes) -> None:
    await ada(server)
    (server.data / "files" / "x").write_bytes((tmp_path / "content").read_bytes())
    proxy = Proxy(server.port)
    hasher = blake3()
    async with proxy.running(), client(server, proxy.port) as peer:
        proxy.arm(Cut(DOWN, 11 * MiB), Cut(DOWN, 14 * MiB, reset=True))
        async with peer.files.open("/x") as file:
            async for block in file:
                hasher.update(block)
    assert hasher.digest() == content
    assert proxy.connections > 2


@pytest.mark.usefixtures("hurried")
async def test_a_source_that_changes_between_two_lanes_is_never_mixed(server: ServerProcess, tmp_path: Path) -> None:
    await ada(server)
    source = tmp_path / "source"
    source.write_bytes(b"a" * 20 * MiB)
    proxy = Proxy(server.port)
    async with proxy.running(), client(server, proxy.port) as peer:
        proxy.arm(Cut(UP, 11 * MiB))
        changed = False

        def change(progress: tieline.files.Progress) -> None:
            nonlocal changed
            if progress.note and not changed:
                changed = True
                source.write_bytes(b"b" * 20 * MiB)

        done = await peer.files.put(source, "/x", progress=change)
    assert changed
    stored = (server.data / "files" / "x").read_bytes()
    assert (done.failed, stored) == ([], b"b" * 20 * MiB)
