"""Two ends of a lane in one process: a real socket pair, a thread for the other side."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from tests.files.conftest import house, limits, stack  # noqa: F401  # fixtures of the whole house

from tieline.lanes.connection import Lane
from tieline.limits import DEFAULT


class Pair:
    """`here` is the test's end. `there(work)` runs the other side in a thread; leaving the test waits for it."""

    def __init__(self) -> None:
        a, b = socket.socketpair()
        self.here = Lane(a, DEFAULT)
        self.other = Lane(b, DEFAULT)
        self.error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def there(self, work: Callable[[Lane], None]) -> None:
        def run() -> None:
            try:
                work(self.other)
            except BaseException as error:
                self.error = error
            finally:
                self.other.close()

        self._thread = threading.Thread(target=run)
        self._thread.start()

    def join(self) -> None:
        """Wait for the other side, and raise what it raised."""
        assert self._thread is not None
        self._thread.join(30)
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.here.close()
        if self._thread is not None:
            self._thread.join(30)
        self.other.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()
