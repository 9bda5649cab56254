"""A recording whose disk is full breaks off; the session that is recorded does not mind."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.small_disks import small_disk

import tieline
import tieline.testing
from tieline.rpc.peer import Peer


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose recordings have a disk of their own, which is full."""
    with small_disk(tmp_path / "data" / "recordings", "4k") as place:
        (place / "ballast").write_bytes(bytes(4096))
        yield tmp_path / "data"


@pytest.fixture
async def peer(data: Path) -> AsyncIterator[Peer]:
    made = tieline.Server(data=data, name="test", allow_shell=True)
    async with (
        tieline.testing.server(made),
        tieline.testing.connect(made, account="ada", scopes={"shell", "admin"}) as peer,
    ):
        yield peer


@pytest.mark.parametrize("command", ["echo a little", "seq 100000"])
async def test_who_looks_on_is_told_everything_and_the_end(
    peer: Peer, command: str, caplog: pytest.LogCaptureFixture
) -> None:
    info = await peer.call("shell.open", argv=["sh", "-c", f"read _; {command}; exit 3"], record=True)

    async def keys() -> AsyncIterator[bytes]:
        yield b"\n"
        await asyncio.Event().wait()

    said, end = b"", None
    async with asyncio.timeout(30):
        async for piece in peer.stream("shell.attach", keys=keys(), id=info["id"]):
            said, end = (said + piece, end) if isinstance(piece, bytes) else (said, piece)
    assert end["code"] == 3
    assert (b"little" in said) or (b"100000" in said)
    assert "a recording" in caplog.text
    assert (await peer.call("audit.list"))[0]["outcome"] == "exit 3"
