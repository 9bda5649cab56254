"""A switchboard with callers and machines, all in memory."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
from tests.rpc.conftest import hang_up, log_in

from tieline.limits import Limits
from tieline.rpc.handlers import Handlers
from tieline.rpc.offers import Accepted, Offer
from tieline.rpc.peer import Peer
from tieline.rpc.switchboard import Switchboard

RAW = msgspec.msgpack.encode


@dataclass
class Board:
    """What a server is, as far as calls of machines go."""

    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.switchboard = Switchboard(self.limits)
        self.handlers = Handlers()
        self.ends: list[tuple[Peer, Peer]] = []

        @self.handlers.method("machines.offer")
        def offer(methods: list[Offer], peer: Peer, instance: str = "", changes: int | None = None) -> Accepted:
            machine = self.switchboard.offer(peer, methods, instance)
            return Accepted(self.switchboard.target(machine.account, machine.device), 0)

        @self.handlers.method("here")
        def here() -> str:
            return "at the server"

    async def join(self, device: str, *, account: str = "ada", limits: Limits | None = None, **how: Any) -> Peer:
        """Somebody's client; `seat` tells the server's end of it."""
        pair = await log_in(
            self.handlers,
            limits=self.limits,
            client_limits=limits,
            onward=self.switchboard,
            account=account,
            device=device,
            **how,
        )
        self.ends.append(pair)
        return pair[0]

    async def machine(self, handlers: Handlers, device: str = "lab-1", **how: Any) -> Peer:
        """A machine that serves these."""
        peer = await self.join(device, **how)
        await peer.serve(handlers)
        return peer

    def seat(self, peer: Peer) -> Peer:
        return next(far for near, far in self.ends if near is peer)

    def held(self) -> int:
        """Bytes of streams that wait at the server: in relays, and to be written."""
        streams = [half for _, far in self.ends for half in far._calls.streams.values()]
        sockets = [far.link.stream.buffered() for _, far in self.ends if far.link is not None]
        return sum(getattr(half, "waiting", 0) for half in streams) + sum(sockets)

    def nothing_open(self) -> None:
        """Nothing at the server remembers a call."""
        for _, far in self.ends:
            assert far.open_work == 0
            assert not far._calls.streams
            assert not far._calls.replies
            if far.link is not None:
                assert far.session.open_channels == 0
                assert not far.session._flows
                assert not far.outgoing._followers
        for machine in self.switchboard:
            assert [offering.open for offering in machine.offerings] == [0] * len(machine.offerings)

    async def close(self) -> None:
        for pair in self.ends:
            await hang_up(*pair)
