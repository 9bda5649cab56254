"""The same by datagrams, with any number of senders, each shown with its address.

A line typed here goes to who spoke last, `@127.0.0.1:5000 hello` to that one, and `Q` to all before this ends.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import tieline
from tieline.apps.gallery import stage

REMEMBERED = 1000  # senders; anybody can make up as many as they like


class Talk:
    def __init__(self, endpoint: tieline.Datagrams) -> None:
        self.endpoint = endpoint
        self.senders: dict[str, Any] = {}  # who spoke last stands last

    async def hear(self) -> None:
        async for message, sender in self.endpoint:
            name, text = f"{sender[0]}:{sender[1]}", message.decode(errors="replace")
            self.senders.pop(name, None)
            if text.strip() == "Q":
                stage.show(f"{name} has gone")
                continue
            self.senders[name] = sender
            if len(self.senders) > REMEMBERED:
                del self.senders[next(iter(self.senders))]
            stage.show(f"{name}: {text}")

    async def say(self, line: str) -> None:
        first, _, rest = line.partition(" ")
        if first.startswith("@") and first[1:] in self.senders:
            await self.tell(first[1:], rest)
        elif self.senders:
            for name in [*self.senders] if line.strip() == "Q" else [*self.senders][-1:]:
                await self.tell(name, line)

    async def tell(self, name: str, text: str) -> None:
        try:
            await self.endpoint.send(text.encode(), self.senders[name])
        except tieline.TielineError as error:
            stage.show(f"{name} cannot be told: {error}")


async def serve(address: str) -> None:
    async with tieline.datagrams(address) as endpoint, asyncio.TaskGroup() as tasks:
        stage.announce(endpoint.address)
        talk = Talk(endpoint)
        hearing = tasks.create_task(talk.hear())
        async for line in stage.stdin_lines():
            await talk.say(line)
            if line.strip() == "Q":
                hearing.cancel()
                return


def main(arguments: Sequence[str] | None = None) -> None:
    options = stage.options("datagram-talk", __doc__, "udp://127.0.0.1:8888").parse_args(arguments)
    stage.run(serve(options.listen))


if __name__ == "__main__":
    main()
