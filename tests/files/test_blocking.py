"""The blocking client's files: the same, for programs without asyncio."""

import asyncio
import io
import os
from contextlib import AsyncExitStack

import tieline.sync
from tieline.limits import MiB

from .conftest import House


async def test_files_without_asyncio(house: House, stack: AsyncExitStack) -> None:
    key = await house.key("ada")
    data = os.urandom(9 * MiB)
    (house.folder / "x").write_bytes(data)

    def program() -> None:
        with tieline.sync.connect(house.tls, account="ada", device="laptop", key=key) as peer:
            assert peer.files.put(house.folder / "x", "/lab/").files == 1
            assert [entry.name for entry in peer.files.list("/lab")] == ["x"]
            assert peer.files.get("/lab/x", house.folder / "back").files == 1
            with peer.files.open("/lab/x") as file:
                assert io.BufferedReader(file).read() == data
            with peer.files.open("/lab/x") as file:
                assert b"".join(file.blocks()) == data
            with peer.files.open("/lab/x") as file:
                assert file.read(4) == data[:4]
            peer.files.make("/lab/old")
            assert peer.files.move("/lab/x", "/lab/old") == "/lab/old/x"
            peer.files.remove("/lab/old", whole=True)
            assert peer.files.list("/lab") == []

    await asyncio.to_thread(program)
    assert (house.folder / "back").read_bytes() == data
