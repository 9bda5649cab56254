"""Transfers over connections that are cut: they end by themselves, and what the other side has verified stays there."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from blake3 import blake3

import tieline
from tieline.limits import MiB
from tieline.wire.lane import BLOCK

from .machines import LONG, ServerProcess
from .proxy import DOWN, UP, Cut, Proxy
from .test_files_on_bad_networks import ada, client

SIZE = 1024 * MiB if LONG else 96 * MiB
IN_FLIGHT = 10 * MiB
"Passed the proxy and not yet verified: a receiving system holds 6 MiB, and blocks are verified as they come."
WAYS = ["put", "get", "pipe", "open"]


class Moving:
    """One transfer of the content, by each of the ways; `back()` is the digest of what arrived."""

    def __init__(self, way: str, peer: tieline.Client, server: ServerProcess, folder: Path) -> None:
        self.way = way
        self.direction = UP if way in ("put", "pipe") else DOWN
        self._peer = peer
        self._there = server.data / "files" / "x"
        self._here = folder / "content"
        self._back = folder / "back"

    def prepare(self) -> bytes:
        """Make the content where it comes from."""
        content = self._here if self.direction == UP else self._there
        content.parent.mkdir(parents=True, exist_ok=True)
        piece = os.urandom(MiB)
        with content.open("wb") as file:
            for number in range(SIZE // MiB):
                file.write(number.to_bytes(8, "big") + piece[8:])
        return _digest(content)

    async def move(self) -> None:
        files = self._peer.files
        if self.way == "put":
            assert not (await files.put(self._here, "/x", inside=False)).failed
        elif self.way == "get":
            assert not (await files.get("/x", self._back)).failed
        elif self.way == "pipe":
            with self._here.open("rb") as pipe:
                assert not (await files.put_stream(pipe.fileno(), "/x")).failed
        else:
            with self._back.open("wb") as back:
                async with files.open("/x") as file:
                    async for block in file:
                        back.write(block)

    def back(self) -> bytes:
        return _digest(self._there if self.direction == UP else self._back)


def _digest(path: Path) -> bytes:
    return blake3().update_mmap(path).digest()


@pytest.fixture
async def proxy(server: ServerProcess) -> AsyncIterator[Proxy]:
    await ada(server)
    proxy = Proxy(server.port)
    async with proxy.running():
        yield proxy


@pytest.mark.timeout(900 if LONG else 120)
@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("way", WAYS)
async def test_what_was_verified_is_not_sent_again(
    server: ServerProcess, proxy: Proxy, tmp_path: Path, way: str
) -> None:
    async with client(server, proxy.port) as peer:
        moving = Moving(way, peer, server, tmp_path)
        content = moving.prepare()
        before = proxy.passed[moving.direction]
        # Beginning anew each time would send three quarters of it again.
        proxy.arm(Cut(moving.direction, SIZE * 3 // 8), Cut(moving.direction, SIZE * 3 // 8, reset=True))
        await moving.move()
    assert moving.back() == content
    assert proxy.passed[moving.direction] - before - SIZE <= 2 * (BLOCK + IN_FLIGHT) < SIZE * 3 // 8


@pytest.mark.timeout(900 if LONG else 120)
@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("way", WAYS)
async def test_a_transfer_that_comes_further_with_each_connection_never_gives_up(
    server: ServerProcess, proxy: Proxy, tmp_path: Path, way: str
) -> None:
    async with client(server, proxy.port) as peer:
        moving = Moving(way, peer, server, tmp_path)
        content = moving.prepare()
        # Each goes on behind what was verified, a block at least: what is in flight at a cut comes again.
        proxy.arm(*(Cut(moving.direction, 9 * MiB) for _ in range(10)))
        await moving.move()
        proxy.arm()
    assert moving.back() == content
