"""Commands from a program: one with all of its output at once, one whose output comes as it is written."""

import asyncio
import sys

import tieline


async def main(address: str) -> None:
    async with tieline.connect(address) as peer:
        done = await tieline.commands.run(peer, ["sh", "-c", "cat; echo oops >&2; exit 3"], input=b"some input\n")
        print(done.code, done.stdout, done.stderr)
        async with await tieline.commands.start(peer, ["seq", "3"], merge=True) as command:
            async for piece in command.stdout():
                sys.stdout.write(piece.decode())
            print(await command.wait())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
