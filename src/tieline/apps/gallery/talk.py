"""The person here and those who call talk, in turn or at will. `Q` ends it.

Callers are named by the order they come in. A line typed here goes to all, `@caller-2 hello` to that one. `Q` typed
here is sent to all and ends this; from a caller it ends that one's part. With `--dial`, this is the caller.
"""

import asyncio
from collections.abc import Sequence

import tieline
from tieline.apps.gallery import stage
from tieline.apps.gallery.chunks import Chunks


class Talk:
    def __init__(self) -> None:
        self.links: dict[str, tieline.Link] = {}
        self.came = 0

    async def hear(self, link: tieline.Link, name: str = "") -> None:
        self.came += 1
        name = name or f"caller-{self.came}"
        self.links[name] = link
        stage.show(f"{name} is here, from {link.peer}")
        try:
            async for text in link:
                if text.strip() == "Q":
                    break
                stage.show(f"{name}: {text}")
        finally:
            del self.links[name]
            stage.show(f"{name} has gone")

    async def say(self, line: str) -> None:
        name, _, text = line.partition(" ")
        one = self.links.get(name.removeprefix("@")) if name.startswith("@") else None
        if one is not None:
            await tell(one, text)
        elif line:
            await asyncio.gather(*(tell(link, line) for link in self.links.values()))

    async def type(self) -> None:
        async for line in stage.stdin_lines():
            await self.say(line)
            if line.strip() == "Q":
                return
        await stage.forever()  # nobody is here to type; the others may still talk


async def tell(link: tieline.Link, text: str) -> None:
    try:
        async with asyncio.timeout(5):
            await link.send(text)
    except (tieline.LinkClosed, TimeoutError):
        link.abort("does not read")


async def serve(address: str, codec: tieline.Codec) -> None:
    talk = Talk()
    async with tieline.listen(address, talk.hear, codec=codec) as listener:
        stage.announce(listener.address)
        await talk.type()


async def dial(address: str, codec: tieline.Codec) -> None:
    talk = Talk()
    async with tieline.dial(address, codec=codec) as link:
        stage.announce(address)
        both = {asyncio.create_task(talk.hear(link, "they")), asyncio.create_task(talk.type())}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = stage.options("talk", __doc__, "tcp://127.0.0.1:8888")
    parser.add_argument("--lines", action="store_true", help="end what is sent with a newline, for callers with nc")
    parser.add_argument("--dial", metavar="ADDRESS", help="call somebody who listens there, instead of listening")
    options = parser.parse_args(arguments)
    codec = Chunks(end="\n" if options.lines else "")
    stage.run(dial(options.dial, codec) if options.dial else serve(options.listen, codec))


if __name__ == "__main__":
    main()
