"""`peer.files` of a blocking client: the same names as in `tieline.files`, and a file that is read like any other."""

import io
from collections.abc import Callable, Iterator, Sequence

from tieline.files.api import Entry, Files
from tieline.files.reading import RemoteFile
from tieline.files.syncing import Plan
from tieline.files.tally import Report, Transferred
from tieline.files.targets import Local
from tieline.sync.loop_thread import LoopThread


class BlockingFiles:
    """Made by `tieline.sync.Client`; any thread may use it. `progress` is called in the background thread."""

    def __init__(self, thread: LoopThread, files: Callable[[], Files]) -> None:
        self._thread = thread
        self._files = files

    def on(self, target: str) -> "BlockingFiles":
        """The files of another machine that offers some."""
        return BlockingFiles(self._thread, lambda: self._files().on(target))

    def put(
        self,
        paths: Local | Sequence[Local],
        dest: str = "/",
        *,
        keep: bool = False,
        inside: bool | None = None,
        progress: Report | None = None,
    ) -> Transferred:
        """Send files and folders to the server; see `tieline.files.Files.put`."""
        return self._thread.run(self._files().put(paths, dest, keep=keep, inside=inside, progress=progress))

    def put_stream(
        self, descriptor: int, dest: str, *, keep: bool = False, progress: Report | None = None
    ) -> Transferred:
        """Send what comes from a descriptor to its end, as the file `dest`."""
        return self._thread.run(self._files().put_stream(descriptor, dest, keep=keep, progress=progress))

    def get(
        self,
        paths: str | Sequence[str],
        dest: Local = ".",
        *,
        keep: bool = False,
        wait: bool = False,
        inside: bool | None = None,
        progress: Report | None = None,
    ) -> Transferred:
        """Fetch files and folders from the server; see `tieline.files.Files.get`."""
        return self._thread.run(self._files().get(paths, dest, keep=keep, wait=wait, inside=inside, progress=progress))

    def sync_up(
        self, local: Local, remote: str, *, delete: bool = False, progress: Report | None = None
    ) -> Transferred:
        """Make the folder `remote` the same as `local`."""
        return self._thread.run(self._files().sync_up(local, remote, delete=delete, progress=progress))

    def sync_down(
        self, remote: str, local: Local, *, delete: bool = False, progress: Report | None = None
    ) -> Transferred:
        """The other way round."""
        return self._thread.run(self._files().sync_down(remote, local, delete=delete, progress=progress))

    def plan(self, local: Local, remote: str, *, down: bool = False, delete: bool = False) -> Plan:
        """What a sync would do."""
        return self._thread.run(self._files().plan(local, remote, down=down, delete=delete))

    def list(self, path: str = "/") -> list[Entry]:
        """What is in a folder, by name; of a file, just that."""
        return self._thread.run(self._files().list(path))

    def stat(self, path: str) -> Entry:
        """What lies at a path. Raises NotFound."""
        return self._thread.run(self._files().stat(path))

    def remove(self, path: str, *, whole: bool = False) -> None:
        """Remove a file, a link or an empty folder; with `whole`, a folder with all in it."""
        self._thread.run(self._files().remove(path, whole=whole))

    def make(self, path: str, *, parents: bool = False) -> None:
        """Make a folder; see `tieline.files.Files.make`."""
        self._thread.run(self._files().make(path, parents=parents))

    def move(self, source: str, target: str, *, replace: bool = False) -> str:
        """Rename, or move into the folder `target`; returns the new path."""
        return self._thread.run(self._files().move(source, target, replace=replace))

    def open(self, path: str, *, wait: bool = False) -> "BlockingFile":
        """A file of the server, for reading: `with peer.files.open("/lab/x") as file: file.read(1000)`."""

        async def make() -> RemoteFile:
            return self._files().open(path, wait=wait)

        return BlockingFile(self._thread, self._thread.run(make()))


class BlockingFile(io.RawIOBase):
    """A file object for reading, forward only; each block was verified. `io.BufferedReader` and friends take it."""

    def __init__(self, thread: LoopThread, file: RemoteFile) -> None:
        self._thread = thread
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill as much of the buffer as there is; 0 at the end."""
        data = self._thread.run(self._file.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def blocks(self) -> Iterator[bytes]:
        """Everything that is left, in pieces as they come."""
        while data := self._thread.run(self._file.read(1 << 22)):
            yield data

    @property
    def size(self) -> int | None:
        """Known from the first read on."""
        return self._file.size

    def close(self) -> None:
        """Want no more of it."""
        if not self.closed and self._thread.alive:
            self._thread.run(self._file.close())
        super().close()
