"""Codecs of messages that end with a mark: lines of text, and bytes up to a delimiter. Pure."""

import codecs
from dataclasses import dataclass, field

from tieline.errors import ConfigError, LimitExceeded, ProtocolError
from tieline.wire.codecs import require_bytes, require_limit
from tieline.wire.inbox import MORE, Inbox, More


@dataclass(frozen=True, slots=True)
class Lines:
    r"""Lines of text. With the usual newline, "\n", a line may end with "\r\n" too, as telnet's do.

    What stands after the last newline when the peer ends is a line as well. `limit` is in bytes, None takes the
    link's (`Limits.frame`). Text that is not in `encoding` is an error; `errors` is as for `bytes.decode`.
    """

    encoding: str = "utf-8"
    limit: int | None = None
    newline: str = "\n"
    errors: str = "strict"
    _end: bytes = field(init=False, repr=False, compare=False)
    _plain: bool = field(init=False, repr=False, compare=False)  # what str.encode() and bytes.decode() do unasked

    def __post_init__(self) -> None:
        require_limit("Lines", self.limit)
        if not isinstance(self.newline, str) or not self.newline.isascii() or not self.newline:
            raise ConfigError("newline", f"is {self.newline!r}; Lines needs one or more ASCII characters")
        try:
            end = self.newline.encode(self.encoding, self.errors)
            codecs.lookup_error(self.errors)
        except (LookupError, TypeError) as error:
            option = "errors" if "handler" in str(error) else "encoding"
            raise ConfigError(option, f"is {getattr(self, option)!r}, which this Python does not know") from None
        if end != self.newline.encode("ascii"):
            reason = f"is {self.encoding!r}, in which a newline is not one byte; Lines cannot find it there"
            raise ConfigError("encoding", reason)
        object.__setattr__(self, "_end", end)
        object.__setattr__(self, "_plain", (self.encoding, self.errors) == ("utf-8", "strict"))

    def encode(self, message: str) -> bytes:
        try:
            line = message.encode() if self._plain else message.encode(self.encoding, self.errors)
        except UnicodeEncodeError as error:
            reason = f"Lines(encoding={self.encoding!r}) cannot send {error.object[error.start : error.end]!r}"
            raise ProtocolError(reason, remote=False) from None
        except AttributeError:
            raise ProtocolError(f"Lines sends text, not {type(message).__name__}", remote=False) from None
        if self._end in line:
            reason = f"a message of Lines(newline={self.newline!r}) cannot hold the newline; send its lines one by one"
            raise ProtocolError(reason, remote=False)
        if self.limit is not None and len(line) > self.limit:
            raise LimitExceeded("line", got=len(line), limit=self.limit)
        return line + self._end

    def decode(self, inbox: Inbox) -> str | More:
        line = inbox.until(self._end, self.limit, "line")
        if line is MORE:
            if not inbox.ended or not inbox:
                return MORE
            line = inbox.exactly(len(inbox))
            assert line is not MORE
        if line[-1:] == b"\r" and self._end == b"\n":
            line = line[:-1]
        try:
            return line.decode() if self._plain else line.decode(self.encoding, self.errors)
        except UnicodeError as error:
            raise ProtocolError(f"a line is not in the encoding of Lines(encoding={self.encoding!r})") from error


@dataclass(frozen=True, slots=True)
class Delimited:
    """Bytes up to `delimiter`, which is in no message. `limit` is in bytes, None takes the link's (`Limits.frame`)."""

    delimiter: bytes
    limit: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.delimiter, bytes) or not self.delimiter:
            raise ConfigError("delimiter", f"is {self.delimiter!r}; Delimited needs at least one byte")
        require_limit("Delimited", self.limit)

    def encode(self, message: bytes) -> bytes:
        data = require_bytes("Delimited", message)
        if self.limit is not None and len(data) > self.limit:
            raise LimitExceeded("Delimited message", got=len(data), limit=self.limit)
        whole = data + self.delimiter
        if whole.find(self.delimiter) != len(data):  # also one that begins in the message and ends in the delimiter
            raise ProtocolError(f"a message of Delimited({self.delimiter!r}) cannot hold the delimiter", remote=False)
        return whole

    def decode(self, inbox: Inbox) -> bytes | More:
        return inbox.until(self.delimiter, self.limit, "Delimited message")
