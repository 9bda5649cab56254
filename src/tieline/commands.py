"""Commands on another machine, from a program: `done = await commands.run(peer, ["uname", "-a"])`.

Nothing is parsed by a shell, and both outputs are bytes, each under credit of its own.
"""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from tieline.errors import LinkClosed
from tieline.processes.told import Ended
from tieline.rpc.caller import Caller
from tieline.rpc.incoming import Incoming

__all__ = ["Command", "Completed", "Ended", "run", "start"]


class Completed(msgspec.Struct, frozen=True):
    """A command that has ended, and all that it wrote."""

    code: int
    signal: str
    stdout: bytes
    stderr: bytes


class Command:
    """A command that runs. Read both `stdout` and `stderr`, at the same time; then `wait()`. Leaving early ends it."""

    __slots__ = ("_caller", "_ended", "_id", "_prefix", "_stdout", "stderr")

    def __init__(
        self, caller: Caller, prefix: str, id: str, stdout: Incoming[Any], stderr: Incoming[Any] | None
    ) -> None:
        self._caller = caller
        self._prefix = prefix
        self._id = id
        self._stdout = stdout
        self.stderr = stderr
        "What it writes to its standard error; None when that comes with its output."
        self._ended: Ended | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.stdout()

    async def stdout(self) -> AsyncIterator[bytes]:
        """What it writes, piece by piece, to the end. Raises CallError when it cannot be run, LinkClosed."""
        async for item in self._stdout:
            if type(item) is Ended:
                self._ended = item
            else:
                yield item

    async def rest(self) -> tuple[bytes, Ended]:
        """All that it writes from now on, and how it ended."""
        items = await self._stdout.gathered()
        if items and type(items[-1]) is Ended:
            self._ended = items.pop()
        if self._ended is None:
            raise LinkClosed("the command's end was not told")
        return b"".join(items), self._ended

    async def wait(self) -> Ended:
        """How it ended; whatever of its output was not read is thrown away."""
        async for _ in self.stdout():
            pass
        if self._ended is None:
            raise LinkClosed("the command's end was not told")
        return self._ended

    async def signal(self, name: str) -> None:
        """Send INT, TERM, KILL, … to its process group. Raises NotFound when it has ended."""
        await self._caller.call(f"{self._prefix}shell.signal", id=self._id, name=name)

    async def unread(self) -> None:
        """Want no more of its output, but its end: when it writes more it is told so, as by a closed pipe."""
        await self._caller.call(f"{self._prefix}shell.unread", id=self._id)

    async def close(self) -> None:
        """Want no more of it: it is interrupted, and soon killed with all that it started."""
        await self._stdout.aclose()
        if self.stderr is not None:
            await self.stderr.aclose()

    async def __aenter__(self) -> "Command":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def start(
    peer: Caller,
    argv: Sequence[str],
    *,
    target: str = "",
    cwd: str = "",
    env: Mapping[str, str] | None = None,
    input: AsyncIterator[bytes] | None = None,
    merge: bool = False,
    timeout: float | None = None,
) -> Command:
    """Start a command on the peer's machine, or on the machine `target` that joined it.

    `input` is what it reads (none: nothing). `merge` sends its errors the way of its output. After `timeout` seconds it
    is ended and DeadlineExceeded raised. Close the Command, or use it as `async with`.
    """
    prefix = f"{target}/" if target else ""
    params: dict[str, Any] = {"id": secrets.token_hex(12), "argv": list(argv), "errors": not merge}
    if cwd:
        params["cwd"] = cwd
    if env:
        params["env"] = dict(env)
    if input is not None:
        params["input"] = input
    stdout = await peer.start_stream(f"{prefix}shell.run", timeout, Ended, params)
    stderr: Incoming[Any] | None = None
    if not merge:
        # In the same turn of the loop, so both calls leave in one write.
        stderr = await peer.start_stream(f"{prefix}shell.errors", timeout, Any, {"id": params["id"]})
    if peer.link is not None:
        peer.link.flush()  # now: what is still to be done here can be done while the server starts it
    return Command(peer, prefix, params["id"], stdout, stderr)


async def run(
    peer: Caller,
    argv: Sequence[str],
    *,
    target: str = "",
    cwd: str = "",
    env: Mapping[str, str] | None = None,
    input: AsyncIterator[bytes] | bytes | None = None,
    merge: bool = False,
    timeout: float | None = None,
) -> Completed:
    """Run a command to its end, and give all that it wrote. See `start`."""
    source = _once(input) if isinstance(input, bytes) else input
    command = await start(peer, argv, target=target, cwd=cwd, env=env, input=source, merge=merge, timeout=timeout)
    if command.stderr is not None:
        command.stderr.gather()
    try:
        stdout, ended = await command.rest()
        stderr = b"" if command.stderr is None else b"".join(await command.stderr.gathered())
    except BaseException:  # cancelled too: nobody else could end the command
        await command.close()
        raise
    return Completed(ended.code, ended.signal, stdout, stderr)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 65536):
        yield data[start : start + 65536]
