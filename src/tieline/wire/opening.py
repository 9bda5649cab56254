"""The opening of a link, hello and login, strictly in turns: who may say what now, and what the peer says it accepts.

Goes in: every frame of either side until the link is open. What it must not be is a ProtocolError. Pure, and the same
class at both ends.
"""

from tieline.errors import ProtocolError
from tieline.limits import Limits
from tieline.wire.flow import MOST
from tieline.wire.frames import Kind
from tieline.wire.messages import GoAway, Hello, read
from tieline.wire.moves import LINK, LinkState, Side, illegal


class Opening:
    """`state` tells whose turn it is, and when the link is open."""

    __slots__ = ("_limits", "_side", "peer_frame", "peer_window", "state")

    def __init__(self, side: Side, limits: Limits) -> None:
        self.state = LinkState.CLIENT_HELLO
        self.peer_frame = limits.login_frame
        "Bytes of payload the peer accepts in one frame, once the link is open."
        self.peer_window = 0
        "Bytes of credit with which each of our streams to the peer begins."
        self._side = side
        self._limits = limits

    def sent(self, kind: Kind) -> None:
        """It is our turn to say this. Raises ProtocolError(remote=False) when it is not."""
        try:
            self.state = LINK[self.state][self._side, kind]
        except KeyError:
            raise ProtocolError(f"{kind.name} while {self.state.value}", remote=False) from None

    def received(self, kind: int, channel: int, payload: bytes) -> bytes | GoAway | Hello:
        """What the peer's frame says, decoded for HELLO and GOAWAY."""
        other = Side.SERVER if self._side is Side.CLIENT else Side.CLIENT
        try:
            self.state = LINK[self.state][other, Kind(kind)]
        except (KeyError, ValueError):
            raise illegal(kind, f"while {self.state.value}") from None
        if channel:
            raise ProtocolError("frames before the login is done belong to channel 0")
        if kind == Kind.HELLO:
            hello: Hello = read(Hello, payload)
            self.peer_frame = max(
                self._limits.login_frame, min(hello.frame, MOST)
            )  # who claims to accept more is taken to accept this
            self.peer_window = max(1, min(hello.window, MOST))
            return hello
        if kind == Kind.GOAWAY:
            goodbye: GoAway = read(GoAway, payload)
            return goodbye
        return payload

    def skip(self) -> None:
        """Open at once, to a peer with the same limits: the other end of a link within one process."""
        self.state = LinkState.OPEN
        self.peer_frame, self.peer_window = self._limits.frame, self._limits.window
