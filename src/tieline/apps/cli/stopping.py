"""Ctrl-C, SIGTERM and SIGHUP: of a server the first lets it drain and the second ends it where it stands."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stop_signals(stopping: Callable[[], object]) -> Iterator[asyncio.Event]:
    """Gives an event that is set by the first signal, after `stopping()` was called.

    SIGHUP, when its terminal goes away, may come twice and never ends it where it stands; under `nohup` it is ignored.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def caught(number: int) -> None:
        if stop.is_set():
            if number == signal.SIGHUP:
                return
            # What was acknowledged is on disk already, so there is nothing to save.
            os._exit(128 + number)
        stop.set()
        stopping()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, caught, number)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


@contextmanager
def interrupts(first: Callable[[], object], second: Callable[[], object]) -> Iterator[None]:
    """What the first Ctrl-C does, and every one after it; other signals end the process as ever."""
    loop = asyncio.get_running_loop()
    actions = [second, first]
    loop.add_signal_handler(signal.SIGINT, lambda: (actions.pop() if len(actions) > 1 else second)())
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
