"""The whole of the files service, started and ended together: the tree and its catalogue, lanes, uploads, methods."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from tieline.errors import ConfigError
from tieline.lanes.connection import Lane
from tieline.lanes.server import LaneServer
from tieline.lanes.tokens import Tokens as LaneTokens
from tieline.limits import Limits
from tieline.login.identity import Identity
from tieline.login.records import Account
from tieline.rpc.handlers import Handlers
from tieline.services.files import lane_methods, methods
from tieline.services.files.files import Catalogue as FilesCatalogue
from tieline.services.files.files import Files
from tieline.services.files.spaces import READ, OneSpace, Spaces
from tieline.services.files.transfers import Catalogue as TransfersCatalogue
from tieline.services.files.transfers import Transfers
from tieline.services.files.uploads import Uploads
from tieline.store.files.quota import Quota
from tieline.store.files.tree import Tree

FOLDER = "files"
"Where they lie in the data folder."


class Store(FilesCatalogue, TransfersCatalogue, Protocol):
    """What files need kept, and who there is to put them for."""

    async def accounts(self) -> list[Account]: ...


class Room(msgspec.Struct, frozen=True):
    """What files may take, in bytes: those of one account, and all together. 0 is no bound."""

    each: int = 0
    all: int = 0


MakeLanes = Callable[[LaneTokens, Callable[[Lane, Identity], None]], LaneServer]
"make_lanes(tokens, serve): how lanes are encrypted is not this service's business."


class FileService(msgspec.Struct):
    """Its parts, for the doors of a server."""

    files: Files
    transfers: Transfers
    uploads: Uploads
    lanes: LaneServer


@asynccontextmanager
async def serving(
    handlers: Handlers, store: Store, data: Path | None, make_lanes: MakeLanes, room: Room, limits: Limits
) -> AsyncIterator[FileService]:
    """Serve the files of a data folder, or none for files that are gone at the end. Raises ConfigError."""
    async with AsyncExitStack() as stack:
        if data is None:
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tieline-")))
        spaces = Spaces(_names(store), limits)
        started = _started(data / FOLDER, spaces, store, make_lanes, room, limits)
        service, tokens = await stack.enter_async_context(started)
        methods.install(handlers, service.files, service.transfers.area)
        lane_methods.install(handlers, tokens)
        yield service


@asynccontextmanager
async def offering(
    handlers: Handlers, store: Store, folder: Path, make_lanes: MakeLanes, limits: Limits, *, writes: bool = True
) -> AsyncIterator[FileService]:
    """Offer one folder of a machine that joined, to all who hold the scopes; its lanes come through calls.

    `store` may forget: what it is told is found again by reading. Without `writes` nobody changes anything, whatever he
    may elsewhere. Raises ConfigError.
    """

    def make(tokens: LaneTokens, serve: Callable[[Lane, Identity], None]) -> LaneServer:
        return make_lanes(tokens, serve if writes else lambda lane, identity: serve(lane, _reader(identity)))

    async with _started(folder, OneSpace(limits), store, make, Room(), limits, alone=False) as (service, tokens):
        methods.install_looking(handlers, service.files)
        if writes:
            methods.install_changing(handlers, service.files)
        lane_methods.install(handlers, tokens)
        lane_methods.install_tunnel(handlers, service.lanes)
        yield service


@asynccontextmanager
async def _started(
    root: Path, spaces: Spaces, store: Store, make_lanes: MakeLanes, room: Room, limits: Limits, *, alone: bool = True
) -> AsyncIterator[tuple[FileService, LaneTokens]]:
    """Everything but the methods. `alone`: no other program uses this folder, and all in it is counted."""
    async with AsyncExitStack() as stack:
        tree = await _open(root, limits)
        stack.callback(tree.close)
        quota = Quota(room.each, room.all, tree.space, limits.files_per_account)
        files = Files(tree, store, spaces, quota, limits=limits)
        stack.push_async_callback(files.close)
        await files.start(survey=alone)
        transfers = Transfers(files, store, limits=limits)
        stack.callback(transfers.close)
        await asyncio.to_thread(transfers.start, alone=alone)
        tokens = LaneTokens(limits)
        lanes = make_lanes(tokens, transfers.serve)
        stack.push_async_callback(lanes.close, 0.0)
        yield FileService(files, transfers, Uploads(files, transfers), lanes), tokens


def _reader(identity: Identity) -> Identity:
    """The same, who may read at most."""
    return msgspec.structs.replace(identity, scopes=frozenset({READ} if identity.may(READ) else ()))


async def _open(root: Path, limits: Limits) -> Tree:
    try:
        return await asyncio.to_thread(Tree, root, limits=limits)
    except OSError as error:
        raise ConfigError("files", f"the folder {root} cannot be used: {error.strerror}") from error


def _names(store: Store) -> Callable[[], Awaitable[list[str]]]:
    async def names() -> list[str]:
        """Of all accounts that are not revoked."""
        return [account.name for account in await store.accounts() if account.revoked is None]

    return names
