"""TLS contexts of both sides, and pins. TLS 1.3 only.

A pin is the SHA-256 of the server's certificate: who has it needs no certificate authority. Comparing it is the
dialler's work, right after the handshake and before a byte is sent.
"""

import hashlib
import os
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tieline.errors import ConfigError
from tieline.limits import KiB

NATIVE = "tieline/1"
HTTP = "http/1.1"
LANE = "tieline-lane/1"
HANDSHAKE_TIMEOUT = 10.0
"Seconds, for those who dial; a listener's openings have their own absolute deadline."
SHUTDOWN_TIMEOUT = 2.0
"Seconds to wait for the peer's close_notify. Our messages have lengths: a missing goodbye cuts nothing off."

KEY_UPDATE_ANSWERS = 64 * KiB
"Bytes of answers to key updates (RFC 8446, 4.6.3), 26 for each, that a peer may ask for without reading them."

_OTHER_KEY = ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
"What OpenSSL says of another key than the certificate's, and of one of another kind."


def pin_of(der: bytes) -> str:
    """What `pin=` in an address holds: SHA-256 of the whole certificate, 64 hex digits."""
    return hashlib.sha256(der).hexdigest()


def end_point(der: bytes) -> bytes:
    """`tls-server-end-point` (RFC 5929, 4.1) of a certificate signed with SHA-256, as ours are."""
    return hashlib.sha256(der).digest()


def server_context(certificate: bytes, key: bytes) -> ssl.SSLContext:
    """For PEM texts. Offers `tieline/1` and `http/1.1`; a caller who names neither is told no protocol."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([NATIVE, HTTP])
    # No resumption: a ticket would outlive a changed certificate, and a peer that never reads would be reset by it.
    context.num_tickets = 0
    with _as_file(key.rstrip() + b"\n" + certificate) as path:
        try:
            context.load_cert_chain(path, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError("certificate", f"certificate and key are unusable together ({_reason(error)})") from error
    return context


def client_context(pin: str = "", alpn: Iterable[str] = (NATIVE,)) -> ssl.SSLContext:
    """With a pin nothing but the pin counts, which the caller compares; without one the system's authorities decide.

    The latter reads the system's list of authorities, some 20 ms: not on a loop.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(list(alpn))
    if pin:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_default_certs()
    return context


@contextmanager
def _as_file(pem: bytes) -> Iterator[str]:
    """`ssl` reads keys from files only: one in memory where there is such a thing, else a 0600 one for a moment."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("tieline-key", os.MFD_CLOEXEC)
        path, temporary = f"/proc/self/fd/{descriptor}", ""
    else:
        import tempfile

        descriptor, temporary = tempfile.mkstemp()
        path = temporary
    try:
        os.write(descriptor, pem)
        yield path
    finally:
        os.close(descriptor)
        if temporary:
            os.unlink(temporary)


def _no_password() -> str:
    raise ValueError("the key is encrypted, and a server starts alone: decrypt it, mode 600")


def _reason(error: Exception) -> str:
    if getattr(error, "reason", None) in _OTHER_KEY:
        return "the key is not that of the first certificate: the server's own stands first, then those that signed it"
    return str(getattr(error, "reason", None) or error).lower().replace("_", " ")
