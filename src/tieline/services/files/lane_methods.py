"""The method that opens the way to a lane."""

from tieline.errors import Denied
from tieline.lanes.tokens import Tokens
from tieline.rpc.handlers import Handlers
from tieline.rpc.peer import Peer
from tieline.services.files.spaces import READ, WRITE


def install(handlers: Handlers, tokens: Tokens) -> None:
    """For callers who may read or write files."""

    @handlers.method("files.lane")
    def lane(peer: Peer) -> bytes:
        """A token that opens one lane: a connection of its own for the bytes of files (ALPN `tieline-lane/1`)."""
        identity = peer.identity
        if identity.guest or not (identity.may(READ) or identity.may(WRITE)):
            raise Denied(identity.refusal("files.lane", READ))
        return tokens.issue(peer)
