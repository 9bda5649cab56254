"""What commands did, told to the store: noted at once, where it outlives a killed server, then written many at a time.

A note is one write to a file, and no disk is waited for, so it is made before the command starts: not even one that
kills the server is missing from the audit. A commit costs more than `true`, so what was told in a moment shares one. Of
two files one takes notes while what stands in the other is on its way to the store's disk. What the store does not
take, its disk being full, stays noted and is tried again.
"""

import asyncio
import logging
import os
import time
from pathlib import Path
from struct import Struct

import msgspec

from tieline.errors import TielineError, Unavailable
from tieline.limits import MiB
from tieline.store.shell import Begun, ShellStore
from tieline.wire.messages import UNREADABLE, encode

log = logging.getLogger("tieline.shell")
GATHERED = 0.05
"Seconds that what is noted waits for more, to be written together."
AGAIN = 5.0
"Seconds until what the store did not take is tried again."
WAITING = 20_000
"Notes that wait for a store that takes none, at most; what comes then is in the log only."
LARGE = 1 * MiB
"Bytes from which on a file of notes is made small again."
Ended = tuple[str, str, int, str, int]
"id, target, at, outcome, bytes of output"
Lost = tuple[int, str]
"at, target"
_decode = msgspec.msgpack.Decoder(Begun | Ended).decode
_size = Struct(">I")
_LAST = _size.pack(0)


class File:
    """Notes, each behind its size, up to a size of 0: what lies behind that is older. It does not become smaller, since
    to write where the file has its blocks already takes a tenth of the time."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._end = sum(_size.size + len(note) for note in self._notes())

    def add(self, note: Begun | Ended) -> None:
        payload = encode(note)
        try:
            os.pwrite(self._descriptor, _size.pack(len(payload)) + payload + _LAST, self._end)
        except OSError as error:
            log.error("what a command did could not be noted: %s", error)
        else:
            self._end += _size.size + len(payload)

    def read(self) -> list[Begun | Ended]:
        notes: list[Begun | Ended] = []
        for payload in self._notes():
            try:
                notes.append(_decode(payload))
            except UNREADABLE as error:
                log.error("a note of what a command did cannot be read: %s", error)
        return notes

    def clear(self) -> None:
        try:
            if self._end > LARGE:
                os.ftruncate(self._descriptor, 0)
            if self._end:
                os.pwrite(self._descriptor, _LAST, 0)
        except OSError as error:  # they are told once more, which changes nothing
            log.error("notes of what commands did could not be removed: %s", error)
        else:
            self._end = 0

    def close(self) -> None:
        os.close(self._descriptor)

    def _notes(self) -> list[bytes]:
        data = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
        notes, start = [], 0
        while len(data) - start >= _size.size and (length := _size.unpack_from(data, start)[0]):
            start += _size.size
            notes.append(data[start : start + length])
            start += length
        return notes


class Notes:
    """`keep`: entries of each machine that the store keeps. `folder` is for the files; None: nothing outlives us."""

    def __init__(self, store: ShellStore, keep: int, folder: Path | None) -> None:
        self._store = store
        self._keep = keep
        self._files = [] if folder is None else [File(folder / f"audit-{number}.notes") for number in (1, 2)]
        self._loop = asyncio.get_running_loop()
        self._due: list[Begun | Ended | Lost] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[list[BaseException | None]] | None = None
        self._refused = False  # the store did not take the last ones

    async def start(self) -> None:
        """Write what a killed server has left, and that what ran there had its end."""
        for file in self._files:
            self._due += file.read()
        self.lost("")
        await self.written()
        for file in self._files if not self._refused else ():
            file.clear()

    def begun(self, begun: Begun) -> None:
        self._tell(begun)

    def ended(self, ended: Ended) -> None:
        self._tell(ended)

    def lost(self, target: str) -> None:
        """What has not ended there, its end will not be told: the agent, or without a target the server, was killed."""
        self._due.append((int(time.time() * 1000), target))
        self._arm()

    async def written(self) -> None:
        """Until all that was told by now is on the store's disk."""
        if self._writing is not None:
            await asyncio.wait([self._writing])  # which begins with the rest at its end
        self._write()
        if self._writing is not None:
            await asyncio.wait([self._writing])

    async def close(self) -> None:
        """What the store does not take now is told by the next start."""
        await self.written()
        while (self._due or self._writing is not None) and not self._refused:
            await self.written()
        if self._timer is not None:
            self._timer.cancel()
        for file in self._files:
            file.close()
        self._files = []

    # -- inside --------------------------------------------------------------------------------------------------

    def _tell(self, note: Begun | Ended) -> None:
        """A command waits for this to start."""
        if len(self._due) >= WAITING:
            log.error("the audit takes nothing more until it can be written: %s", note)
            return
        if self._files:
            self._files[0].add(note)
        self._due.append(note)
        if self._timer is None:
            self._loop.call_soon(self._arm)

    def _arm(self) -> None:
        if self._timer is None and self._due:
            self._timer = self._loop.call_later(GATHERED, self._write)

    def _store_one(self, told: "Begun | Ended | Lost") -> "asyncio.Future[None]":
        if isinstance(told, Begun):
            return self._store.command_begun(told, self._keep)
        return self._store.commands_lost(*told) if len(told) == 2 else self._store.command_ended(*told)

    def _write(self) -> None:
        """All that is due, unless some is being written: then what is due follows it."""
        if self._writing is not None or not self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due, self._due = self._due, []
        self._files.reverse()
        try:
            self._writing = asyncio.gather(*map(self._store_one, due), return_exceptions=True)
        except TielineError as error:  # the store is closed already
            log.error("the audit could not be written: %s", error)
            return
        self._writing.add_done_callback(lambda done: self._written(due, done.result()))

    def _written(self, due: "list[Begun | Ended | Lost]", errors: list[BaseException | None]) -> None:
        self._writing = None
        again: list[Begun | Ended | Lost] = []
        for told, error in zip(due, errors, strict=True):
            if isinstance(error, Unavailable) or (again and error is None):
                again.append(told)  # an end too that came to nothing, for its beginning was refused
            elif error is not None:
                log.error("the audit could not be written: %s", error)
        self._refused = bool(again)
        if again:
            # Their file is kept, and written on: to tell what is stored already changes nothing.
            log.error("the audit could not be written, and is tried again: %d entries wait", len(again))
            self._due[:0] = again
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(AGAIN, self._write)
            return
        if self._files:
            self._files[1].clear()
        if self._due:
            self._write()
