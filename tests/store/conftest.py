"""A store on a real disk, and one in memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tieline.store.sqlite import SqliteStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore(tmp_path / "data") as store:
        yield store


@pytest.fixture(params=["disk", "memory"])
async def either(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """The same stories hold for both."""
    async with SqliteStore(tmp_path / "data" if request.param == "disk" else ":memory:") as store:
        yield store
