"""The methods that open the way to a lane: to the server's own port, or through a call to a machine that has none."""

from collections.abc import AsyncIterator

from tieline.errors import Denied
from tieline.lanes.server import LaneServer
from tieline.lanes.tokens import Tokens
from tieline.lanes.tunnel import taken
from tieline.login.identity import Identity
from tieline.rpc.handlers import Handlers
from tieline.rpc.peer import Peer
from tieline.services.files.spaces import READ, WRITE


def install(handlers: Handlers, tokens: Tokens) -> None:
    """For callers who may read or write files."""

    @handlers.method("files.lane")
    def lane(peer: Peer) -> bytes:
        """A token that opens one lane: a connection of its own for the bytes of files (ALPN `tieline-lane/1`)."""
        _check(peer.identity, "files.lane")
        return tokens.issue(peer)


def install_tunnel(handlers: Handlers, lanes: LaneServer) -> None:
    """For those who reach this machine through its server only."""

    @handlers.method("files.tunnel")
    async def tunnel(peer: Peer, up: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The bytes of one lane, both ways."""
        _check(peer.identity, "files.tunnel")
        async for piece in taken(up, lanes.take):
            yield piece


def _check(identity: Identity, method: str) -> None:
    if identity.guest or not (identity.may(READ) or identity.may(WRITE)):
        raise Denied(identity.refusal(method, READ))
