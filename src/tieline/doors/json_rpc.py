"""JSON-RPC 2.0: one request object in, one answer out, by way of a peer. Parameters go by name.

What the server answers travels as it is; errors keep our code in `data.code`. A request without an id is carried out
and not answered.
"""

from typing import Any

import msgspec

from tieline.errors import CallError, TielineError, UnknownFault
from tieline.rpc.peer import Peer
from tieline.wire.safe_text import safe_json

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = -32700, -32600, -32601, -32602, -32603
SERVER_ERROR = -32000
"Every other error of ours (JSON-RPC 2.0, 5.1: -32000 to -32099 are the server's own)."

_CODES = {"invalid_argument": INVALID_PARAMS, "internal": INTERNAL_ERROR}
# What `peer.call` takes for itself, so that no parameter can have that name there; a timeout is meant as one.
_OURS = ("retry", "returns")


class Refused(Exception):
    """The request cannot be carried out; `code` is JSON-RPC's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Request(msgspec.Struct):
    """What was asked. `id` is UNSET for a notification."""

    method: str
    params: dict[str, Any] = {}
    id: str | int | float | msgspec.UnsetType | None = msgspec.UNSET
    jsonrpc: str = "2.0"


async def answer(peer: Peer, line: str | bytes) -> str | None:
    """The answer to one request as one line of JSON, safe to print; None when none is owed."""
    try:
        request = _read(line)
    except Refused as refusal:
        return _error(None, refusal.code, str(refusal))
    try:
        result = await _call(peer, request)
    except Refused as refusal:
        reply = _error(request.id, refusal.code, str(refusal))
    except TielineError as error:
        reply = _failed(request.id, error)
    else:
        reply = _line({"jsonrpc": "2.0", "result": result, "id": request.id})
    return None if request.id is msgspec.UNSET else reply


def _read(line: str | bytes) -> Request:
    try:
        document = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(PARSE_ERROR, f"not JSON: {error}") from None
    try:
        request = msgspec.convert(document, Request)
    except msgspec.ValidationError as error:
        if isinstance(document, dict) and isinstance(document.get("params"), list):
            raise Refused(INVALID_PARAMS, 'parameters go by name: "params": {"name": value}') from None
        raise Refused(INVALID_REQUEST, f"not a JSON-RPC 2.0 request: {error}") from None
    if request.jsonrpc != "2.0":
        raise Refused(INVALID_REQUEST, 'not a JSON-RPC 2.0 request: "jsonrpc" must be "2.0"')
    return request


async def _call(peer: Peer, request: Request) -> Any:
    params = dict(request.params)
    for name in _OURS:
        if name in params:
            raise Refused(INVALID_PARAMS, f"{name} cannot be a parameter here")
    timeout = params.pop("timeout", None)
    if timeout is not None and not (isinstance(timeout, int | float) and 0 < timeout < 1e9):
        raise Refused(INVALID_PARAMS, "timeout is the call's deadline in seconds, a number above zero")
    try:
        return await peer.call(request.method, timeout=timeout, **params)
    except CallError as error:
        if not error.remote and error.code == "invalid_argument":
            raise Refused(SERVER_ERROR, f"{request.method} answers with a stream, which takes a native link") from None
        raise


def _failed(id: Any, error: TielineError) -> str:
    if not isinstance(error, CallError):
        return _error(id, SERVER_ERROR, str(error), {"code": "unavailable"})
    code = error.fault_code if isinstance(error, UnknownFault) else error.code
    number = _CODES.get(code, SERVER_ERROR)
    if code == "not_found" and isinstance(error.data, dict) and "method" in error.data:
        number = METHOD_NOT_FOUND
    return _error(id, number, str(error), {"code": code, "data": error.data})


def _error(id: Any, code: int, message: str, data: dict[str, Any] | None = None) -> str:
    fault = {"code": code, "message": message} | ({"data": data} if data is not None else {})
    return _line({"jsonrpc": "2.0", "error": fault, "id": id})


def _line(document: dict[str, Any]) -> str:
    try:
        return safe_json(msgspec.json.encode(document, enc_hook=str).decode())
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        return _error(document["id"], INTERNAL_ERROR, f"the answer cannot be written as JSON: {error}")
