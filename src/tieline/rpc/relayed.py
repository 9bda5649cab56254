"""Who calls through a server: what a handler on a machine is given as its `peer`.

Says who it is and whether it is still here; it cannot be called back, and says so to whoever tries.
"""

from collections.abc import Callable
from typing import Any, NoReturn, cast

from tieline.errors import Unavailable
from tieline.limits import Limits
from tieline.link.frame_link import FrameLink
from tieline.login.identity import Identity, Via
from tieline.rpc.handlers import Handlers
from tieline.rpc.peer import Peer
from tieline.rpc.topic import Topic
from tieline.wire.messages import Origin

_NO_HANDLERS = Handlers()


class Relayed(Peer):
    """One link of a caller at the server. It ends with that link, or with our own to the server."""

    __slots__ = ("_here",)

    def __init__(self, limits: Limits, origin: Origin) -> None:
        scopes, via = frozenset(origin.scopes), cast(Via, origin.via)
        super().__init__(limits, _NO_HANDLERS, Identity(origin.account, origin.device, scopes, via, "", origin.guest))
        self._here = True

    @property
    def is_open(self) -> bool:
        """True while the caller has its link to the server, and we have ours."""
        return self._here

    def on_end(self, action: Callable[[Peer], None]) -> None:
        if self._here:
            self._ended.append(action)
        else:
            action(self)

    def gone(self) -> None:
        """The server said that the caller's link is gone, or ours is."""
        self._here = False
        self._run_ended()

    def attach(self, topic: Topic, after: int | None) -> int:
        self._refuse()

    def tell(self, method: str, /, **params: Any) -> None:
        self._refuse()

    async def serve(self, handlers: Handlers, *, revoked: Callable[[str, str | None], None] | None = None) -> str:
        self._refuse()

    async def close(self, reason: str = "closed by this side", *, code: str = "closing") -> None:
        self._refuse()

    def cut(self, reason: str) -> None:
        self._refuse()

    async def _linked(self, timeout: float | None, turn: int) -> FrameLink:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise Unavailable(
            f"{self.identity} calls through the server and cannot be called back over the same way: answer with a "
            "stream, or have it serve() methods of its own and call those by its name"
        )

    def __repr__(self) -> str:
        return f"<Relayed {'open' if self._here else 'closed'} {self.identity}>"
