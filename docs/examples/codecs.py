"""The same echo in every codec there is, and in one of one's own."""

import asyncio
from typing import Any

import tieline


class Netstrings:
    """`5:hello,` (djb's netstrings): a codec is anything that can do these two."""

    def encode(self, message: bytes) -> bytes:
        return b"%d:%b," % (len(message), message)

    def decode(self, inbox: tieline.Inbox) -> Any:
        size, colon, _ = inbox.peek(12).partition(b":")
        if not colon:
            return tieline.MORE
        text = inbox.exactly(int(size) + 1, skip=len(size) + 1)  # MORE, and nothing taken, until all of it is here
        return text if text is tieline.MORE else text[:-1]


CODECS: list[tuple[tieline.Codec, Any]] = [
    (tieline.Raw(), b"as it comes"),
    (tieline.Lines(), "a line"),
    (tieline.Delimited(b"\0"), b"up to a zero"),
    (tieline.Fixed(4), b"four"),
    (tieline.LengthPrefixed("!H"), b"a length first"),
    (tieline.JsonLines(), {"one": ["for", "each", "line"]}),
    (tieline.JsonValues(), {"end": "to end"}),
    (Netstrings(), b"hello"),
]


async def echo(link: tieline.Link) -> None:
    async for message in link:
        await link.send(message)


async def main() -> None:
    for codec, message in CODECS:
        talks: tieline.Talks
        async with (
            tieline.listen("tcp://127.0.0.1:0", echo, codec=codec) as talks,
            tieline.dial(talks.address, codec=codec) as link,
        ):
            await link.send(message)
            print(type(codec).__name__, await link.receive())


if __name__ == "__main__":
    asyncio.run(main())
