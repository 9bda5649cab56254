"""OpenSSL on memory: sealed bytes in, text out, and the other way. Pure: no socket, no loop, no protocol."""

import ssl
from contextlib import suppress

READ = 64 * 1024
"Bytes of text asked for at once."
PIECE = 256 * 1024
"Bytes put into OpenSSL's memory at once: it keeps the most it ever held until the link ends."


class TlsMemory:
    """One end of a TLS connection. `name` is the server's, to whoever dials one. `feed` what came and `take` what goes;
    `encrypt` and `decrypt` are OpenSSL's own, as is what they raise."""

    __slots__ = ("broken", "decrypt", "encrypt", "feed", "goodbye", "incoming", "outgoing", "take", "tls")

    def __init__(self, context: ssl.SSLContext, name: str | bytes | None) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, name is None, name)
        # Bound once: each is called for every message.
        self.feed, self.decrypt = self.incoming.write, self.tls.read
        self.encrypt, self.take = self.tls.write, self.outgoing.read
        self.goodbye = False
        "The peer's was read, maybe together with what came before it."
        self.broken: ssl.SSLError | None = None
        "What is wrong with a record that `fill` has come upon."

    def shake(self) -> bool:
        """Go on with the handshake. False while the peer must say more. Raises ssl.SSLError."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def is_here(self) -> bool:
        """Whether there may be something to decrypt, or the peer's goodbye."""
        return bool(self.incoming.pending or self.tls.pending() or self.goodbye)

    def fill(self, buffer: memoryview) -> int:
        """As many records as the buffer holds, together; how many bytes that was."""
        decrypt, incoming = self.decrypt, self.incoming
        done, size = 0, len(buffer)
        try:
            while not self.goodbye:
                got: int = decrypt(size - done, buffer[done:] if done else buffer)  # type: ignore[assignment]
                done += got
                if not got:
                    self.goodbye = True
                elif done == size or not incoming.pending:
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.broken = error
        return done

    def seal(self, data: bytes | bytearray | memoryview) -> bytes:
        """The same bytes to be sent, however many. Raises ssl.SSLError."""
        pieces, view = [], memoryview(data).cast("B")
        for start in range(0, len(view), PIECE):
            self.encrypt(view[start : start + PIECE])
            pieces.append(self.take())
        return b"".join(pieces)

    def say_goodbye(self) -> None:
        with suppress(ssl.SSLError):
            self.tls.unwrap()  # says ours, and wants to read the peer's

    def pass_over(self) -> bool:
        """Throw away what has come. False when nothing more can: the peer has said goodbye, or broken it."""
        try:
            while self.decrypt(READ):
                pass
        except ssl.SSLWantReadError:
            return True
        except ssl.SSLError:
            pass
        return False
