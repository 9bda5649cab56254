"""The methods datagram.key and datagram.revoke: a key for sealed datagrams, good for as long as the caller's link.

async with tieline.datagrams("udp://:7788", answer, key=keys) as endpoint:
    datagram.install(server.handlers, keys, lambda: endpoint.address)
"""

from collections.abc import Callable
from typing import Protocol

from tieline.errors import Denied, NotFound
from tieline.rpc.handlers import Handlers
from tieline.rpc.peer import Peer
from tieline.wire.sealed import Key

MOST = 16
"Keys that one link may have at a time; one more ends its oldest."


class Keys(Protocol):
    """What is needed of a `tieline.Keyring`."""

    def issue(self, owner: object, address: str = "") -> Key: ...

    def revoke(self, id: bytes) -> bool: ...


def install(handlers: Handlers, keys: Keys, where: Callable[[], str], scope: str | None = None) -> None:
    """For who is logged in, and holds `scope`. `where()` is the endpoint's address as its clients reach it."""
    held: dict[Peer, list[bytes]] = {}

    def forget(peer: Peer) -> None:
        for id in held.pop(peer, []):
            keys.revoke(id)

    @handlers.method("datagram.key", scope=scope)
    def key(peer: Peer) -> Key:
        """A fresh key, its name and the address it is good for. It ends with this link."""
        if not _secret(peer):
            raise Denied("a key is not sent over plain text to another machine; connect with TLS")
        fresh = keys.issue(peer.identity, where())
        mine = held.setdefault(peer, [])
        mine.append(fresh.id)
        if len(mine) > MOST:
            keys.revoke(mine.pop(0))
        if len(mine) == 1:
            peer.on_end(forget)
        return fresh

    @handlers.method("datagram.revoke", scope=scope)
    def revoke(id: bytes, peer: Peer) -> None:
        """End one of the caller's keys before its link ends."""
        mine = held.get(peer, [])
        if id not in mine:
            raise NotFound("this link has no such key; it may have been revoked already", {"id": id.hex()})
        mine.remove(id)
        keys.revoke(id)


def _secret(peer: Peer) -> bool:
    info = peer.link.stream.info if peer.link is not None else None
    return info is not None and (info.kind == "tls" or info.loopback)
