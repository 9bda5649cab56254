"""Sends each datagram back in upper case; an empty one is answered by an empty one."""

from collections.abc import Sequence
from typing import Any

import tieline
from tieline.apps.gallery import stage


def answer(message: bytes, sender: Any) -> bytes:
    return message.upper()


async def serve(address: str) -> None:
    async with tieline.datagrams(address, answer) as endpoint:
        stage.announce(endpoint.address)
        await stage.forever()


def main(arguments: Sequence[str] | None = None) -> None:
    options = stage.options("upper-udp", __doc__, "udp://127.0.0.1:8888").parse_args(arguments)
    stage.run(serve(options.listen))


if __name__ == "__main__":
    main()
