"""Any bytes, however cut: the same lines or the same refusal, and never more kept than the limit allows."""

from random import Random

from fuzz.material import mutated, pieces, text
from tieline.errors import LimitExceeded, ProtocolError
from tieline.wire.inbox import MORE, Inbox
from tieline.wire.text_codecs import Lines

LIMIT = 100


def once(dice: Random) -> None:
    said = "\n".join(text(dice, ("/help", "hello", "\r"), 5) for _ in range(dice.randrange(6)))
    data = mutated(dice, said.encode())
    assert read([data]) == read(list(pieces(dice, data)))


def read(reads: list[bytes]) -> tuple[list[str], bool]:
    codec, inbox, lines = Lines(), Inbox(limit=LIMIT), []
    try:
        for data in reads:
            inbox.feed(data)
            while (line := codec.decode(inbox)) is not MORE:
                lines.append(line)
            assert len(inbox) <= LIMIT + len(data)
    except (LimitExceeded, ProtocolError):
        return lines, True
    return lines, False
