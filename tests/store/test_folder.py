"""The data folder: closed to others, used by one server at a time, refused in sentences."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tieline.errors import ConfigError
from tieline.store.sqlite import SqliteStore

HOLDER = """
import asyncio, sys
from tieline.store.sqlite import SqliteStore
async def main():
    await SqliteStore(sys.argv[1]).open()
    print("open", flush=True)
    sys.stdin.read()
asyncio.run(main())
"""


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_folder_and_files_are_for_the_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    async with SqliteStore(folder) as store:
        await store.post("lobby", "ada", "hi", "1", 0)
        files = {path.name: mode(path) for path in folder.iterdir()}
    assert mode(folder) == 0o700
    assert files == {"lock": 0o600, "tieline.db": 0o600, "tieline.db-wal": 0o600, "tieline.db-shm": 0o600}


async def test_an_existing_folder_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    async with SqliteStore(tmp_path):
        assert mode(tmp_path) == 0o755


async def test_a_second_server_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    holder = subprocess.Popen(  # noqa: ASYNC220  (the other server; nothing else runs on this loop)
        [sys.executable, "-c", HOLDER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(ConfigError) as refused:
            await SqliteStore(tmp_path).open()
        assert str(tmp_path) in str(refused.value)
        assert f"pid {holder.pid}" in str(refused.value)
        holder.kill()
    async with SqliteStore(tmp_path):
        pass  # a dead holder holds nothing


async def test_closing_gives_the_folder_back(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    await store.open()
    with pytest.raises(ConfigError, match=f"pid {os.getpid()}"):
        await SqliteStore(tmp_path).open()
    await store.close()
    await store.close()
    async with SqliteStore(tmp_path):
        pass


async def test_a_folder_that_cannot_be_used_is_named_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file/data cannot be used: Not a directory"):
        await SqliteStore(tmp_path / "file" / "data").open()


async def test_what_in_it_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "tieline.db").mkdir()
    with pytest.raises(ConfigError, match=r"cannot be used: .*/tieline\.db: Is a directory"):
        await SqliteStore(tmp_path).open()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_without_write_permission_is_named_in_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="cannot be used: Permission denied"):
        await SqliteStore(tmp_path / "data").open()
