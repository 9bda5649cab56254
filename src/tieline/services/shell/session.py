"""A terminal session: a program on a terminal that outlives whoever looks at it, and the newest of what it printed."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import msgspec

from tieline.errors import Denied
from tieline.limits import KiB
from tieline.processes.pipes import PIECE, Reader, Writer
from tieline.processes.ring import Ring
from tieline.processes.spawner import Process
from tieline.processes.terminal import resize
from tieline.processes.told import At, Ended, Left
from tieline.processes.watch import Watching
from tieline.services.shell.recording import Recording
from tieline.services.shell.running import TIDY, ended
from tieline.services.shell.viewer import Viewer

RING = 256 * KiB
"Bytes kept for those who come back: a few thousand lines."


class SessionInfo(msgspec.Struct, frozen=True):
    """A session, as lists show it; times in unix milliseconds."""

    id: str
    account: str
    device: str
    argv: list[str]
    since: int
    driver: str
    "Who drives it; empty while nobody does."
    watchers: int
    watchable: bool
    "Whether others with the scope `shell` may look on."
    rows: int
    columns: int
    position: int
    "Bytes it has printed so far."
    ended: int | None = None
    "When its program ended, if it has."


class Session:
    """`ends` is our end of the terminal, to read and to write. `on_end(session)` is called when its program has ended
    and all is read."""

    def __init__(
        self,
        info: SessionInfo,
        process: Process,
        ends: tuple[int, int],
        on_end: Callable[["Session"], None],
        watch: Watching,
        recording: Recording | None = None,
    ) -> None:
        self._info = info
        self.process = process
        self._ours, typing = ends
        self._on_end = on_end
        self._recording = recording
        self._ring = Ring(RING)
        self._reader = Reader(self._ours, watch)
        self._writer = Writer(typing)
        self._is_open = True  # our end of the terminal
        self._viewers: list[Viewer] = []
        self._driver: Viewer | None = None
        self._moved = asyncio.Event()
        self._detached_since = time.monotonic()
        self.watchable = info.watchable
        self.ended: Ended | None = None
        self._ended_at: int | None = None
        self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def id(self) -> str:
        return self._info.id

    @property
    def account(self) -> str:
        return self._info.account

    @property
    def out(self) -> int:
        """Bytes printed so far."""
        return self._ring.end

    @property
    def idle(self) -> float:
        """Seconds since somebody looked at it."""
        return 0.0 if self._viewers else time.monotonic() - self._detached_since

    @property
    def info(self) -> SessionInfo:
        return msgspec.structs.replace(
            self._info,
            driver=self._driver.who if self._driver is not None else "",
            watchers=sum(not viewer.drives for viewer in self._viewers),
            watchable=self.watchable,
            position=self._ring.end,
            ended=self._ended_at,
        )

    async def look(
        self, position: int | None, who: str, *, drives: bool, keys: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes | At | Left | Ended]:
        """What it printed behind `position` (all that is kept, when None) and prints from now on, then how it ended.

        Who drives takes over from whoever did so before, and types.
        """
        viewer = Viewer(self._ring, position, drives=drives, who=who)
        typing = self._enter(viewer, keys)
        try:
            yield viewer.begin()
            while (piece := await viewer.next()) is not None:
                if drives:
                    self._moved.set()
                yield piece
            yield self.ended if self.ended is not None else Left(viewer.reason)
        finally:
            if typing is not None:
                typing.cancel()
            self._leave(viewer)

    def resize(self, rows: int, columns: int) -> None:
        self._info = msgspec.structs.replace(self._info, rows=rows, columns=columns)
        if self._is_open:
            resize(self._ours, rows, columns)
            if self._recording is not None:
                self._recording.resized(rows, columns)

    def redraw(self) -> None:
        """Somebody else's screen shows it now: programs that fill a screen draw it anew when its size changes."""
        if self._is_open and self._ring.end:
            resize(self._ours, self._info.rows, max(1, self._info.columns - 1))
            resize(self._ours, self._info.rows, self._info.columns)

    def share(self, watchable: bool) -> None:
        """The owner lets others look on, or not any more."""
        self.watchable = watchable
        if not watchable:
            for viewer in self._viewers:
                if not viewer.drives and not viewer.who.startswith(f"{self.account}/"):
                    viewer.leave("its owner lets nobody look on any more")

    def permit(self, account: str, *, watch: bool) -> None:
        """Raises Denied."""
        if account != self.account and not (watch and self.watchable):
            raise Denied(f"this session is {self.account}'s, who lets nobody {'look on' if watch else 'else drive it'}")

    async def close(self) -> None:
        """Its program has been ended: let go of the terminal."""
        self._reader.close()
        for viewer in self._viewers:
            viewer.leave("this machine is closing")
        self._moved.set()
        await asyncio.gather(self._task, return_exceptions=True)

    # -- inside --------------------------------------------------------------------------------------------------

    def _enter(self, viewer: Viewer, keys: AsyncIterator[bytes]) -> asyncio.Task[None] | None:
        if self.ended is not None:
            viewer.leave("")
        self._viewers.append(viewer)
        self._moved.set()
        if not viewer.drives:
            return None
        if self._driver is not None:
            self._driver.leave(f"{viewer.who} has taken the session over")
            self._driver.drives = False
        self._driver = viewer
        return asyncio.get_running_loop().create_task(self._type(viewer, keys))

    def _leave(self, viewer: Viewer) -> None:
        self._viewers.remove(viewer)
        if self._driver is viewer:
            self._driver = None
        if not self._viewers:
            self._detached_since = time.monotonic()
        self._moved.set()

    async def _type(self, viewer: Viewer, keys: AsyncIterator[bytes]) -> None:
        async for data in keys:
            if self._driver is not viewer:
                return
            try:
                await self._writer.write(data)
            except BrokenPipeError:
                return

    async def _run(self) -> None:
        leader = asyncio.ensure_future(self.process.exited)
        # What it left behind would keep the terminal open.
        leader.add_done_callback(lambda _: self.process.end(TIDY))
        while True:
            self._moved.clear()  # before anybody's room is looked at
            if not await self._reader.read(self._printed, self._room):
                break
            if self._room() <= 0:
                await self._moved.wait()
        self._is_open = False
        self._writer.close()
        self.ended = ended(await leader)
        self._ended_at = int(time.time() * 1000)
        if self._recording is not None:
            self._recording.close()
        for viewer in self._viewers:
            viewer.leave("")
        self._on_end(self)

    def _room(self) -> int:
        return PIECE if self._driver is None else max(0, self._driver.room)

    def _printed(self, data: memoryview) -> None:
        self._ring.append(data)
        if self._recording is not None:
            self._recording.printed(bytes(data))
        for viewer in self._viewers:
            viewer.wake()
