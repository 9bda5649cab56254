"""A logged-in peer that comes back by itself.

async with tieline.connect("tcp://127.0.0.1:7788") as peer:
    await peer.call("greet", name="Ada", timeout=2)
"""

import asyncio
import logging
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING

import msgspec

from tieline import profiles
from tieline.errors import (
    AddressError,
    ConfigError,
    DeadlineExceeded,
    DialFailed,
    LinkClosed,
    LinkError,
    LoginError,
    ProtocolError,
    TielineError,
    TooManyAttempts,
)
from tieline.limits import DEFAULT, Limits
from tieline.link.dial import OPENINGS, backoff, dial_stream
from tieline.link.frame_link import FrameLink
from tieline.login.client import ClientLogin
from tieline.login.credential import Credential
from tieline.login.exchange import Turns, enter
from tieline.login.identity import Identity
from tieline.login.strangers import greeted, stranger
from tieline.rpc.handlers import Handlers
from tieline.rpc.peer import Peer
from tieline.transports.address import Address, parse
from tieline.version import AGENT
from tieline.wire.moves import Side

if TYPE_CHECKING:
    from tieline.files import Files
    from tieline.rpc.served import Served

log = logging.getLogger("tieline.client")
STEADY = 1.0
"Seconds a link must have lived for its loss to be answered at once."
_NOBODY = Identity("", "", frozenset(), "native", "")


class Client(Peer):
    """A Peer whose lost link is dialled again, with growing pauses, until `close()` or until the login is refused.

    Made by `tieline.connect`. Calls made meanwhile wait for the new link as long as their timeout allows;
    subscriptions go on at their position. Calls that were open fail with LinkClosed, unless made with `retry=True`.
    """

    comes_back = True

    def __init__(
        self,
        address: Address,
        credential: Credential,
        *,
        limits: Limits = DEFAULT,
        handlers: Handlers | None = None,
    ) -> None:
        super().__init__(limits, handlers if handlers is not None else Handlers(), _NOBODY)
        self.address = address
        self.server_name = ""
        "What the server calls itself."
        self._credential = credential
        self._closing = False
        self._final: TielineError | None = None
        self._redialling: asyncio.Task[None] | None = None
        self._over = asyncio.Event()
        self._up_since = 0.0
        self._files: Files | None = None
        self.on_link: Callable[[str], None] | None = None
        "Called with a sentence when the link is lost or back; for those who want to say so to a person."

    @property
    def files(self) -> "Files":
        """Files of the server: `put`, `get`, `list`, `open`."""
        if self._files is None:
            from tieline.files import Files  # most who connect move no files, and start faster without

            self._files = Files(self)
        return self._files

    async def open(self) -> None:
        """The first link. Raises what went wrong: DialFailed, PinMismatch, LoginError."""
        async with asyncio.timeout(self.limits.opening * 2):
            for left in reversed(range(OPENINGS)):
                try:
                    await self._link_up()
                    return
                except LinkError as error:
                    if not left or not greeted(error.__cause__):
                        raise

    async def close(self, reason: str = "closed by this side", *, code: str = "closing") -> None:
        """Say goodbye and do not come back."""
        self._closing = True
        self._over.set()
        self._line.moved()
        if self._redialling is not None:
            self._redialling.cancel()
            with suppress(asyncio.CancelledError):
                await self._redialling
        link = self._link
        if link is not None:
            gone = asyncio.Event()
            self.on_end(lambda _: gone.set())
            link.close(reason, code=code)
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await gone.wait()
        if self._feeds is not None:
            self._feeds.link_lost(LinkClosed(reason), comes_back=False)

    async def over(self) -> None:
        """Wait until this client will not come back: it was closed, or the server refused it, which is then raised."""
        await self._over.wait()
        if self._final is not None:
            raise self._final

    # -- for the rest of Tieline ---------------------------------------------------------------------------------

    def disown(self) -> None:
        """In a forked child: forget the link without a word on it, for it belongs to the parent."""
        self._closing, self._redialling = True, None
        link, self._link = self._link, None
        transport = link.stream.transport if link is not None else None
        if transport is not None:
            # Nothing that still runs here can then write to it, and the link ends when the parent ends it.
            with open(os.devnull, "r+b") as nowhere:
                os.dup2(nowhere.fileno(), transport.get_extra_info("socket").fileno())

    def ended(self, error: LinkError) -> None:
        super().ended(error)
        if self._closing:
            return
        if self.on_link is not None:
            self.on_link(f"{error}; trying again")
        self._redialling = self._loop.create_task(self._redial())

    async def _link_up(self) -> None:
        turns = Turns()
        link = FrameLink(Side.CLIENT, self.limits, turns)
        stream = await dial_stream(self.address, link, limits=self.limits)
        try:
            login = ClientLogin(self._credential, stream.info.binding)
            welcome = await enter(link, turns, login, agent=AGENT, limits=self.limits)
        except (LinkClosed, ProtocolError) as error:
            link.stream.abort()
            if turns.heard:
                raise
            raise stranger(self.address, error) from error
        except BaseException:  # cancelled too: the link is nobody's yet, so only we can end it
            link.stream.abort()
            raise
        self.identity = Identity(
            welcome.account, welcome.device, frozenset(welcome.scopes), "native", self.address.where
        )
        self.server_name = welcome.server
        self.use(link)
        self.events(turns.rest())
        if link.ended_with is not None:
            self.ended(link.ended_with)
            return
        self._up_since = self._loop.time()
        self._line.moved()
        if self._served is not None:
            await self._offer_again(self._served)
        if self._feeds is not None:
            await self._feeds.link_back()

    async def _offer_again(self, served: "Served") -> None:
        try:
            await served.offer()
        except LinkError:
            pass  # lost again: the next link begins anew
        except TielineError as error:
            log.warning("%s does not take what is served here any more: %s", self.address, error)
            if self.on_link is not None:
                self.on_link(f"the server does not take what is served here any more: {error}")

    async def _redial(self) -> None:
        # A link that is lost as soon as it is there would otherwise be dialled again without a pause.
        first = 0 if self._loop.time() - self._up_since > STEADY else 1
        for attempt in count(first):
            await asyncio.sleep(backoff(attempt, random.random()))
            try:
                async with asyncio.timeout(self.limits.opening * 2):
                    await self._link_up()
            except TooManyAttempts as error:
                # Those were strangers who guess at our name: we were let in before.
                await asyncio.sleep(error.retry_after)
            except LoginError as error:
                # The server is there and does not want us: trying again would only look like an attack.
                self._give_in(error)
                return
            except (LinkError, OSError, TimeoutError) as error:
                log.debug("redial of %s failed: %s", self.address, error)
            else:
                if self.on_link is not None:
                    self.on_link("back again")
                return

    def _give_in(self, error: TielineError) -> None:
        self._final = error
        self._over.set()
        self._line.moved()
        if self._feeds is not None:
            self._feeds.link_lost(error, comes_back=False)

    async def _linked(self, timeout: float | None, turn: int) -> FrameLink:
        try:
            async with asyncio.timeout(timeout):
                await self._line.wait(turn, self._settled)
        except TimeoutError:
            raise DeadlineExceeded(f"{self.address} could not be reached in time; the call was not made") from None
        if self._final is not None:
            raise self._final
        if self._closing or self._link is None:
            raise LinkClosed("this client is closed")
        return self._link

    def _settled(self) -> bool:
        """There is a link to call over, or there will be none."""
        usable = self._link is not None and not self._link.session.closing
        return usable or self._closing or self._final is not None


def choose_credential(
    where: Address,
    *,
    account: str | None = None,
    device: str | None = None,
    key: str | None = None,
    password: str | None = None,
) -> Credential:
    """What to log in with, from what is at hand: key, password, ticket, Unix socket, else as a guest."""
    name = account or where.account
    if key is not None:
        if not name or not device:
            raise ConfigError("key", "a device key goes with account= and device=")
        return Credential.key(name, device, key)
    if password is not None:
        if not name:
            raise ConfigError("password", "a password goes with account=")
        return Credential.password(name, password)
    if where.secret:
        return Credential.ticket(where.secret)
    if where.scheme == "unix":
        return Credential.local(name)
    return Credential.guest(name)


@asynccontextmanager
async def connect(
    address: str = "",
    *,
    profile: str | None = None,
    account: str | None = None,
    device: str | None = None,
    key: str | None = None,
    password: str | None = None,
    pin: str | None = None,
    handlers: Handlers | None = None,
    limits: Limits = DEFAULT,
) -> AsyncIterator[Client]:
    """A client of the server at `address`, logged in; leaving the block closes it.

    `address` is `tieline://host/account?pin=…` or a ticket, `tls://…`, `tcp://…` (its own machine only) or
    `unix:/path`. Without `key` or `password` it comes as whoever it is (Unix socket), with the ticket, or as a guest.
    `profile` is one that `tieline join` has written (its first is "default"), and says all of this.
    `handlers` are methods the server may call here. All of it may take twice `Limits.opening` seconds (20 s).
    Raises DialFailed, PlainRefused, PinMismatch, LoginFailed, AddressError.
    """
    if profile is not None:
        known = profiles.known(profile)
        address, account, device, key = address or known.address, known.account, known.device, known.key
        pin = known.pin or None
    elif address == "":
        raise AddressError(
            "address", 'is empty; give one, or a profile that `tieline join` has written: profile="default"'
        )
    where = parse(address)
    if pin is not None:
        where = msgspec.structs.replace(where, pin=pin)
    credential = choose_credential(where, account=account, device=device, key=key, password=password)
    client = Client(where, credential, limits=limits, handlers=handlers)
    try:
        await client.open()
    except TimeoutError:
        raise DialFailed(where.where, "no answer in time") from None
    try:
        yield client
    finally:
        await client.close()
