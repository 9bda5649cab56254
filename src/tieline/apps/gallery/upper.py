"""Sends each chunk back in upper case; `exit` ends that caller only."""

from collections.abc import Sequence

import tieline
from tieline.apps.gallery import stage


async def talk(link: tieline.Link) -> None:
    async for chunk in link:
        if chunk.strip() == b"exit":
            return
        await link.send(chunk.upper())


async def serve(address: str) -> None:
    async with tieline.listen(address, talk, codec=tieline.Raw()) as listener:
        stage.announce(listener.address)
        await stage.forever()


def main(arguments: Sequence[str] | None = None) -> None:
    options = stage.options("upper", __doc__, "tcp://127.0.0.1:8888").parse_args(arguments)
    stage.run(serve(options.listen))


if __name__ == "__main__":
    main()
