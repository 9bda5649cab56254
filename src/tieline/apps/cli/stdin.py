"""Standard input as asyncio can use it: lines as they come, without holding up the loop or the end of the program."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator

CHUNK = 64 * 1024
AHEAD = 4
"Chunks read before somebody wants them; a fast writer waits for us, as in any pipe."


async def stdin_lines(descriptor: int = 0) -> AsyncIterator[str]:
    """Each line without its line end; bytes that are not UTF-8 are shown as \\xNN. A last line may lack its end."""
    rest = b""
    async for chunk in stdin_chunks(descriptor):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield _text(line)
    if rest:
        yield _text(rest)


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode(errors="backslashreplace")


async def stdin_chunks(descriptor: int = 0) -> AsyncIterator[bytes]:
    # A thread of our own, and a daemon: one that waits for a keyboard must not keep the program from ending, as a
    # thread of the loop's executor would. Files cannot be polled, so a reader on the loop will not do.
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    room = threading.Semaphore(AHEAD)

    def read() -> None:
        while True:
            room.acquire()
            try:
                chunk = os.read(descriptor, CHUNK)
            except OSError:
                chunk = b""
            try:
                loop.call_soon_threadsafe(queue.put_nowait, chunk)
            except RuntimeError:
                return  # the loop has ended meanwhile
            if not chunk:
                return

    threading.Thread(target=read, name="stdin", daemon=True).start()
    while chunk := await queue.get():
        yield chunk
        room.release()
