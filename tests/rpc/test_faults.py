"""What a caller is told: all that was raised for it, nothing that was not, and always something."""

import asyncio

import msgspec
import pytest

from tieline.errors import Conflict, LimitExceeded, UnknownFault
from tieline.rpc.faults import encode_fault, fault_of
from tieline.wire.messages import Fault, read

MOST = 8 * 1024


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (Conflict("the name is taken; choose another"), "conflict", "the name is taken; choose another"),
        (UnknownFault("teapot", "short and stout"), "teapot", "short and stout"),
        (asyncio.CancelledError("from within"), "cancelled", "the method was stopped"),
        (LimitExceeded("frame", got=9, limit=8), "too_large", "frame"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_what_was_raised_for_the_caller_is_told(error: BaseException, code: str, sentence: str) -> None:
    fault = fault_of(error)
    assert fault.code == code
    assert fault.message.startswith(sentence)


@pytest.mark.parametrize("error", [ValueError("the password is 12345"), KeyError("secret"), SystemExit("secret")])
def test_nothing_is_told_of_a_fault_of_ours(error: BaseException) -> None:
    fault = fault_of(error)
    assert (fault.code, fault.data) == ("internal", None)
    assert "12345" not in fault.message
    assert "secret" not in fault.message


def test_data_travels_with_its_error() -> None:
    assert fault_of(Conflict("taken", {"by": "ada"})) == Fault("conflict", "taken", {"by": "ada"})


@pytest.mark.parametrize("data", [object(), "x" * MOST, 1 << 70], ids=["no value", "too large", "too large a number"])
def test_an_error_is_told_without_data_that_cannot_travel(data: object) -> None:
    payload = encode_fault(Fault("conflict", "taken", data), MOST)
    assert read(Fault, payload) == Fault("conflict", "taken")


@pytest.mark.parametrize(
    "message", ["x" * MOST, "\N{WATERMELON}" * MOST, "\ud800" * MOST], ids=["long", "wide", "no text"]
)
def test_of_a_sentence_too_long_the_beginning_is_told(message: str) -> None:
    payload = encode_fault(Fault("conflict", message), MOST)
    assert len(payload) <= MOST
    assert read(Fault, payload).message


def test_a_fault_that_fits_is_whole() -> None:
    fault = Fault("conflict", "taken", [1, 2])
    assert encode_fault(fault, MOST) == msgspec.msgpack.encode(fault)
