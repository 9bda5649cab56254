"""What a caller is told when a method fails. Pure: an error goes in, a Fault comes out, and the bytes of it."""

import asyncio

from tieline.errors import CallError, Cancelled, InternalError, LimitExceeded, TooLarge, UnknownFault
from tieline.wire.messages import UNWRITABLE, Fault, encode


def fault_of(error: BaseException) -> Fault:
    """What its caller is told of what a method raised: all of it only when it was raised for the caller."""
    match error:
        case UnknownFault():
            return Fault(error.fault_code, str(error), error.data)
        case CallError():
            return Fault(error.code, str(error), error.data)
        case asyncio.CancelledError():
            return Fault(Cancelled.code, "the method was stopped")
        case LimitExceeded():
            return Fault(TooLarge.code, str(error))
        case _:
            return Fault(InternalError.code, "the method failed; the log of the machine that ran it says why")


def encode_fault(fault: Fault, most: int) -> bytes:
    """The fault in `most` bytes: when its data cannot be written, or all of it is too large, what is left of it."""
    try:
        payload = encode(fault)
        if len(payload) <= most:
            return payload
    except UNWRITABLE:
        pass
    return encode(Fault(fault.code, fault.message[: most // 8].encode(errors="replace").decode()))
