"""Sends each message to everybody, its sender too, with date, address and text; `quit` leaves.

Typed here, `quit` ends the chat, and anything else is said to all. Who does not read holds up nobody.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import tieline
from tieline.apps.gallery import stage
from tieline.apps.gallery.chunks import Chunks

BEHIND = 1000  # messages kept for a member who does not read
LONGEST = 4096  # bytes of a message


@dataclass
class Member:
    link: tieline.Link
    waiting: "asyncio.Queue[str]" = field(default_factory=lambda: asyncio.Queue(BEHIND))

    def tell(self, message: str) -> None:
        if self.waiting.full():
            self.waiting.get_nowait()  # who reads too slowly misses the oldest
        self.waiting.put_nowait(message)

    async def send(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await self.link.send(await self.waiting.get())
        except tieline.LinkClosed:
            pass  # gone; `Chat.talk` sees it too


class Chat:
    def __init__(self) -> None:
        self.members: dict[tieline.Link, Member] = {}

    def say(self, who: str, text: str) -> None:
        message = f"{stage.now()} {who}: {stage.safe_text(text)}"
        stage.show(message)
        for member in self.members.values():
            member.tell(message)

    async def talk(self, link: tieline.Link) -> None:
        member = self.members[link] = Member(link)
        sending = asyncio.create_task(member.send())
        try:
            async for text in link:
                if text.strip() == "quit":
                    break
                self.say(link.peer, text)
        finally:
            del self.members[link]
            sending.cancel()
        while not member.waiting.empty():  # their own last words come back to them too
            await link.send(member.waiting.get_nowait())


async def serve(address: str, encoding: str, chunks: bool) -> None:
    chat = Chat()
    lines = tieline.Lines(encoding, errors="replace")
    codec = Chunks(lines.encoding, LONGEST) if chunks else lines
    limits = tieline.Limits(frame=LONGEST)  # of what comes; with date and address it goes out longer
    async with tieline.listen(address, chat.talk, codec=codec, limits=limits) as listener:
        stage.announce(listener.address)
        async for line in stage.stdin_lines():
            if line.strip() == "quit":
                return
            chat.say("operator", line)
        await stage.forever()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = stage.options("groupchat", __doc__, "tcp://127.0.0.1:8888")
    parser.add_argument("--encoding", default="utf-8", metavar="NAME", help="of the text: gbk, latin-1 … (%(default)s)")
    parser.add_argument(
        "--chunks", action="store_true", help="for callers who send no newline: each chunk is a message"
    )
    options = parser.parse_args(arguments)
    stage.run(serve(options.listen, options.encoding, options.chunks))


if __name__ == "__main__":
    main()
