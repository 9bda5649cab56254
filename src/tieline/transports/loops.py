"""The event loop of programs that stay: the fastest there is on this system."""

import asyncio


def fastest() -> "type[asyncio.AbstractEventLoop] | None":
    """For `asyncio.Runner`; None is asyncio's own."""
    try:
        import uvloop
    except ImportError:  # Windows has none
        return None
    return uvloop.Loop
