"""Tieline's topics for the lean fan-out clients: logs in with Tieline's own session, then hands over the bare socket.

One publisher streams its messages with one call; each is published to a topic that 100 or 1,000 are subscribed to.
"""

import socket
import ssl
import time
from pathlib import Path

from msgspec import Raw

from tieline.limits import DEFAULT
from tieline.wire.frames import Kind, frame
from tieline.wire.messages import VERSIONS, Auth, Call, Event, Hello, encode
from tieline.wire.moves import Side
from tieline.wire.session import Session

from .certificate import Certificate
from .peers.dialling import dial, secure
from .processes import Server, start_python
from .tieline_peer import FIRST_POSITION, TOPIC

WINDOW = 1280
"At 98 bytes of credit each, half the publisher's credit: the server always grants in time, and nobody need read it."

FIRST_CHANNEL = 1
ALPN = "tieline/1"


def start(folder: Path, certificate: Certificate | None) -> Server:
    return start_python("tieline", *(["--tls", str(certificate.cert.parent)] if certificate else []))


def subscribe(port: int, tls: ssl.SSLContext | None, index: int) -> socket.socket:
    link = Opening(port, tls)
    link.log_in(f"reader{index}")
    link.session.call(encode(Call("topics.subscribe", Raw(encode({"topic": TOPIC})))))
    link.expect(Kind.RESULT)
    return link.sock


def publisher(port: int, tls: ssl.SSLContext | None) -> socket.socket:
    link = Opening(port, tls)
    link.log_in("writer")
    link.session.call(encode(Call("bench.publish", Raw(encode({})), streaming=True)), streaming=True)
    link.send()
    return link.sock


def publish(payload: bytes, first: int, count: int) -> bytes:
    return frame(Kind.ITEM, FIRST_CHANNEL, encode(payload.decode())) * count


def delivered(payload: bytes) -> int:
    return len(frame(Kind.EVENT, 0, encode(Event(TOPIC, FIRST_POSITION + 1, payload.decode()))))


class Opening:
    """A blocking socket and Tieline's session, up to where the socket can be used alone."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        if tls:
            tls.set_alpn_protocols([ALPN])
        self.sock = secure(dial(port), tls)
        self.session = Session(Side.CLIENT, DEFAULT, time.monotonic())

    def log_in(self, name: str) -> None:
        self.session.send_turn(Kind.HELLO, encode(Hello(VERSIONS, "bench", DEFAULT.frame, DEFAULT.window)))
        self.expect(Kind.HELLO)
        self.session.send_turn(Kind.AUTH, encode(Auth("ANONYMOUS", name.encode())))
        self.expect(Kind.WELCOME)

    def expect(self, wanted: Kind) -> None:
        self.send()
        while True:
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError(f"closed before {wanted.name} came")
            for kind, _, content in self.session.receive(data, time.monotonic()):
                if kind != wanted:
                    raise ConnectionError(f"{Kind(kind).name} instead of {wanted.name}: {content!r}")
                return

    def send(self) -> None:
        self.sock.sendall(self.session.take())
