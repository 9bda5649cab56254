"""A caller who begins to log in and comes no further than the server's first words of SCRAM."""

import asyncio

from tieline.wire.frames import PREFACE, Kind, frame
from tieline.wire.messages import VERSIONS, Auth, Hello, encode


async def begin_login(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The connection, with the proof of ada's laptop due next."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def hears(words: bytes) -> None:
        said = b""
        async with asyncio.timeout(60):
            while words not in said:
                said += await reader.readexactly(1)

    writer.write(PREFACE + frame(Kind.HELLO, 0, encode(Hello(VERSIONS, "test", 1 << 20, 1 << 18, ()))))
    await hears(b"SCRAM-SHA-256")
    writer.write(frame(Kind.AUTH, 0, encode(Auth("SCRAM-SHA-256", b"n,,n=ada/laptop,r=abcdefghijklmnop"))))
    await hears(b",i=")
    return reader, writer
