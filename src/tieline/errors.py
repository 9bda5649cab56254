"""Everything that can go wrong, as a tree. Facts are attributes; `str()` is a sentence that says what to do next.

TielineError
├── ConfigError            a setting cannot be used
│   └── AddressError       an address cannot be read, or not be listened on
├── LinkError              the connection, not the call
│   ├── DialFailed         nobody reachable there
│   ├── LinkClosed         it was open and is no more
│   ├── ProtocolError      bytes that are not the protocol (`remote` says whose fault)
│   │   └── NotTieline     not even from the first byte on: something else answers there
│   └── PlainRefused       plain text where only TLS is served
├── LoginError             who is calling could not be proven
│   ├── LoginFailed        wrong name, password, key or ticket (never says which)
│   ├── PinMismatch        another certificate than the pinned one
│   └── TooManyAttempts    wait before the next try
├── LimitExceeded          something was larger than its bound
└── CallError              a call failed; `code` travels, `remote` tells which side said so
    ├── InvalidArgument    ├── NotFound     ├── Denied      ├── DeadlineExceeded
    ├── Cancelled          ├── Conflict     ├── Unavailable ├── Overloaded
    └── TooLarge           └── InternalError
"""

from typing import Any, ClassVar


class TielineError(Exception):
    """The root: `except tieline.TielineError` catches all of ours and nothing else."""


class ConfigError(TielineError):
    """A setting cannot be used."""

    def __init__(self, setting: str, reason: str) -> None:
        super().__init__(setting, reason)
        self.setting = setting
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.setting}: {self.reason}"


class AddressError(ConfigError):
    """An address cannot be read, or cannot be listened on. `setting` is the address."""


class LinkError(TielineError):
    """The connection failed, as opposed to one call on it."""


class DialFailed(LinkError):
    """Nobody could be reached at `address`."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot reach {self.address}: {self.reason}"


class LinkClosed(LinkError):
    """The link was open and is no more. `reason` is in words, the peer's own when it gave one."""

    def __init__(self, reason: str = "the link is closed") -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class ProtocolError(LinkError):
    """Bytes or moves that are not the protocol. `remote` is True when the other side made the mistake."""

    def __init__(self, reason: str, *, remote: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remote = remote

    def __str__(self) -> str:
        return f"{'the peer' if self.remote else 'this side'} broke the protocol: {self.reason}"


class NotTieline(ProtocolError):
    """What came is no `tieline/1` from its first byte on. `begun` is how it begins: most programs that are called by
    mistake say what they are."""

    def __init__(self, begun: bytes) -> None:
        super().__init__(f"this is not tieline/1; it begins with {begun!r}")
        self.begun = begun


class PlainRefused(LinkError):
    """Plain text was tried where only TLS is served."""

    def __str__(self) -> str:
        return "this server takes plain text only from its own machine; connect with TLS (tls:// or a ticket)"


class LoginError(TielineError):
    """Who is at the other end could not be proven."""


class LoginFailed(LoginError):
    """Wrong name, password, key or ticket: deliberately one error for all of them."""

    def __init__(self, reason: str = "wrong name or secret") -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"login refused: {self.reason}"


class PinMismatch(LoginError):
    """The server showed another certificate than the pinned one. Pins are SHA-256 of the certificate, in hex."""

    def __init__(self, address: str, expected: str, got: str) -> None:
        super().__init__(address, expected, got)
        self.address = address
        self.expected = expected
        self.got = got

    def __str__(self) -> str:
        return (
            f"the server at {self.address} shows another certificate than the one you trust "
            f"(expected pin {self.expected[:16]}…, got {self.got[:16]}…). Either somebody is in between, or the server "
            "was set up anew: ask its owner for a fresh ticket, and do not go on before you know which."
        )


class TooManyAttempts(LoginError):
    """Too many wrong logins from this address or for this account; `retry_after` in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"too many wrong logins; try again in {self.retry_after:.0f} s"


class LimitExceeded(TielineError):
    """`what` was `got`, and `limit` is the most that is accepted."""

    def __init__(self, what: str, *, got: float, limit: float) -> None:
        super().__init__(what, got, limit)
        self.what = what
        self.got = got
        self.limit = limit

    def __str__(self) -> str:
        return f"{self.what} is {self.got:,}, the limit is {self.limit:,}"


class CallError(TielineError):
    """A call failed. `code` is for programs, `message` for people, `data` for whoever knows the method."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str = "", data: Any = None, *, remote: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.data = data
        self.remote = remote

    def __str__(self) -> str:
        return self.message or self.code.replace("_", " ")


class InvalidArgument(CallError):
    """An argument is missing, unknown or of the wrong type; the message names it."""

    code = "invalid_argument"


class NotFound(CallError):
    """No such method, room, account or file."""

    code = "not_found"


class Denied(CallError):
    """The caller's scopes do not cover this."""

    code = "denied"


class DeadlineExceeded(CallError):
    """No answer within the call's timeout; whether the work was done is not known."""

    code = "deadline"


class Cancelled(CallError):
    """The other side stopped the work."""

    code = "cancelled"


class Conflict(CallError):
    """What was asked for contradicts what is there."""

    code = "conflict"


class Unavailable(CallError):
    """Not now: the server is closing, or the link is gone. Trying again later may work."""

    code = "unavailable"


class Overloaded(CallError):
    """A limit on open calls, streams or subscriptions was reached; finish some first."""

    code = "overloaded"


class TooLarge(CallError):
    """The answer does not fit a frame; ask for less at a time, or for a stream."""

    code = "too_large"


class InternalError(CallError):
    """The handler raised something it had not announced; the details are in the log of the side that ran it."""

    code = "internal"


class UnknownFault(CallError):
    """A code this version does not know; `fault_code` keeps it."""

    code = "error"

    def __init__(self, code: str, message: str, data: Any = None, *, remote: bool = True) -> None:
        super().__init__(message, data, remote=remote)
        self.fault_code = code


BY_CODE: dict[str, type[CallError]] = {cls.code: cls for cls in CallError.__subclasses__() if cls is not UnknownFault}


def call_error(code: str, message: str, data: Any = None) -> CallError:
    """The exception for a code that came over the wire."""
    kind = BY_CODE.get(code)
    if kind is None:
        return UnknownFault(code, message, data)
    return kind(message, data, remote=True)


def not_utf8(refused: UnicodeEncodeError) -> InvalidArgument:
    """Of text that cannot be encoded: a name that the system gave as bytes, a lone surrogate."""
    return InvalidArgument(f"{refused.object[:200]!a} is not UTF-8, and what is not cannot be sent")
