"""The same call as typed MessagePack, for contenders that move bytes and leave their meaning to others."""

import msgspec


class Greet(msgspec.Struct):
    name: str


class Request(msgspec.Struct):
    id: int
    method: str
    params: Greet


class Reply(msgspec.Struct):
    id: int
    result: str


def greet(params: Greet) -> str:
    return f"hello {params.name}"


METHODS = {"greet": greet}
encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Request).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode


def answer(body: bytes | memoryview) -> bytes:
    request = decode_request(body)
    return encode(Reply(request.id, METHODS[request.method](request.params)))
