"""A socket that says when it is closed: the one place every connection passes at its end, served or not."""

import socket
from collections.abc import Callable


class AcceptedSocket(socket.socket):
    """Says when it is closed, whichever loop, transport or failed handshake does it (uvloop detaches instead)."""

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self.setblocking(False)
        self.when_gone: Callable[[], None] | None = None

    def close(self) -> None:
        super().close()
        if self.fileno() == -1:
            self._tell()

    def detach(self) -> int:
        descriptor = super().detach()
        self._tell()
        return descriptor

    def _tell(self) -> None:
        tell, self.when_gone = self.when_gone, None
        if tell is not None:
            tell()
