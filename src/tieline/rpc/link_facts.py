"""What is known of each link right now, as plain numbers: for `tieline status` and whoever else wants to see."""

import msgspec

from tieline.rpc.links import Links
from tieline.rpc.peer import Peer
from tieline.transports.sockets import round_trip


class LinkFacts(msgspec.Struct, frozen=True):
    """One link, as `ss` would show it."""

    account: str
    device: str
    transport: str
    "tcp, tls, unix; lines or http for those who came by a door."
    remote: str
    state: str
    "open; slow while it does not read what waits for it; closing."
    age: float
    "Seconds since the login."
    calls: int
    "Calls of this peer that are being worked on."
    topics: int
    "Topics it follows."
    queue: int
    "Bytes that wait to be sent."
    rtt: float | None
    "Seconds there and back, as the kernel knows it; None where it does not."
    bytes_in: int
    bytes_out: int


def facts(links: Links, account: str | None = None) -> list[LinkFacts]:
    """Of all links, or of one account's; oldest first."""
    return [
        found
        for peer in links
        if account in (None, peer.identity.account) and (found := _facts(peer, links.age(peer))) is not None
    ]


def _facts(peer: Peer, age: float) -> LinkFacts | None:
    link = peer.link
    if link is None:
        return None
    stream, who = link.stream, peer.identity
    door = stream.info.kind == "memory"
    return LinkFacts(
        account=who.account,
        device=who.device,
        transport=who.via if door else stream.info.kind,
        remote=who.address if door else stream.info.remote,
        state="closing" if link.session.closing else "slow" if stream.paused else "open",
        age=age,
        calls=peer.open_work,
        topics=peer.followed,
        queue=stream.buffered(),
        rtt=_round_trip(peer),
        bytes_in=stream.bytes_in,
        bytes_out=stream.bytes_out,
    )


def _round_trip(peer: Peer) -> float | None:
    transport = peer.link.stream.transport if peer.link is not None else None
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or peer.link is None or peer.link.stream.info.kind not in ("tcp", "tls"):
        return None
    microseconds = round_trip(sock)
    return None if microseconds is None else microseconds / 1e6
