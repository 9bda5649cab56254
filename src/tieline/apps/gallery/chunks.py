"""A codec of one's own: text of callers who send no newline, and of those who do."""

import codecs
from dataclasses import dataclass

from tieline import MORE, Inbox


@dataclass(frozen=True)
class Chunks:
    """A line is a message, and so is what came without a newline. A character cut in two waits for its other half.

    Longer messages than `limit` bytes are cut; `end` follows what is sent.
    """

    encoding: str = "utf-8"
    limit: int = 4096
    end: str = "\n"

    def encode(self, message: str) -> bytes:
        return (message + self.end).encode(self.encoding, "replace")

    def decode(self, inbox: Inbox) -> object:
        line, newline, _ = inbox.peek(self.limit).partition(b"\n")
        decoder = codecs.getincrementaldecoder(self.encoding)("replace")
        text = decoder.decode(line, bool(newline) or inbox.ended)
        used = len(line) - len(decoder.getstate()[0]) + len(newline)
        return text.removesuffix("\r") if used and inbox.exactly(used) is not MORE else MORE
