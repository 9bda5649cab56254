"""Ports for programs that must be told which to take, and that nobody listens on until they do.

A port found with 0 and let go may be a caller's end, or another worker's server, before the program has started. These
lie below those the kernel gives by itself, and each worker has a stretch of its own.
"""

import os
import random
import socket
from collections.abc import Iterator

FIRST, STRETCH, WORKERS = 20_000, 1_500, 8


def free_port() -> int:
    """Never the same one twice."""
    return next(_free)


def _found() -> Iterator[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    first = random.randrange(STRETCH)  # another run may be going on beside this one
    while True:
        for number in range(STRETCH):
            port = FIRST + worker * STRETCH + (first + number) % STRETCH
            if _is_free(port):
                yield port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


_free = _found()
