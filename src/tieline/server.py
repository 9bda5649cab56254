"""The whole of a server: store, login, services, listeners and doors, started together and drained together.

Used so:

    server = tieline.Server(data=":memory:", guests=True)

    @server.method("greet")
    async def greet(name: str) -> str:
        return f"hello {name}"

    async with server.serving("tcp://127.0.0.1:0") as addresses: ...

What each part does is its own business; this says only which parts there are, and in which order they start and end.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tieline.config import default_name
from tieline.doors.http import HttpDoor, own_hosts
from tieline.doors.http_files import HttpFiles
from tieline.doors.lines import LinesDoor
from tieline.lanes.connection import Lane
from tieline.lanes.server import LaneServer
from tieline.lanes.tokens import Tokens as LaneTokens
from tieline.limits import DEFAULT, Limits
from tieline.link.opening import Routes
from tieline.link.ports import Ports
from tieline.login.accounts import Accounts
from tieline.login.identity import Identity, Via
from tieline.login.server import ServerLogin
from tieline.login.tokens import Tokens
from tieline.rpc import topics as topic_methods
from tieline.rpc.handlers import Handlers
from tieline.rpc.links import Links
from tieline.rpc.peer import Peer
from tieline.rpc.reception import Reception
from tieline.rpc.switchboard import Switchboard
from tieline.rpc.topic import Topic
from tieline.rpc.topics import Topics
from tieline.services import accounts as account_service
from tieline.services import chat, clock, datagram, echo, shell
from tieline.services import files as file_service
from tieline.services import machines as machine_service
from tieline.services import server as server_service
from tieline.services import tokens as token_service
from tieline.services.shell.book import Book
from tieline.store.sqlite import SqliteStore
from tieline.transports.address import parse
from tieline.transports.certificate import ServerCertificate, load, load_or_make, make_certificate, own_names
from tieline.transports.endpoint import Endpoint
from tieline.wire.keyring import Keyring

log = logging.getLogger("tieline.server")
Function = TypeVar("Function", bound=Callable[..., Any])
GUEST_SCOPES = frozenset({"chat"})


class Server:
    """Methods and topics are added before it serves; one server serves once.

    `data` is a folder, or ":memory:" for a server that forgets. `guests` lets callers in who prove nothing, with the
    scope `chat` and the methods that need none. `cert` and `key` are PEM files; without them a self-signed
    certificate is made at the first start. `allow_plain` serves plain text to other machines too. `allow_shell` lets
    accounts with the scope `shell` run commands here, as the user this runs as. `files_quota` and `files_space` bound
    what the files of each account, and of all, may take (bytes, 0 for no bound).
    """

    def __init__(
        self,
        data: str | Path = ":memory:",
        *,
        name: str = "",
        guests: bool = False,
        allow_plain: bool = False,
        allow_shell: bool = False,
        cert: Path | None = None,
        key: Path | None = None,
        files_quota: int = 0,
        files_space: int = 0,
        limits: Limits = DEFAULT,
    ) -> None:
        self.name = name or default_name()
        self.limits = limits
        self.handlers = Handlers()
        self.topics = Topics()
        self.links = Links()
        self.switchboard = Switchboard(limits)
        self.addresses: list[str] = []
        "Where it can be reached, while it serves."
        self.certificate: ServerCertificate
        self.accounts: Accounts
        self.tokens: Tokens
        self.files: file_service.Files
        self._began = False
        self._data = None if str(data) == ":memory:" else Path(data)
        self._guests = GUEST_SCOPES if guests else None
        self._allow_plain = allow_plain
        self._allow_shell = allow_shell
        self._shell: shell.Shell | None = None
        self._cert, self._key = cert, key
        self._room = file_service.Room(files_quota, files_space)
        topic_methods.install(self.handlers, self.topics)

    if not TYPE_CHECKING:  # who checks types would then believe in any name

        def __getattr__(self, name: str) -> Any:
            yet = "" if self.__dict__.get("_began") else " yet: it does not serve (`async with server.serving(…)`)"
            raise AttributeError(f"this server has no {name!r}{yet}")

    def method(
        self, name: str | None = None, *, scope: str | None = None, thread: bool = False
    ) -> Callable[[Function], Function]:
        """Decorator: offer a function as a method; see `Handlers.method`."""
        return self.handlers.method(name, scope=scope, thread=thread)

    def topic(self, name: str, *, scope: str | None = None, latest: bool = False) -> Topic:
        """Offer a topic to publish to: `server.topic("ticks").publish(value)`."""
        return self.topics.add(Topic(name, latest=latest, limits=self.limits), scope=scope)

    def hand_out_keys(self, keys: Keyring, where: Callable[[], str], *, scope: str | None = None) -> None:
        """Let callers ask for keys of a sealed datagram endpoint: the methods `datagram.key` and `datagram.revoke`.

        `where()` is the endpoint's address as its clients reach it, such as `lambda: endpoint.address`.
        """
        datagram.install(self.handlers, keys, where, scope)

    @asynccontextmanager
    async def serving(self, *addresses: str) -> AsyncIterator[list[str]]:
        """Serve on these addresses (none: in this process only), and drain on leaving.

        Gives the addresses as they came out, port 0 replaced. Leaving, as by Ctrl-C, takes no new calls and lets the
        open ones finish, for `Limits.drain` seconds at most. Raises AddressError and ConfigError.
        """
        if self._began:
            raise RuntimeError("a Server serves once; make a new one to serve again")
        self._began = True
        async with AsyncExitStack() as stack:
            await self._start(stack)
            for address in addresses:
                self.addresses += await self._ports.open(parse(address))
            stack.push_async_callback(self._drain)
            yield self.addresses

    async def invite(
        self, account: str, *, can: Iterable[str] | None = None, expires: float = 86_400.0, where: str | None = None
    ) -> str:
        """A ticket for `account`, made when it is new. `expires` in seconds; `where` is the host:port it names.

        Raises Conflict when the account exists and may less, InvalidArgument for names and scopes that are none.
        """
        return await self.accounts.invite(account, can, expires, where or self._ports.reachable(), self.certificate.pin)

    async def door(self, name: str, password: str | None, address: str, via: Via = "lines") -> Peer:
        """A peer for somebody who came by a door with a name and maybe a password. Raises LoginError."""
        if password is not None:
            identity = await self.accounts.verify_password(name, password, address, via)
        else:
            identity = await self.accounts.guest(name, self._guests, address, via)
        return self.admit(identity)

    def admit(self, identity: Identity, handlers: Handlers | None = None) -> Peer:
        """The caller's end of a link within this process, logged in as `identity`; the caller closes it.

        For doors, which have proven who it is, and for tests. `handlers` are what the server may call there.
        """
        return self._reception.door(identity, handlers)

    # -- starting ------------------------------------------------------------------------------------------------

    async def _start(self, stack: AsyncExitStack) -> None:
        store = await stack.enter_async_context(SqliteStore(self._data or ":memory:", limits=self.limits))
        self.certificate = await asyncio.to_thread(self._load_certificate)
        self.accounts = Accounts(store)
        self.tokens = Tokens(store, self.accounts.gate)
        await self.accounts.start()
        await self._start_files(store, stack)
        self._install_services(store)
        self._machines = machine_service.Machines(self.switchboard, store, self.limits)
        machine_service.install(self.handlers, self._machines)
        await self._machines.start()
        stack.push_async_callback(self._machines.close)
        await self._start_shell(store, stack)
        await self._open_doors(stack)

    async def _open_doors(self, stack: AsyncExitStack) -> None:
        """The ways in, which lead nowhere yet: who calls, and for which protocol, is found out at a port."""
        self._reception = Reception(
            self.limits,
            self.handlers,
            self.links,
            self._begin_login,
            name=self.name,
            binding=self.certificate.end_point,
            onward=self.switchboard,
        )
        stack.push_async_callback(self._reception.close)
        self._lines = LinesDoor(self.door, name=self.name, guests=self._guests is not None, limits=self.limits)
        self._http = HttpDoor(self.name, guests=self._guests is not None, hosts=own_hosts(self.certificate.names))
        HttpFiles(self.files, self.uploads, self.tokens, self.limits).install(self._http.app)
        await self._http.start()
        stack.push_async_callback(self._http.close)
        routes = Routes(
            native=self._reception.native,
            http=self._http.protocol,
            lines=self._lines.protocol,
            lane=self.lanes.take,
        )
        self._ports = Ports(routes, self.certificate.context, limits=self.limits, allow_plain=self._allow_plain)
        stack.push_async_callback(self._ports.close)

    async def _start_shell(self, store: SqliteStore, stack: AsyncExitStack) -> None:
        """The rules and the audit are for machines that joined as well."""
        book = Book(
            store,
            self.limits,
            self.accounts.exists,
            lambda account: self._cut(account, None),
            self._machines.away,
            self._data,
        )
        await book.start()
        stack.push_async_callback(book.close)
        book.install(self.handlers, self.switchboard.offers)
        self.switchboard.permit = book.permit
        self._machines.on_new_agent = book.lost
        if self._allow_shell:
            self._shell = await stack.enter_async_context(
                shell.serving(
                    self.handlers,
                    self.limits,
                    rules=book,
                    audit=book,
                    recordings=self._data / "recordings" if self._data is not None else None,
                )
            )

    def _install_services(self, store: SqliteStore) -> None:
        echo.install(self.handlers)
        clock.install(self.handlers)
        account_service.install(self.handlers, self.accounts, self._cut, self.invite, self.limits)
        token_service.install(self.handlers, self.tokens, self._cut)
        chat.install(self.handlers, self.topics, store, self.limits)
        server_service.install(self.handlers, self.links, self.name)

    async def _start_files(self, store: SqliteStore, stack: AsyncExitStack) -> None:
        def make_lanes(tokens: LaneTokens, serve: Callable[[Lane, Identity], None]) -> LaneServer:
            return LaneServer(self.certificate.context(), tokens, serve, self.limits)

        started = file_service.serving(self.handlers, store, self._data, make_lanes, self._room, self.limits)
        service = await stack.enter_async_context(started)
        self.files, self.uploads, self.lanes = service.files, service.uploads, service.lanes

    def _cut(self, account: str, device: str | None = None) -> int:
        """End whatever an account, or one of its devices or tokens, has going on here."""
        self._machines.revised(account, device)
        self.lanes.cut(account, device)
        count = self.links.cut(account, device)
        if self._shell is not None:
            self._shell.end(account, device)
        return count

    def _load_certificate(self) -> ServerCertificate:
        if self._cert is not None:
            return load(self._cert, self._key)
        if self._data is None:
            return ServerCertificate(*make_certificate(own_names()))
        return load_or_make(self._data, own_names)

    def _begin_login(self, endpoint: Endpoint) -> ServerLogin:
        return ServerLogin(
            self.accounts,
            endpoint.kind,
            endpoint.binding,
            uid_is_ours=endpoint.uid == os.getuid(),
            address=endpoint.host,
            guests=self._guests,
        )

    # -- stopping ------------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """No new callers, no new calls; what is open may finish, within `limits.drain` seconds."""
        await self._ports.close()
        await self._lines.close()
        await asyncio.gather(
            self.links.drain("the server is closing", self.limits.drain), self.lanes.close(self.limits.drain)
        )
