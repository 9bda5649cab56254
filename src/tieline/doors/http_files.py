"""Files over HTTP, for curl, wget and whatever speaks it: `/files/…` with ranges, tags and listings; PUT and DELETE.

A file is read from one descriptor: what is sent is one consistent file, whatever happens to its name meanwhile. Links
are not followed. Who is calling is http_callers' business, how our errors look http_answers'.
"""

import asyncio
import os
import re
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import quote, unquote_to_bytes

import msgspec
from aiohttp import web

from tieline.doors.http_answers import Facts, headers_of, on_condition
from tieline.doors.http_callers import Caller, Callers, Tokens
from tieline.doors.http_conditions import decide, names_a_tag, rest_of
from tieline.doors.http_receiving import expected, receive
from tieline.doors.http_sending import Body, EndedError
from tieline.errors import Conflict, InvalidArgument, NotFound
from tieline.limits import DEFAULT, Limits, MiB
from tieline.login.identity import Identity
from tieline.wire.safe_text import safe_text

PREFIX = "/files"
READ_FIRST = 64 * MiB
"Bytes. A file up to this size that nobody has read yet is first read, to give its tag; a larger one goes without once."
_OFFSET = web.RequestKey("offset", int)
"How much there is of a request's file, for the answer's header."
_HALF_CODED = re.compile("%(?![0-9A-Fa-f]{2})")


class Reading(Protocol):
    """A file open for reading. `fd` is closed here."""

    @property
    def fd(self) -> int: ...
    @property
    def facts(self) -> Facts: ...
    @property
    def digest(self) -> bytes | None: ...


class Page(Protocol):
    """A page of a folder, which can be written as JSON. `next`: there is more behind this name."""

    @property
    def next(self) -> str | None: ...


class Stored(Protocol):
    """A file that was put."""

    @property
    def digest(self) -> bytes: ...
    @property
    def replaced(self) -> bool: ...
    @property
    def note(self) -> str: ...


R = TypeVar("R", bound=Reading)
R_in = TypeVar("R_in", bound=Reading, contravariant=True)


class Files(Protocol[R]):
    """What is needed of the files: each method does only what this caller may."""

    async def read(self, identity: Identity, fd: int, size: int, offset: int) -> bytes: ...

    async def open(self, identity: Identity, path: str) -> R: ...

    async def digest(self, reading: R) -> bytes: ...

    def find_digest(self, reading: R) -> None: ...

    async def list(self, identity: Identity, path: str, after: str = "", limit: int = 1000) -> Page: ...

    async def remove(self, identity: Identity, path: str, *, whole: bool = False, seen: R | None = None) -> object: ...


class Upload(Protocol[R_in]):
    """What is needed of a file on its way: see `services.files.uploads`."""

    async def write(self, data: bytes) -> None: ...

    async def finish(self, seen: R_in | None = None) -> Stored: ...


U = TypeVar("U", bound=Upload[Any])


class Uploads(Protocol[U]):
    """Begins and ends them."""

    async def begin(
        self,
        identity: Identity,
        path: str,
        size: int | None,
        *,
        keep: bool = False,
        start: int = 0,
        leave: Callable[[], None] = ...,
    ) -> U: ...

    async def end(self, upload: U, *, keep: bool = False) -> None: ...

    async def offset(self, identity: Identity, path: str) -> int | None: ...


class HttpFiles(Generic[R, U]):
    """One for a server; `install` it into the door's application before that starts."""

    def __init__(self, files: Files[R], uploads: Uploads[U], tokens: Tokens, limits: Limits = DEFAULT) -> None:
        self._files = files
        self._uploads = uploads
        self._callers = Callers(tokens, limits)
        self._limits = limits

    def install(self, app: web.Application) -> None:
        app.on_response_prepare.append(_tell_offset)
        for path in (PREFIX, PREFIX + "/{path:.*}"):
            app.router.add_route("GET", path, self._get)
            app.router.add_route("HEAD", path, self._get)
            app.router.add_route("PUT", path, self._put, expect_handler=expected)
            app.router.add_route("DELETE", path, self._delete)

    # -- getting -------------------------------------------------------------------------------------------------

    async def _get(self, request: web.Request) -> web.StreamResponse:
        async with self._callers.caller(request) as caller:
            path = path_of(request)
            if path.endswith("/"):
                return await self._list(request, caller, path)
            if request.method == "HEAD":
                _keep_offset(request, await self._uploads.offset(caller.identity, path))
            try:
                reading = await self._files.open(caller.identity, path)
            except Conflict as error:
                if not (isinstance(error.data, dict) and error.data.get("kind") == "folder"):
                    raise
                return await self._list(request, caller, path)
            try:
                return await self._send(request, caller, reading)
            finally:
                os.close(reading.fd)

    async def _send(self, request: web.Request, caller: Caller, reading: R) -> web.StreamResponse:
        tag = await self._tag(request, reading)
        facts = reading.facts
        decision = decide(request.method, request.headers, facts.size, tag, facts.mtime_ns // 1_000_000_000)
        headers = headers_of(facts, tag, decision)
        if decision.status not in (200, 206):
            text = {412: "The file is another one now.\n", 416: f"The file has {facts.size} bytes.\n"}
            return web.Response(status=decision.status, headers=headers, text=text.get(decision.status))
        response = web.StreamResponse(status=decision.status, headers=headers)
        response.content_type = "application/octet-stream"
        part = (reading.fd, decision.start, decision.stop)
        read = partial(self._files.read, caller.identity)
        body = Body(*part, read=read, allowed=caller.allowed, stall=self._limits.http_stall)
        await body.send(request, response)
        return response

    async def _tag(self, request: web.Request, reading: R) -> str:
        """The file's digest as a strong entity tag; empty while nobody has read a large file."""
        digest = reading.digest
        if digest is None and (reading.facts.size <= READ_FIRST or names_a_tag(request.headers)):
            digest = await self._files.digest(reading)
        elif digest is None:
            self._files.find_digest(reading)
        return _tag_of(digest) if digest is not None else ""

    async def _list(self, request: web.Request, caller: Caller, path: str) -> web.Response:
        after = request.query.get("after", "")
        limit = request.query.get("limit", "1000")
        if not (limit.isascii() and limit.isdigit() and 0 < len(limit) < 10):
            raise web.HTTPBadRequest(text="limit is a number of entries.\n")
        page = await self._files.list(caller.identity, path, after, int(limit))
        headers = {"Cache-Control": "private, no-cache"}
        if page.next is not None:
            headers["Link"] = f'<{PREFIX}{quote(path)}?after={quote(page.next)}&limit={limit}>; rel="next"'
        return web.Response(body=msgspec.json.encode(page), headers=headers, content_type="application/json")

    # -- changing ------------------------------------------------------------------------------------------------

    async def _put(self, request: web.Request) -> web.Response:
        async with self._callers.caller(request) as caller:
            path = path_of(request)
            if request.headers.get("Content-Encoding", "identity").lower() != "identity":  # it would be undone
                raise web.HTTPUnsupportedMediaType(text="Send the file as it is, without Content-Encoding.\n")
            await self._seen(request, caller, path)
            keep = request.headers.get("If-None-Match", "").strip() == "*"
            with on_condition(new=keep):
                stored = await self._take(request, caller, path, keep=keep)
            headers = {"ETag": _tag_of(stored.digest)}
            if stored.note:
                return web.Response(status=200, headers=headers, text=f"{safe_text(stored.note)}\n")
            return web.Response(status=204 if stored.replaced else 201, headers=headers)

    async def _take(self, request: web.Request, caller: Caller, path: str, *, keep: bool) -> Stored:
        start, size = rest_of(request.headers.getall("Content-Range", ()), request.content_length)
        try:
            upload = await self._uploads.begin(
                caller.identity, path, size, keep=keep, start=start, leave=partial(_hang_up, request)
            )
        except Conflict as error:
            _keep_offset(request, error.data.get("offset") if isinstance(error.data, dict) else None)
            raise
        interrupted = False
        try:
            await receive(request, upload.write, allowed=caller.allowed, stall=self._limits.http_stall)
            # It took its time: the token and the file that is there are looked at again, right before it counts.
            await caller.insist()
            return await upload.finish(await self._seen(request, caller, path))
        except (ConnectionError, ssl.SSLError, TimeoutError, web.RequestPayloadError, asyncio.CancelledError) as error:
            interrupted = not isinstance(error, EndedError)
            raise
        finally:
            await self._uploads.end(upload, keep=interrupted)

    async def _delete(self, request: web.Request) -> web.Response:
        async with self._callers.caller(request) as caller:
            whole = request.query.get("recursive", "") in ("1", "true")
            path = path_of(request)
            seen = await self._seen(request, caller, path)
            with on_condition():
                await self._files.remove(caller.identity, path, whole=whole, seen=seen)
            return web.Response(status=204)

    async def _seen(self, request: web.Request, caller: Caller, path: str) -> R | None:
        """If-Match of a change: the very file the caller has seen (closed again), None when any will do."""
        if "If-Match" not in request.headers:
            return None
        try:
            reading = await self._files.open(caller.identity, path)
        except NotFound:
            raise web.HTTPPreconditionFailed(text="There is no such file.\n") from None
        try:
            tag = _tag_of(await self._files.digest(reading))
        finally:
            os.close(reading.fd)
        if decide(request.method, request.headers, 0, tag, 0).status == 412:
            raise web.HTTPPreconditionFailed(text="The file is another one now.\n")
        return reading


def _keep_offset(request: web.Request, offset: int | None) -> None:
    if offset is not None:
        request[_OFFSET] = offset


async def _tell_offset(request: web.Request, response: web.StreamResponse) -> None:
    """How much is here of a file that was begun, under the name that the draft for resumable uploads gives it."""
    if _OFFSET in request:
        response.headers["Upload-Offset"] = str(request[_OFFSET])


def _hang_up(request: web.Request) -> None:
    """Its sender has come again by another connection."""
    if request.transport is not None:
        request.transport.abort()


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


def _tag_of(digest: bytes) -> str:
    return f'"{digest.hex()}"'
