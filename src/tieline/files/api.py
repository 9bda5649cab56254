"""`peer.files`: what a client does with the files of its server.

await peer.files.put("report.pdf", "/lab/")
await peer.files.get("/lab/data", "here/")
async with peer.files.open("/lab/report.pdf") as file:
    head = await file.read(1024)
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tieline.errors import Conflict, Denied, NotFound, Unavailable
from tieline.files.globs import expanded, is_pattern
from tieline.files.local import LocalDestination, LocalRoot, PipeRoot, counted
from tieline.files.reading import RemoteFile
from tieline.files.syncing import Plan, planned, sync
from tieline.files.tally import Report, Tally, Transferred
from tieline.files.targets import Local, all_different, joined, last_name, local_folder, name_of, several, shown_below
from tieline.files.transfer import Transfer
from tieline.lanes.connection import Lane
from tieline.lanes.dial import dial_lane
from tieline.lanes.receiving import Receiver
from tieline.lanes.sending import Sender
from tieline.store.files import names
from tieline.store.files.names import Parts
from tieline.store.files.trouble import on_this_machine
from tieline.wire.lane_messages import Get, Put

if TYPE_CHECKING:
    from tieline.client import Client

_TOKEN_WAIT = 60.0
"Seconds a transfer waits for the link to come back before that counts as one more failure."

_Paths = list[str]
"`list` is a method there."


class Entry(msgspec.Struct, frozen=True):
    """One entry of a folder on the server. Times in unix milliseconds; `size` in bytes."""

    name: str
    kind: str
    "file, folder, link, or other."
    size: int
    modified: int
    mode: int = 0
    digest: str = ""
    "BLAKE3 in hex; empty while the server does not know it."
    by: str = ""
    at: int = 0
    target: str = ""


class Files:
    """One for each client, as `peer.files`. Local paths are of this machine, remote ones begin with `/`."""

    def __init__(self, client: "Client", target: str = "") -> None:
        self._client = client
        self._target = target
        self._at = f"{target}/" if target else ""

    def on(self, target: str) -> "Files":
        """The files of another machine that offers some (`tieline agent --allow files`), reached through the server."""
        return Files(self._client, target)

    async def put(
        self,
        paths: Local | Sequence[Local],
        dest: str = "/",
        *,
        keep: bool = False,
        inside: bool | None = None,
        progress: Report | None = None,
    ) -> Transferred:
        """Send files and folders to the server; returns when all of it is stored there, whole and verified.

        `dest` is a folder when it ends with a slash, is one, or there are several paths; else the new name. `inside`
        says which it is without looking. `keep` replaces no file. A lost connection is gone on with; files that are
        there already, the same in size and time, are passed over. What could not be stored, or was not here, is in
        `failed` and raises nothing: `(await peer.files.put(…)).check()` does.
        """
        local = [Path(path) for path in several(paths)]
        into = await self._is_into(dest, local, inside)
        targets = [joined(dest, name_of(path)) if into else dest for path in local]
        all_different(targets, names.key)
        tally = Tally(lambda root, path: shown_below(str(local[root]), path), self._reporting(progress))
        if progress is not None:
            tally.total_files, tally.total_bytes = await asyncio.to_thread(counted, local)

        def work(lane: Lane) -> None:
            lane.say(Put(targets, keep))
            sender = Sender(lane, [LocalRoot(path) for path in local], tally, self._client.limits)
            sender.learn()
            sender.run()

        return await self._transfer(tally).run(work)

    async def get(
        self,
        paths: str | Sequence[str],
        dest: Local = ".",
        *,
        keep: bool = False,
        wait: bool = False,
        inside: bool | None = None,
        progress: Report | None = None,
    ) -> Transferred:
        """Fetch files and folders from the server, each whole and verified before it has its name here.

        `dest` and `inside` are as with `put`; paths may be patterns (`/lab/*.csv`). `wait` follows files that are still
        on their way to the server. Raises NotFound for a pattern that fits nothing; whatever else could not be had, a
        path with nothing there among it, is in `failed`, as with `put`.
        """
        remote = await self.matching([paths] if isinstance(paths, str) else paths)
        report = self._reporting(progress)
        where, into = local_folder(dest, len(remote), inside)
        targets: list[Parts] = [(last_name(path),) if into else (Path(dest).name,) for path in remote]
        if inside is False and Path(dest).is_dir():
            where, targets = Path(dest), [() for _ in remote]
        if any(targets):
            all_different(["/".join(target) for target in targets])
        tally = Tally(lambda root, path: shown_below(remote[root] if 0 <= root < len(remote) else "?", path), report)
        destination = await asyncio.to_thread(
            LocalDestination, where, targets, server=self._whose(), keep=keep, limits=self._client.limits
        )

        def work(lane: Lane) -> None:
            on_this_machine(str(destination.where))
            lane.say(Get(remote, wait))
            receiver = Receiver(lane, destination, tally, self._client.limits)
            receiver.tell(destination.seen())
            end = receiver.run()
            tally.ended(end.same, end.same_bytes)

        try:
            return await self._transfer(tally).run(work)
        finally:
            await asyncio.to_thread(destination.close)

    async def put_stream(
        self, descriptor: int, dest: str, *, keep: bool = False, progress: Report | None = None
    ) -> Transferred:
        """Send what comes from a descriptor (a pipe, standard input) until its end, as the file `dest`.

        A lost connection is gone on with here too: what is not verified yet is held in memory, 16 MiB at most.
        """
        root = PipeRoot(descriptor)
        tally = Tally(lambda _, path: dest, self._reporting(progress))

        def work(lane: Lane) -> None:
            lane.say(Put([dest], keep))
            sender = Sender(lane, [root], tally, self._client.limits)
            sender.learn()
            sender.run()

        return await self._transfer(tally).run(work)

    def open(self, path: str, *, wait: bool = False) -> RemoteFile:
        """A file of the server, for reading: `async with peer.files.open("/lab/x") as file: await file.read(1000)`.

        Each block is verified before it is handed out. `wait` follows a file that is still on its way to the server.
        """
        tally = Tally(lambda _, __: path, None)
        return RemoteFile(path, self._transfer(tally), tally, self._client.limits, wait=wait)

    async def list(self, path: str = "/") -> list[Entry]:
        """What is in a folder, by name; of a file, just that."""
        return [entry async for entry in self.entries(path)]

    async def entries(self, path: str = "/") -> AsyncIterator[Entry]:
        """The same one by one, for large folders."""
        after: str | None = ""
        while after is not None:
            page: dict[str, Any] = await self._client.call(f"{self._at}files.list", retry=True, path=path, after=after)
            for entry in msgspec.convert(page["entries"], list[Entry]):
                yield entry
            after = page["next"]

    async def matching(self, paths: Iterable[str]) -> "_Paths":
        """The paths themselves, and in place of patterns what there is. Raises NotFound for one that fits nothing."""
        return [each for path in paths for each in (await expanded(self, path) if is_pattern(path) else [path])]

    async def remove(self, path: str, *, whole: bool = False) -> None:
        """Remove a file, a link or an empty folder; with `whole`, a folder with all in it."""
        await self._client.call(f"{self._at}files.remove", path=path, whole=whole)

    async def make(self, path: str, *, parents: bool = False) -> None:
        """Make a folder; with `parents`, what lacks on the way too, and it may be there already. `put` needs none."""
        await self._client.call(f"{self._at}files.make", path=path, parents=parents)

    async def move(self, source: str, target: str, *, replace: bool = False) -> str:
        """Rename, or move into the folder `target`; with `replace`, over a file. Returns the new path."""
        return await self._client.call(
            f"{self._at}files.move", source=source, target=target, replace=replace, returns=str
        )

    async def sync_up(
        self, local: Local, remote: str, *, delete: bool = False, progress: Report | None = None
    ) -> Transferred:
        """Make the folder `remote` the same as `local`: what differs in size or time is sent. With `delete`, what is
        only there goes away."""
        return await sync(self, Path(local), remote, down=False, delete=delete, progress=progress)

    async def sync_down(
        self, remote: str, local: Local, *, delete: bool = False, progress: Report | None = None
    ) -> Transferred:
        """The other way round."""
        return await sync(self, Path(local), remote, down=True, delete=delete, progress=progress)

    async def plan(self, local: Local, remote: str, *, down: bool = False, delete: bool = False) -> Plan:
        """What `sync_up` (or `sync_down`) would do."""
        return await planned(self, Path(local), remote, down=down, delete=delete)

    async def stat(self, path: str) -> Entry:
        """What lies at a path. Raises NotFound."""
        found: Entry = await self._client.call(f"{self._at}files.stat", retry=True, path=path, returns=Entry)
        return found

    # -- inside --------------------------------------------------------------------------------------------------

    def _transfer(self, tally: Tally) -> Transfer:
        return Transfer(self._dial(), lambda: self._token(tally), tally, self._client.limits)

    def _dial(self) -> Callable[[bytes], Lane]:
        client, limits = self._client, self._client.limits
        if not self._target:
            return lambda token: dial_lane(client.address, token, limits)
        from tieline.lanes.tunnel import dial_through

        loop = asyncio.get_running_loop()
        return lambda token: dial_through(client, f"{self._at}files.tunnel", token, loop, limits)

    def _whose(self) -> str:
        """Where what is fetched comes from: parts of it are not mixed with another's."""
        where = self._client.address.where
        return f"{where} {self._target}" if self._target else where

    async def _token(self, tally: Tally) -> bytes:
        method = f"{self._at}files.lane"
        try:
            token: bytes = await self._client.call(method, retry=True, timeout=_TOKEN_WAIT, returns=bytes)
        except NotFound as error:
            if not tally.attempts:
                raise
            raise Unavailable(f"{self._target} shares no files any more; it may come back") from error
        return token

    def _reporting(self, progress: Report | None) -> Report | None:
        if progress is None:
            return None
        loop = asyncio.get_running_loop()
        return lambda now: _soon(loop, progress, now)

    async def _is_into(self, dest: str, local: Sequence[Path], inside: bool | None) -> bool:
        names.parse(dest)
        if inside is not None:
            return inside
        if len(local) > 1 or dest.endswith("/"):
            return True
        try:
            kind = (await self.stat(dest)).kind
        except (NotFound, Denied):  # who may only write does not get to know
            return False
        if kind != "folder" and await asyncio.to_thread(local[0].is_dir):
            raise Conflict(f"there is a {kind} at {dest} already, and a folder does not take its place")
        return kind == "folder"


def _soon(loop: asyncio.AbstractEventLoop, report: Report, now: Any) -> None:
    try:
        loop.call_soon_threadsafe(report, now)
    except RuntimeError:
        pass  # the loop is closed
