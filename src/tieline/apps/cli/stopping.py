"""Ctrl-C and SIGTERM of a server: the first lets it drain, the second ends it where it stands."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stop_signals(stopping: Callable[[], object]) -> Iterator[asyncio.Event]:
    """Gives an event that is set by the first signal, after `stopping()` was called."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def caught(number: int) -> None:
        if stop.is_set():
            # What was acknowledged is on disk already, so there is nothing to save.
            os._exit(128 + number)
        stop.set()
        stopping()

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, caught, number)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
