"""A server that has run out of descriptors refuses what needs one, in a sentence, and serves it when there are some."""

import asyncio
import resource
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import tieline
from tieline import commands

from .conftest import Machines, Servers
from .machines import DEADLINE, Machine, login

MEANT = (tieline.Overloaded, tieline.Unavailable, tieline.DialFailed)
"What people are told meanwhile."


class Crowd:
    """Does several things again and again, all at once, and counts how they end."""

    def __init__(self, **works: Callable[[], Awaitable[object]]) -> None:
        self._works = works
        self.ends: Counter[tuple[str, str]] = Counter()
        self._tasks = {asyncio.create_task(self._go_on(name)) for name in works}

    async def _go_on(self, name: str) -> None:
        while True:
            try:
                async with asyncio.timeout(DEADLINE):
                    await self._works[name]()
            except MEANT as error:
                if isinstance(error, tieline.Unavailable) and "too many files open" not in str(error):
                    raise
                self.ends[name, type(error).__name__] += 1
                await asyncio.sleep(0.01)
            else:
                self.ends[name, "done"] += 1

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                over, _ = await asyncio.wait(self._tasks, timeout=0.02)
                for task in over:
                    task.result()

    async def all_are_served(self) -> None:
        self.ends.clear()
        await self.until(lambda: all(self.ends[name, "done"] > 2 for name in self._works))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def descriptors(pid: int) -> set[int]:
    return {int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()}


async def test_during_posts_puts_commands_and_handshakes(
    servers: Servers, owner: Machine, machines: Machines, tmp_path: Path
) -> None:
    server = servers("--allow-shell")
    await server.start()
    ada = machines("ada")
    await ada.out("join", (await owner.out("invite", "ada", "--can", "chat,files,shell")).strip())
    who = login(ada.profile())
    (tmp_path / "x").write_bytes(bytes(300_000))
    async with tieline.connect(**who) as peer, tieline.connect(server.unix) as boss:

        async def put() -> None:
            done = await peer.files.put(tmp_path / "x", "/lab/", inside=True)
            if done.failed:
                raise tieline.Unavailable(done.failed[0].reason)

        async def come() -> None:
            async with tieline.connect(**who):
                pass

        async def run() -> None:
            done = await commands.run(peer, ["sh", "-c", "echo out; echo err >&2; exit 3"])
            assert (done.stdout, done.stderr, done.code) == (b"out\n", b"err\n", 3)

        async def look() -> None:
            await peer.call("files.list", path="/")

        async def terminal() -> None:
            await peer.call("shell.open", argv=["true"])

        async def call() -> None:  # which needs none
            assert await peer.call("echo.upper", text="x") == "X"

        await put()
        calm = len(descriptors(server.pid))
        crowd = Crowd(put=put, come=come, come_too=come, run=run, run_too=run, look=look, terminal=terminal, call=call)
        await crowd.all_are_served()
        _, most = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        for left in (0, 2, 5):
            crowd.ends.clear()
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (calm + left, most))
            await crowd.until(lambda: crowd.ends["run", "Overloaded"] > 5 and crowd.ends["call", "done"] > 20)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (most, most))
        await crowd.all_are_served()
        await crowd.stop()
        async with asyncio.timeout(DEADLINE):
            # Those of sessions that ended a moment ago, and of lanes, are given back; what stays is what was there.
            while len(descriptors(server.pid)) > calm + 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            entries = await boss.call("audit.list", limit=1000)
            while any(entry["ended"] is None for entry in entries):
                entries = await boss.call("audit.list", limit=1000)
    assert "Traceback" not in server.said
    assert await server.end() == 0
