"""Counts messages as they arrive: stuck together on a bare socket, and whole here, over tcp and udp.

Over tcp a message has its length before it (4 bytes, network order). Each is answered by its number.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import tieline
from tieline.apps.gallery import stage

WHOLE = tieline.LengthPrefixed("!I")


def bare(messages: list[bytes]) -> None:
    """What a `recv` gives is what has come by then, not what somebody sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()) as caller:
            for message in messages:
                caller.sendall(message)
        with listener.accept()[0] as callee:
            number = 0
            while chunk := callee.recv(1024):
                number += 1
                stage.show(f"bare socket {number}: {chunk!r}")


class Counter:
    def __init__(self) -> None:
        self.datagrams = 0

    async def talk(self, link: tieline.Link) -> None:
        number = 0
        async for message in link:
            number += 1
            stage.show(f"tieline tcp {number}: {message!r:.60}")
            await link.send(str(number).encode())

    def answer(self, message: bytes, sender: Any) -> bytes | None:
        self.datagrams += 1
        stage.show(f"tieline udp {self.datagrams}: {message!r:.60}")
        number = str(self.datagrams).encode()
        return number if len(number) <= len(message) else None  # never more than was asked with


async def serve(address: str, count: int, stay: bool) -> None:
    counter, messages = Counter(), [f"message {number}".encode() for number in range(1, count + 1)]
    async with (
        tieline.listen(address, counter.talk, codec=WHOLE) as listener,
        tieline.datagrams(f"udp://{address.removeprefix('tcp://')}", counter.answer) as endpoint,
    ):
        stage.announce(listener.address)
        stage.announce(endpoint.address)
        bare(messages)
        async with tieline.dial(listener.address, codec=WHOLE) as link:
            for message in messages:
                await link.send(message)
            link.finish()
            _ = [answer async for answer in link]
        async with tieline.datagrams(to=endpoint.address) as caller, asyncio.timeout(5):
            for message in messages:
                await caller.send(message)
            for _ in messages:
                await caller.receive()
        if stay:
            await stage.forever()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = stage.options("counter-demo", __doc__, "tcp://127.0.0.1:8888")
    parser.add_argument("--count", type=int, default=5, metavar="N", help="messages to send (%(default)s)")
    parser.add_argument("--stay", action="store_true", help="go on counting for other callers")
    options = parser.parse_args(arguments)
    stage.run(serve(options.listen, options.count, options.stay))


if __name__ == "__main__":
    main()
