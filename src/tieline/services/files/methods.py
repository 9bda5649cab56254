"""The methods files.* that look and change; bytes go by lanes and by HTTP."""

from typing import Annotated

import msgspec

from tieline.rpc.handlers import Handlers
from tieline.rpc.peer import Peer
from tieline.services.files.entries import Abandoned, File, FileList, Usage
from tieline.services.files.files import Files
from tieline.services.files.spaces import READ, WRITE
from tieline.store.files.staging_area import StagingArea

Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 53)]


def install(handlers: Handlers, files: Files, area: StagingArea) -> None:
    """All of them. For callers who hold the scopes; where they may do what is `Spaces`' to say."""
    install_looking(handlers, files)
    install_changing(handlers, files)
    install_counting(handlers, files, area)


def install_looking(handlers: Handlers, files: Files) -> None:
    """Those that change nothing."""

    @handlers.method("files.list", scope=READ)
    async def list_(peer: Peer, path: str = "/", after: str = "", limit: Count = 1000) -> FileList:
        """A page of a folder by name, behind `after`; of a file, a page with just that."""
        return await files.list(peer.identity, path, after, limit)

    @handlers.method("files.stat", scope=READ)
    async def stat(path: str, peer: Peer) -> File:
        """What lies at a path."""
        return await files.stat(peer.identity, path)


def install_changing(handlers: Handlers, files: Files) -> None:
    """Those that change names."""

    @handlers.method("files.make", scope=WRITE)
    async def make(path: str, peer: Peer, parents: bool = False) -> None:
        """Make a folder; with `parents`, what lacks on the way too, and it may be there already."""
        await files.make(peer.identity, path, parents=parents)

    @handlers.method("files.remove", scope=WRITE)
    async def remove(path: str, peer: Peer, whole: bool = False) -> str:
        """Remove a file, a link or an empty folder; with `whole`, a folder with all in it. Says what it was."""
        return await files.remove(peer.identity, path, whole=whole)

    @handlers.method("files.move", scope=WRITE)
    async def move(source: str, target: str, peer: Peer, replace: bool = False) -> str:
        """Rename, or move into the folder `target`; with `replace`, over a file. Returns the new path."""
        return await files.move(peer.identity, source, target, replace=replace)


def install_counting(handlers: Handlers, files: Files, area: StagingArea) -> None:
    """Those that say what is taken, where there are quotas."""

    @handlers.method("files.usage")
    async def usage(peer: Peer) -> Usage:
        """What the caller's files take, interrupted ones too, what all take, and what is left."""
        return await files.usage(peer.identity, area)

    @handlers.method("files.abandon", scope=WRITE)
    async def abandon(peer: Peer) -> Abandoned:
        """Remove what is kept of the caller's interrupted uploads: they begin anew."""
        return await files.abandon(peer.identity, area)
