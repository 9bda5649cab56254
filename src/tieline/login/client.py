"""The client's side of a login: picks the mechanism, says what to send, and has the server prove itself too."""

import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tieline.errors import LoginFailed
from tieline.login.credential import PLAIN, PLUS, Credential
from tieline.login.names import PASSWORD
from tieline.login.scram_bounds import KEY_ITERATIONS, PASSWORD_ITERATIONS

if TYPE_CHECKING:
    from tieline.login.scram_client import ScramClient


class ClientLogin:
    """One login on one link. `binding` is the tls-server-end-point of the certificate the server showed, None without
    TLS. Believe a WELCOME only when `proven` is true."""

    def __init__(
        self,
        credential: Credential,
        binding: bytes | None,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._credential = credential
        self._binding = binding
        self._random = random
        self._scram: ScramClient | None = None
        self._steps = 0
        self.proven = False
        "The server proved that it knows our secret, or the mechanism has no such proof."

    def first(self, mechanisms: Sequence[str]) -> tuple[str, bytes]:
        """The mechanism to use of those the server offers, and what to send. Raises LoginFailed when none will do."""
        credential = self._credential
        mechanism = (
            credential.mechanism if credential.mechanism != "SCRAM" else PLAIN if self._binding is None else PLUS
        )
        if self._steps:
            raise LoginFailed("this login has begun already")
        if mechanism not in mechanisms:
            raise LoginFailed(_missing(mechanism, mechanisms))
        self._steps = 1
        if credential.mechanism != "SCRAM":
            self.proven = True
            return mechanism, credential.user.encode()
        from tieline.login.scram_client import ScramClient  # who comes by a Unix socket needs none of it

        self._scram = ScramClient(credential.user, credential.secret, self._binding, self._least, self._random)
        return mechanism, self._scram.first()

    async def step(self, data: bytes) -> bytes | None:
        """What to send next; None when nothing is left to send and the server has proven itself. Raises LoginFailed.
        Hashes passwords in a thread; cancelling is safe."""
        self._steps += 1
        if self._scram is not None and self._steps == 2:
            return await self._scram.final(data)
        if self._scram is not None and self._steps == 3:
            self._scram.verify(data)
            self.proven = True
            return None
        raise LoginFailed("the server sent a login step where none belongs")

    @property
    def _least(self) -> int:
        return PASSWORD_ITERATIONS if self._credential.user.endswith(f"/{PASSWORD}") else KEY_ITERATIONS

    def __repr__(self) -> str:
        return f"<ClientLogin {self._credential!r}{' proven' if self.proven else ''}>"


def _missing(mechanism: str, offered: Sequence[str]) -> str:
    if mechanism == PLUS and PLAIN in offered:
        return "the server does not bind the login to its certificate; somebody may be in between, so nothing was sent"
    if mechanism == "ANONYMOUS":
        return "this server takes no guests; ask its owner for a ticket"
    if mechanism == "EXTERNAL":
        return "this server does not know you by your system user; use a ticket, or run it as the server's own user"
    return f"the server offers no login this client has ({mechanism})"
