"""How a link ended is said in words, never in numbers of the system."""

import errno
import os

import pytest

from tieline.link.parting import parting


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (None, "the peer closed the link"),
        (ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)), "vanished (connection reset by peer)"),
        (BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)), "vanished (broken pipe)"),
        (ConnectionAbortedError(), "vanished (connection lost)"),
        (ValueError("too odd"), "the link broke (too odd)"),
    ],
)
def test_each_way_has_its_words(error: Exception | None, said: str) -> None:
    assert parting(error).endswith(said)
