import msgspec
import pytest

from tieline.limits import Limits
from tieline.wire.frames import PREFACE, Kind, frame
from tieline.wire.messages import VERSIONS, Auth, Hello, Welcome, encode
from tieline.wire.moves import Side
from tieline.wire.session import Session

SMALL = Limits(frame=1000, login_frame=200, window=500, ping=20.0)


class Ends:
    """A client's and a server's session, logged in; what one says is carried to the other by `carry()`."""

    def __init__(self, limits: Limits = SMALL) -> None:
        self.limits = limits
        self.client, self.server = Session(Side.CLIENT, limits, 0.0), Session(Side.SERVER, limits, 0.0)

    def log_in(self) -> "Ends":
        hello = encode(Hello(VERSIONS, "test", self.limits.frame, self.limits.window, ("X",)))
        self.client.send_turn(Kind.HELLO, hello)
        self.carry()
        self.server.send_turn(Kind.HELLO, hello)
        self.carry()
        self.client.send_turn(Kind.AUTH, encode(Auth("X", b"")))
        self.carry()
        self.server.send_turn(Kind.WELCOME, encode(Welcome("ada", "laptop", (), "lab")))
        self.carry()
        return self

    def carry(self, now: float = 0.0):
        """Both ways once; returns what the server and what the client made of it."""
        at_server = self.server.receive(self.client.take(), now)
        at_client = self.client.receive(self.server.take(), now)
        return at_server, at_client

    def forge(self, kind: int, channel: int, payload: bytes = b"", now: float = 0.0):
        """A frame the client's session would never send."""
        return self.server.receive(frame(kind, channel, payload), now)


@pytest.fixture
def ends():
    return Ends().log_in()


@pytest.fixture
def fresh():
    return Ends()


@pytest.fixture
def make_ends():
    return Ends


def call_payload(method="m", streaming=False, params=b"\x80"):
    return encode((method, msgspec.Raw(params), None, streaming))


@pytest.fixture
def a_call():
    return call_payload()


@pytest.fixture
def preface():
    return PREFACE
