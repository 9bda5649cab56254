"""Files over HTTP, for curl, wget and whatever speaks it: `/files/…` with ranges, tags and listings; PUT and DELETE.

Who is calling is said by a token in each request (`Authorization: Bearer …`), and by nothing else: no cookie, nothing
in the address, so that no page of another's can make a browser ask for anything. A file is read from one descriptor:
what is sent is one consistent file, whatever happens to its name meanwhile. Links are not followed.
"""

import asyncio
import logging
import os
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from email.utils import formatdate
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, unquote_to_bytes

import msgspec
from aiohttp import web

from tieline.doors.http import opening_of
from tieline.doors.http_conditions import Decision, decide, names_a_tag
from tieline.doors.http_receiving import expected, receive
from tieline.doors.http_sending import Body
from tieline.errors import (
    CallError,
    Conflict,
    Denied,
    InvalidArgument,
    LoginError,
    LoginFailed,
    NotFound,
    Overloaded,
    TooLarge,
    TooManyAttempts,
    Unavailable,
)
from tieline.limits import MiB
from tieline.login.identity import Identity
from tieline.wire.safe_text import safe_text

log = logging.getLogger("tieline.files")
T = TypeVar("T")
PREFIX = "/files"
AT_ONCE = 64
"Requests for files that one account may have going on at a time."
_HALF_CODED = re.compile("%(?![0-9A-Fa-f]{2})")
READ_FIRST = 64 * MiB
"Bytes. A file up to this size that nobody has read yet is first read, to give its tag; a larger one goes without once."
LOOK_AGAIN = 1.0
"Seconds between two looks whether a token is still good, while something is going on with it."

_REFUSALS: tuple[tuple[type[CallError], type[web.HTTPException]], ...] = (
    (InvalidArgument, web.HTTPBadRequest),
    (Denied, web.HTTPForbidden),
    (NotFound, web.HTTPNotFound),
    (Conflict, web.HTTPConflict),
    (TooLarge, web.HTTPInsufficientStorage),
    (Overloaded, web.HTTPServiceUnavailable),
    (Unavailable, web.HTTPServiceUnavailable),
)


class Facts(Protocol):
    """What is needed of an open file's facts."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def mtime_ns(self) -> int: ...


class Reading(Protocol):
    """A file open for reading. `fd` is closed here."""

    @property
    def fd(self) -> int: ...
    @property
    def facts(self) -> Facts: ...
    @property
    def digest(self) -> bytes | None: ...


class Files(Protocol):
    """What is needed of the files: each method does only what this caller may."""

    async def run(self, work: Callable[..., T], *args: Any) -> T: ...

    async def open(self, identity: Identity, path: str) -> Any: ...

    async def digest(self, reading: Any) -> bytes: ...

    def find_digest(self, reading: Any) -> None: ...

    async def list(self, identity: Identity, path: str, after: str = "", limit: int = 1000) -> Any: ...

    async def remove(self, identity: Identity, path: str, *, whole: bool = False, expected: Any = None) -> Any: ...


class Uploads(Protocol):
    """What is needed to put files: see `services.files.uploads`."""

    async def begin(self, identity: Identity, path: str, size: int | None, *, keep: bool = False) -> Any: ...


class Tokens(Protocol):
    """What is needed of the access tokens."""

    async def verify(self, text: str, address: str) -> Identity: ...

    async def still(self, text: str, identity: Identity) -> bool: ...


class HttpFiles:
    """One for a server; `install` it into the door's application before that starts."""

    def __init__(self, files: Files, uploads: Uploads, tokens: Tokens) -> None:
        self._files = files
        self._uploads = uploads
        self._tokens = tokens
        self._going_on: Counter[str] = Counter()

    def install(self, app: web.Application) -> None:
        for path in (PREFIX, PREFIX + "/{path:.*}"):
            app.router.add_route("GET", path, self._get)
            app.router.add_route("HEAD", path, self._get)
            app.router.add_route("PUT", path, self._put, expect_handler=expected)
            app.router.add_route("DELETE", path, self._delete)

    # -- the methods ---------------------------------------------------------------------------------------------

    async def _get(self, request: web.Request) -> web.StreamResponse:
        async with self._caller(request) as identity:
            path = path_of(request)
            if path.endswith("/"):
                return await self._list(request, identity, path)
            try:
                reading = await self._files.open(identity, path)
            except Conflict as error:
                if not (isinstance(error.data, dict) and error.data.get("kind") == "folder"):
                    raise
                return await self._list(request, identity, path)
            try:
                return await self._send(request, identity, reading)
            finally:
                os.close(reading.fd)

    async def _send(self, request: web.Request, identity: Identity, reading: Reading) -> web.StreamResponse:
        tag = await self._tag(request, reading)
        facts = reading.facts
        decision = decide(request.method, request.headers, facts.size, tag, facts.mtime_ns // 1_000_000_000)
        headers = _headers(facts, tag, decision)
        if decision.status not in (200, 206):
            text = {412: "The file is another one now.\n", 416: f"The file has {facts.size} bytes.\n"}
            return web.Response(status=decision.status, headers=headers, text=text.get(decision.status))
        response = web.StreamResponse(status=decision.status, headers=headers)
        response.content_type = "application/octet-stream"
        body = Body(reading.fd, decision.start, decision.stop, read=self._read, allowed=self._still(request, identity))
        await body.send(request, response)
        return response

    async def _read(self, fd: int, size: int, offset: int) -> bytes:
        return await self._files.run(os.pread, fd, size, offset)

    async def _tag(self, request: web.Request, reading: Reading) -> str:
        """The file's digest as a strong entity tag."""
        digest = reading.digest
        if digest is None and (reading.facts.size <= READ_FIRST or names_a_tag(request.headers)):
            digest = await self._files.digest(reading)
        elif digest is None:
            self._files.find_digest(reading)
        return f'"{digest.hex()}"' if digest is not None else ""

    async def _list(self, request: web.Request, identity: Identity, path: str) -> web.Response:
        after = request.query.get("after", "")
        limit = request.query.get("limit", "1000")
        if not (limit.isascii() and limit.isdigit() and 0 < len(limit) < 10):
            raise web.HTTPBadRequest(text="limit is a number of entries.\n")
        page = await self._files.list(identity, path, after, int(limit))
        headers = {"Cache-Control": "private, no-cache"}
        if page.next is not None:
            headers["Link"] = f'<{PREFIX}{quote(path)}?after={quote(page.next)}&limit={limit}>; rel="next"'
        return web.Response(body=msgspec.json.encode(page), headers=headers, content_type="application/json")

    async def _put(self, request: web.Request) -> web.Response:
        async with self._caller(request) as identity:
            path = path_of(request)
            if "Content-Range" in request.headers:  # RFC 9110, 14.5: kept whole, it would be a broken file
                raise InvalidArgument("a part of a file cannot be put; `tieline put` goes on with what was interrupted")
            if request.headers.get("Content-Encoding", "identity").lower() != "identity":  # it would be undone
                raise web.HTTPUnsupportedMediaType(text="Send the file as it is, without Content-Encoding.\n")
            await self._seen(request, identity, path)
            keep = request.headers.get("If-None-Match", "").strip() == "*"
            with _precondition(keep):
                stored = await self._take(request, identity, path, keep)
            headers = {"ETag": f'"{stored.digest.hex()}"'}
            if stored.note:
                return web.Response(status=200, headers=headers, text=f"{safe_text(stored.note)}\n")
            return web.Response(status=204 if stored.replaced else 201, headers=headers)

    async def _take(self, request: web.Request, identity: Identity, path: str, keep: bool) -> Any:
        upload = await self._uploads.begin(identity, path, request.content_length, keep=keep)
        try:
            await receive(request, upload.write, allowed=self._still(request, identity))
            # It took its time: the token and the file that is there are looked at again, right before it counts.
            if not await self._tokens.still(_token(request), identity):
                raise LoginFailed("the token ended while the file came, and nothing of it was stored")
            return await upload.finish(await self._seen(request, identity, path))
        finally:
            await upload.close()

    async def _delete(self, request: web.Request) -> web.Response:
        async with self._caller(request) as identity:
            whole = request.query.get("recursive", "") in ("1", "true")
            path = path_of(request)
            seen = await self._seen(request, identity, path)
            with _precondition():
                await self._files.remove(identity, path, whole=whole, expected=seen)
            return web.Response(status=204)

    # -- who is calling, and what may be wrong -------------------------------------------------------------------

    @asynccontextmanager
    async def _caller(self, request: web.Request) -> AsyncIterator[Identity]:
        """Who is calling, for as long as the request takes; what goes wrong within becomes an answer."""
        with _answering(request):
            identity = await self._identify(request)
            if self._going_on[identity.account] >= AT_ONCE:
                raise Overloaded(f"{AT_ONCE} requests of yours are going on; wait for some of them")
            self._going_on[identity.account] += 1
            try:
                yield identity
            finally:
                self._going_on[identity.account] -= 1
                if not self._going_on[identity.account]:
                    del self._going_on[identity.account]

    async def _identify(self, request: web.Request) -> Identity:
        opening = opening_of(request)
        if not (opening.tls or opening.loopback):
            raise Denied("a token is not taken in plain text from another machine; use https://")
        token = _token(request)
        if not token:
            raise _unknown("Say who you are: Authorization: Bearer TOKEN (`tieline token` makes one).")
        return await self._tokens.verify(token, opening.host)

    async def _seen(self, request: web.Request, identity: Identity, path: str) -> Facts | None:
        """If-Match of a change: the facts of the very file the caller has seen, None when any will do."""
        if "If-Match" not in request.headers:
            return None
        try:
            reading = await self._files.open(identity, path)
        except NotFound:
            raise web.HTTPPreconditionFailed(text="There is no such file.\n") from None
        try:
            tag = f'"{(await self._files.digest(reading)).hex()}"'
            if decide(request.method, request.headers, 0, tag, 0).status == 412:
                raise web.HTTPPreconditionFailed(text="The file is another one now.\n")
            facts: Facts = reading.facts
            return facts
        finally:
            os.close(reading.fd)

    def _still(self, request: web.Request, identity: Identity) -> Callable[[], Awaitable[bool]]:
        """Asks for the token anew now and then."""
        loop = asyncio.get_running_loop()
        token = _token(request)
        looked = loop.time()

        async def still() -> bool:
            nonlocal looked
            if loop.time() - looked < LOOK_AGAIN:
                return True
            looked = loop.time()
            return await self._tokens.still(token, identity)

        return still


def _token(request: web.Request) -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def path_of(request: web.Request) -> str:
    """The path beneath /files, decoded once and part by part. Raises InvalidArgument."""
    raw = request.rel_url.raw_path.removeprefix(PREFIX) or "/"
    if _HALF_CODED.search(raw):
        raise InvalidArgument("the path is not percent-encoded: a % in a name is written %25")
    parts = [unquote_to_bytes(part) for part in raw.split("/")]
    if any(b"/" in part for part in parts):
        raise InvalidArgument("a name holds a slash (%2F)")
    try:
        return b"/".join(parts).decode()
    except UnicodeDecodeError:
        raise InvalidArgument("the path is not UTF-8, percent-encoded") from None


def disposition(name: str) -> str:
    """Content-Disposition for a file of this name (RFC 6266; RFC 8187 for what is not ASCII)."""
    plain = "".join(char if " " <= char < "\x7f" and char not in '"\\%' else "_" for char in name)
    extended = f"; filename*=UTF-8''{quote(name, safe='')}" if plain != name else ""
    return f'attachment; filename="{plain}"{extended}'


def _headers(facts: Facts, tag: str, decision: Decision) -> dict[str, str]:
    headers = {
        "Last-Modified": formatdate(max(0, facts.mtime_ns // 1_000_000_000), usegmt=True),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": disposition(facts.name),
    }
    if tag:
        headers["ETag"] = tag
    if decision.status == 206:
        headers["Content-Range"] = f"bytes {decision.start}-{decision.stop - 1}/{facts.size}"
    if decision.status == 416:
        headers["Content-Range"] = f"bytes */{facts.size}"
    return headers


@contextmanager
def _precondition(new: bool = False) -> Iterator[None]:
    """What stands in the way is a failed condition when the caller set one (RFC 9110, 13.1.1 and 13.1.2)."""
    try:
        yield
    except Conflict as error:
        if new or (isinstance(error.data, dict) and error.data.get("changed")):
            raise web.HTTPPreconditionFailed(text=f"{safe_text(str(error))}\n") from error
        raise


@contextmanager
def _answering(request: web.Request) -> Iterator[None]:
    """Our errors as HTTP's: a status, and the sentence. A client that is gone gets neither."""
    try:
        yield
    except (ConnectionError, ssl.SSLError, TimeoutError, web.RequestPayloadError) as error:
        log.debug("%s %s ended early: %s", request.method, safe_text(request.path), error)
        if request.transport is not None:
            request.transport.abort()
        raise web.HTTPBadRequest from error
    except TooManyAttempts as error:
        wait = {"Retry-After": str(int(error.retry_after) + 1)}
        raise web.HTTPTooManyRequests(text=f"{error}\n", headers=wait) from error
    except LoginError as error:
        raise _unknown(str(error)) from error
    except CallError as error:
        raise _refusal(error) from error


def _unknown(sentence: str) -> web.HTTPUnauthorized:
    return web.HTTPUnauthorized(text=f"{sentence}\n", headers={"WWW-Authenticate": 'Bearer realm="tieline"'})


def _refusal(error: CallError) -> web.HTTPException:
    kind = next((kind for ours, kind in _REFUSALS if isinstance(error, ours)), web.HTTPInternalServerError)
    return kind(text=f"{safe_text(str(error))}\n")
