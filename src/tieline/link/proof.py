"""A challenge on a link, before its first message: who does not hold the key gets nothing but a nonce.

server -> client   nonce                      server -> client   nonce
client -> server   answer                     client -> server   nonce + answer        (mutual)
                                              server -> client   answer                (mutual)
"""

from typing import Literal, Protocol

from tieline.errors import LinkClosed, LoginFailed
from tieline.link.link import Link


class Proof(Protocol):
    """A shared key and how to prove it; `tieline.Challenge` is one."""

    mutual: bool

    @property
    def answer_size(self) -> int: ...

    def nonce(self) -> bytes: ...

    def answer(self, nonce: bytes, *, own: bytes = b"", side: Literal["client", "server"] = "client") -> bytes: ...

    def verify(
        self, nonce: bytes, answer: bytes, *, theirs: bytes = b"", side: Literal["client", "server"] = "client"
    ) -> bool: ...


async def demand(link: Link, proof: Proof) -> bool:
    """The server's side. False when the caller has not proven the key, or is gone."""
    nonce = proof.nonce()
    link._write(nonce)
    theirs = await link.receive_exactly(len(nonce)) if proof.mutual else b""
    answer = await link.receive_exactly(proof.answer_size)
    if not proof.verify(nonce, answer, theirs=theirs, side="client"):
        return False
    if proof.mutual:
        link._write(proof.answer(theirs, own=nonce, side="server"))
    return True


async def prove(link: Link, proof: Proof) -> None:
    """The caller's side. Raises LoginFailed when the server does not know the key, as far as `mutual` shows it."""
    own = proof.nonce()
    try:
        nonce = await link.receive_exactly(len(own))
        link._write((own if proof.mutual else b"") + proof.answer(nonce, own=own if proof.mutual else b""))
        if proof.mutual:
            answer = await link.receive_exactly(proof.answer_size)
            if not proof.verify(own, answer, theirs=nonce, side="server"):
                raise LoginFailed("the server does not hold the same key")
    except LinkClosed as error:
        raise LoginFailed(f"the server closed during the challenge ({error})") from error
