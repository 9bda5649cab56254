"""What the HTTP door says about files: our errors as statuses with a sentence, and a file's facts as headers."""

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Protocol
from urllib.parse import quote

from aiohttp import web

from tieline.doors.http_conditions import Decision
from tieline.errors import (
    CallError,
    Conflict,
    Denied,
    InvalidArgument,
    LoginError,
    NotFound,
    Overloaded,
    TooLarge,
    TooManyAttempts,
    Unavailable,
)
from tieline.wire.safe_text import safe_text

log = logging.getLogger("tieline.files")

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


@contextmanager
def answering(request: web.Request) -> Iterator[None]:
    """Our errors as HTTP's. A client that is gone, or breaks its own request, gets no answer but the end."""
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
        raise unauthorized(str(error)) from error
    except CallError as error:
        kind = next((kind for ours, kind in _REFUSALS if isinstance(error, ours)), web.HTTPInternalServerError)
        raise kind(text=_line(error)) from error


@contextmanager
def on_condition(*, new: bool = False) -> Iterator[None]:
    """What stands in the way is a failed condition when the caller set one (RFC 9110, 13.1.1 and 13.1.2)."""
    try:
        yield
    except Conflict as error:
        if new or (isinstance(error.data, dict) and error.data.get("changed")):
            raise web.HTTPPreconditionFailed(text=_line(error)) from error
        raise


def unauthorized(sentence: str) -> web.HTTPUnauthorized:
    """Who is calling is not known."""
    return web.HTTPUnauthorized(text=f"{sentence}\n", headers={"WWW-Authenticate": 'Bearer realm="tieline"'})


def headers_of(facts: Facts, tag: str, decision: Decision) -> dict[str, str]:
    """The headers of an answer about a file, whatever it is."""
    seconds = max(0, facts.mtime_ns // 1_000_000_000)
    headers = {
        "Last-Modified": formatdate(seconds, usegmt=True),
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


def disposition(name: str) -> str:
    """Content-Disposition for a file of this name (RFC 6266; RFC 8187 for what is not ASCII)."""
    plain = "".join(char if " " <= char < "\x7f" and char not in '"\\%' else "_" for char in name)
    extended = f"; filename*=UTF-8''{quote(name, safe='')}" if plain != name else ""
    return f'attachment; filename="{plain}"{extended}'


def _line(error: CallError) -> str:
    return f"{safe_text(str(error))}\n"
