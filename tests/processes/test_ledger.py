"""What runs, as somebody else reads it from the same file."""

from collections.abc import Iterator

import pytest

from tieline.processes.ledger import Ledger, read


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    made = Ledger()
    yield made
    made.close()


def test_a_line_is_there_before_the_process_and_until_it_is_gone(ledger: Ledger) -> None:
    line = ledger.enter("m" * 16)
    assert read(ledger.descriptor) == [(0, "m" * 16)]
    ledger.started(line, 4321, "m" * 16)
    assert read(ledger.descriptor) == [(4321, "m" * 16)]
    ledger.leave(line)
    assert read(ledger.descriptor) == []


def test_a_free_line_is_used_again(ledger: Ledger) -> None:
    first, second = ledger.enter("a"), ledger.enter("b")
    ledger.leave(first)
    assert ledger.enter("c") == first != second
    assert sorted(read(ledger.descriptor)) == [(0, "b"), (0, "c")]
