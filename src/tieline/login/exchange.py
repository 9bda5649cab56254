"""The login, carried over a fresh link in turns: hello, proofs, welcome. Afterwards the link belongs to a peer.

What is proven, and how, is in the step machines `ServerLogin` and `ClientLogin`; this only carries their bytes.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from tieline.errors import LinkClosed, LinkError, LoginError, LoginFailed, ProtocolError, TooManyAttempts
from tieline.limits import Limits
from tieline.link.frame_link import FrameLink
from tieline.login.identity import Identity
from tieline.transports.endpoint import Endpoint
from tieline.wire.frames import Kind
from tieline.wire.messages import VERSIONS, Auth, GoAway, Hello, Welcome, encode, read
from tieline.wire.session import Event


class ServerSteps(Protocol):
    """What the server's side of the exchange needs; `ServerLogin` is it."""

    @property
    def mechanisms(self) -> Sequence[str]: ...

    async def step(self, mechanism: str, data: bytes) -> tuple[bytes | None, Identity | None]: ...


class ClientSteps(Protocol):
    """What the client's side needs; `ClientLogin` is it."""

    @property
    def proven(self) -> bool: ...

    def first(self, mechanisms: Sequence[str]) -> tuple[str, bytes]: ...

    async def step(self, data: bytes) -> bytes | None: ...


class Turns:
    """Owner of a link before it is logged in: one event after the other, awaited."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: LinkError | None = None
        self.heard = False
        "Whether the other side has said anything that is `tieline/1`."

    async def next(self, *kinds: Kind) -> Event:
        """The next event, which must be of one of those kinds. Raises LinkClosed, and what a GOAWAY says."""
        while not self._events:
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        event = self._events.popleft()
        if isinstance(event[2], GoAway):
            raise _refusal(event[2])
        if event[0] not in kinds:
            raise ProtocolError(f"{Kind(event[0]).name} instead of {kinds[0].name}")
        return event

    def rest(self) -> list[Event]:
        """What came after the login in the same read; it belongs to the next owner."""
        return list(self._events)

    def events(self, events: list[Event]) -> None:
        self.heard = True
        self._events.extend(events)
        self._wake()

    def writable(self, yes: bool) -> None:
        pass

    def ended(self, error: LinkError) -> None:
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


async def admit(
    link: FrameLink, turns: Turns, begin: Callable[[Endpoint], ServerSteps], *, agent: str, name: str, limits: Limits
) -> Identity:
    """The server's side: who is calling. Raises LoginError or LinkError; the caller has been told by then.

    `begin` is called when the caller has said hello: nothing is kept for those who say nothing.
    """
    session = link.session
    try:
        hello = _hello(await turns.next(Kind.HELLO))
        login = begin(link.stream.info)
        mine = Hello(VERSIONS, agent, limits.frame, limits.window, tuple(login.mechanisms))
        session.send_turn(Kind.HELLO, encode(mine))
        if not set(hello.versions) & set(VERSIONS):
            raise ProtocolError(f"the caller speaks versions {hello.versions}, this server {VERSIONS}")
        while True:
            link.flush()
            auth: Auth = read(Auth, _bytes(await turns.next(Kind.AUTH)))
            answer, identity = await login.step(auth.mechanism, auth.data)
            if identity is not None:
                break
            session.send_turn(Kind.AUTH, encode(Auth(auth.mechanism, answer or b"")))
    except LoginError as error:
        retry = error.retry_after if isinstance(error, TooManyAttempts) else None
        link.close(str(error), code="login", retry_after=retry)
        raise
    except ProtocolError as error:
        link.close(str(error), code="protocol")
        raise
    if link.ended_with is not None:
        raise link.ended_with
    welcome = Welcome(identity.account, identity.device, tuple(sorted(identity.scopes)), name, answer or b"")
    session.send_turn(Kind.WELCOME, encode(welcome))
    link.flush()
    return identity


async def enter(link: FrameLink, turns: Turns, login: ClientSteps, *, agent: str, limits: Limits) -> Welcome:
    """The client's side: prove oneself, and make the server prove itself. Raises LoginError or LinkError."""
    session = link.session
    session.send_turn(Kind.HELLO, encode(Hello(VERSIONS, agent, limits.frame, limits.window)))
    link.flush()
    hello = _hello(await turns.next(Kind.HELLO))
    mechanism, data = login.first(hello.mechanisms)
    while True:
        session.send_turn(Kind.AUTH, encode(Auth(mechanism, data)))
        link.flush()
        event = await turns.next(Kind.AUTH, Kind.WELCOME)
        if event[0] == Kind.WELCOME:
            welcome: Welcome = read(Welcome, _bytes(event))
            if not login.proven:
                await login.step(welcome.data)
            # The last step proves that the server knew the secret too: without it nothing else is believed.
            if not login.proven:
                raise LoginFailed("the server did not prove itself; somebody may be in between")
            return welcome
        answer: Auth = read(Auth, _bytes(event))
        data = await login.step(answer.data) or b""


def _hello(event: Event) -> Hello:
    assert isinstance(event[2], Hello)
    return event[2]


def _bytes(event: Event) -> bytes:
    assert isinstance(event[2], bytes)
    return event[2]


def _refusal(goaway: GoAway) -> Exception:
    if goaway.code == "login":
        if goaway.retry_after is not None:
            return TooManyAttempts(goaway.retry_after)
        return LoginFailed(goaway.reason.removeprefix("login refused: "))
    return LinkClosed(goaway.reason)
