"""Sends each message back with its time: `[2026-11-20 10:15:00]:message`.

A line is a message. So is what comes without a newline, since many callers send none.
"""

from collections.abc import Sequence

import tieline
from tieline.apps.gallery import stage


async def talk(link: tieline.Link) -> None:
    async for chunk in link:
        for message in chunk.splitlines(keepends=True):
            await link.send(f"[{stage.now()}]:".encode() + message)


async def serve(address: str) -> None:
    async with tieline.listen(address, talk, codec=tieline.Raw()) as listener:
        stage.announce(listener.address)
        await stage.forever()


def main(arguments: Sequence[str] | None = None) -> None:
    options = stage.options("stamp", __doc__, "tcp://127.0.0.1:8888").parse_args(arguments)
    stage.run(serve(options.listen))


if __name__ == "__main__":
    main()
