"""A topic that remembers, followed from where one left off; who is asking; a stream; and a file read as it comes."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import tieline


async def follow(client: tieline.Client, after: int) -> list[tieline.Event]:
    """Two events behind the position `after`, which a program would keep on its disk."""
    seen: list[tieline.Event] = []
    subscription: tieline.Subscription = client.subscribe("ticks", after=after)
    async for event in subscription:
        seen.append(event)
        if len(seen) == 2:
            break
    return seen


async def main(folder: Path) -> None:
    server = tieline.Server(data=folder / "data")
    ticks: tieline.Topic = server.topic("ticks")

    @server.method("who")
    def who(peer: tieline.Peer) -> str:
        asking: tieline.Identity = peer.identity
        return f"{asking.account} at {asking.device}, by {asking.via}"

    @server.method("count")
    async def count(to: int) -> AsyncIterator[int]:
        for number in range(to):
            yield number

    async with server.serving(f"unix:{folder}/socket"), tieline.connect(f"unix:{folder}/socket") as client:
        for number in range(3):
            ticks.publish(number)
        print([(event.position, event.value) for event in await follow(client, after=1)])
        print(await client.call("who", returns=str))
        numbers: tieline.Stream[int] = client.stream("count", to=3, returns=int)
        print([number async for number in numbers])
        (folder / "report.txt").write_text("all is well\n")
        done: tieline.files.Transferred = await client.files.put(folder / "report.txt", "/")
        print(done.files, "file put")
        async with client.files.open("/report.txt") as file:
            print((await file.read()).decode(), end="")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))
