import asyncio

import uvloop


def pytest_asyncio_loop_factories(config, item):
    """Async tests of this folder run on both loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
