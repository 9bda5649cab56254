"""Fixtures for pytest with pytest-asyncio. In conftest.py: `pytest_plugins = ["tieline.testing.fixtures"]`."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tieline.server import Server
from tieline.testing.clock import Clock
from tieline.testing.servers import server


@pytest_asyncio.fixture
async def tieline_server() -> AsyncIterator[Server]:
    """A server in memory; `tieline.testing.connect(tieline_server, …)` gives a peer of it."""
    async with server() as serving:
        yield serving


@pytest.fixture
def tieline_clock() -> Clock:
    """A clock that stands still until told otherwise."""
    return Clock()
