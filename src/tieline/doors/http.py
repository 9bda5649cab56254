"""The HTTP door: an aiohttp application on sockets the listener hands over. Reveals no account, room or version.

Add routes to `app` before `start()`. A caller's opening is done with its first whole request; until then the listener's
deadline runs, so slow headers are cut there.
"""

import asyncio
import base64
import hashlib
import html
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Collection
from http import HTTPStatus
from importlib import resources
from string import Template
from typing import Protocol, cast

from aiohttp import web

from tieline.limits import KiB

KEEP_ALIVE = 30.0
"Seconds an idle connection is kept for the next request, its headers included."
HEADER_SIZE = 8 * KiB
"Bytes. Longest request line, and longest single header; aiohttp takes 128 headers at most."
BODY_SIZE = 1024 * KiB
"Bytes. Largest body a handler gets whole; what is larger is streamed by handlers made for it."
LINGER = 2.0
"Seconds. How long the rest of a body nobody wanted is read, so that the answer arrives."

_HEADERS = {
    "Server": "tieline",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Opening(Protocol):
    """What is needed of a connection whose caller is not known yet."""

    tls: bool
    host: str
    loopback: bool

    def done(self) -> None: ...


class HttpDoor:
    """One for a server. `protocol` is what the listener's routes want; `hosts` says which names are ours."""

    def __init__(
        self, name: str = "tieline", *, guests: bool = False, hosts: Callable[[str], bool] | None = None
    ) -> None:
        self.app = web.Application(middlewares=[self._greet], client_max_size=BODY_SIZE)
        self.app.on_response_prepare.append(_dress)
        self.app.router.add_get("/healthz", _healthz)
        self.app.router.add_get("/", self._welcome)
        self._name = name
        self._guests = " Guests give any name and no password." if guests else ""
        self._hosts = hosts if hosts is not None else own_hosts()
        self._page, self._policy = _load_page()
        self._runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=LINGER)

    async def start(self) -> None:
        await self._runner.setup()

    async def close(self) -> None:
        """Idle connections close at once, requests being answered within `LINGER` seconds."""
        await self._runner.cleanup()

    def protocol(self, opening: Opening) -> asyncio.BaseProtocol:
        """A fresh protocol for one connection."""
        server = self._runner.server
        if server is None:
            raise RuntimeError("the HTTP door is not started")
        return _Conversation(server, opening)

    @web.middleware
    async def _greet(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        opening_of(request).done()
        # A page elsewhere can point a name of its own at this address (DNS rebinding): only our names are answered.
        if not self._hosts(_host_of(request)):
            raise web.HTTPMisdirectedRequest(text="This server does not answer to that name.\n")
        if (wrong := request.match_info.http_exception) is not None:
            wrong.text = f"{wrong.text}\n"  # or the prompt of whoever uses curl stands behind it
        return await handler(request)

    async def _welcome(self, request: web.Request) -> web.Response:
        host, port = _host_of(request) or "HOST", _port_of(request)
        opening = opening_of(request)
        # From elsewhere no password is taken in plain text, even where a page may be.
        plain = opening.loopback and not opening.tls
        person = f"nc {host} {port}" if plain else f"openssl s_client -quiet -connect {_bracketed(host)}:{port}"
        text = self._page.substitute(name=html.escape(self._name), person=html.escape(person), guests=self._guests)
        headers = {"Content-Security-Policy": self._policy, "Cache-Control": "no-cache"}
        return web.Response(text=text, content_type="text/html", headers=headers)


class _Conversation(web.RequestHandler):
    """aiohttp's protocol, which knows its opening, blames callers quietly, and tells no version even then."""

    __slots__ = ("opening",)

    def __init__(self, server: web.Server, opening: Opening) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]
            keepalive_timeout=KEEP_ALIVE,
            tcp_keepalive=False,  # the listening socket's options say it already
            max_line_size=HEADER_SIZE,
            max_field_size=HEADER_SIZE,
            lingering_time=LINGER,
        )
        self.opening = opening

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status >= 500:
            response = super().handle_error(request, status, exc, message)
        elif request.writer.output_size > 0:
            raise ConnectionError("the answer had begun already")
        else:  # their fault, and no news: neither logged nor quoted back
            response = web.Response(status=status, text=f"{status}: {HTTPStatus(status).phrase}\n")
            response.force_close()
        response.headers.update(_HEADERS)
        return response


def opening_of(request: web.Request) -> Opening:
    return cast(_Conversation, request.protocol).opening


def own_hosts(names: Collection[str] = ()) -> Callable[[str], bool]:
    """Says whether a Host header (without port) is ours: an IP address, localhost, this machine's name or one given.

    A name may be `*.lab.example`, as in certificates: any one name before the dot.
    """
    machine = socket.gethostname().lower()
    ours = {"localhost", machine, machine.partition(".")[0], *(name.lower() for name in names)}
    ours |= {f"{name}.local" for name in ours}

    def is_ours(host: str) -> bool:
        host = host.lower().rstrip(".")
        known = host in ours or f"*.{host.partition('.')[2]}" in ours
        return not host or known or host.endswith(".localhost") or _is_address(host)

    return is_ours


async def _healthz(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"}, headers={"Cache-Control": "no-store"})


async def _dress(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


def _load_page() -> tuple[Template, str]:
    """The page and its policy: nothing is loaded, nothing runs, and only this very style applies."""
    text = resources.files("tieline.doors").joinpath("welcome.html").read_text("utf-8")
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = hashlib.sha256(style[1].encode() if style else b"").digest()
    sha256 = base64.b64encode(digest).decode()
    nothing = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return Template(text), f"{nothing}; style-src 'sha256-{sha256}'"


# Not request.host: without the header that looks up this machine's full name, which may block.
def _host_of(request: web.Request) -> str:
    """The Host header without its port; empty when there is none (HTTP/1.0)."""
    # RFC 9112, 3.2.2: a request line with a whole URL goes before the header.
    if request._message.url.absolute:
        return request._message.url.host or ""
    host = request.headers.get("Host", "")
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _port_of(request: web.Request) -> int:
    transport = request.transport
    name = transport.get_extra_info("sockname") if transport is not None else None
    return int(name[1]) if isinstance(name, tuple) else 0


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host  # a zone may hold anything at all
