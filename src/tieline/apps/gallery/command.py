"""Runs the command lines that callers send, and sends back what the programs print.

First the output's size in decimal, then, once the caller has acknowledged that in any words, the output. There is no
shell: `|`, `>` and `*` mean nothing. When the caller is gone, so is its program.
"""

import asyncio
import os
import resource
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO

import tieline
from tieline.apps.gallery import stage

LONGEST = 4096  # bytes of a command line
AT_ONCE = 100  # programs; more callers wait
LARGEST = 1 << 30  # bytes of output; a program that prints more is ended
SECONDS = 60  # a program that takes longer is ended


class Commands:
    def __init__(self, allowed: Sequence[str] | None) -> None:
        self.allowed = allowed  # None: all
        self.room = asyncio.Semaphore(AT_ONCE)

    async def talk(self, link: tieline.Link) -> None:
        async for line in link:
            with tempfile.TemporaryFile(buffering=0) as output:
                program = asyncio.create_task(self.run(line, output))
                heard = asyncio.create_task(link.receive())  # the acknowledgement; None: the caller is gone
                try:
                    await asyncio.wait((program, heard), return_when=asyncio.FIRST_COMPLETED)
                    if heard.done() and heard.result() is None:
                        return
                    output.write((await program).encode(errors="replace"))
                    size = output.seek(0, os.SEEK_END)
                    await link.send(str(size).encode())
                    if await heard is None:
                        return
                    await link.send_file(output, 0, size)
                finally:
                    program.cancel()
                    heard.cancel()
                    await asyncio.wait((program, heard))

    async def run(self, line: bytes, output: BinaryIO) -> str:
        """The program's output goes into the file; what is to be said besides is returned."""
        if len(line) > LONGEST:
            return f"longer than {LONGEST} bytes"
        try:
            words = shlex.split(line.decode(errors="surrogateescape"))
            if not words:
                return "no command"
            if self.allowed is not None and words[0] not in self.allowed:
                return f"not allowed here: {words[0]}"
            async with self.room:
                return await execute(words, output) or ("" if output.seek(0, os.SEEK_END) else "no output")
        except (OSError, ValueError) as error:
            return f"cannot be run: {getattr(error, 'strerror', None) or error}"


async def execute(words: list[str], output: BinaryIO) -> str:
    process = await asyncio.create_subprocess_exec(
        *words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        with suppress(ProcessLookupError, AttributeError):  # it is done already; there is no such call but on Linux
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (LARGEST, LARGEST))
        async with asyncio.timeout(SECONDS):
            await process.wait()
    except TimeoutError:
        return f"\nended: not done after {SECONDS} s"
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return ""


async def serve(address: str, allowed: Sequence[str] | None) -> None:
    async with tieline.listen(address, Commands(allowed).talk, codec=tieline.Raw()) as listener:
        stage.announce(listener.address)
        await stage.forever()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = stage.options("command", __doc__, "tcp://127.0.0.1:8888")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--allow", nargs="+", metavar="CMD", help="the programs that may be run")
    which.add_argument("--allow-any", action="store_true", help="run whatever anybody who can call asks for")
    options = parser.parse_args(arguments)
    stage.run(serve(options.listen, None if options.allow_any else options.allow))


if __name__ == "__main__":
    main()
