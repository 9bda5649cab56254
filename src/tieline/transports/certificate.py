"""The server's certificate and key: made at the first start, kept in one 0600 file, or the owner's own.

Apart from `tls`, because only servers need the library that makes certificates, and clients must start fast.
"""

import datetime
import ipaddress
import logging
import os
import secrets
import socket
import ssl
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from tieline.errors import ConfigError
from tieline.transports.tls import end_point, pin_of, server_context

log = logging.getLogger("tieline.tls")
FILE_NAME = "server.pem"
_YEARS = 20
_SOON = datetime.timedelta(days=30)
"A certificate of the owner's own that ends within this is warned of."


class ServerCertificate(msgspec.Struct, frozen=True):
    """A certificate (with its chain, if any) and its private key, as PEM. `repr()` shows the pin only."""

    certificate: bytes
    key: bytes

    @property
    def der(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(_first_certificate(self.certificate.decode("ascii")))

    @property
    def pin(self) -> str:
        return pin_of(self.der)

    @property
    def end_point(self) -> bytes:
        return end_point(self.der)

    @property
    def names(self) -> list[str]:
        """The host names it is for, in lower case; `*.lab.example` stands for any one name before the dot."""
        try:
            extensions = x509.load_der_x509_certificate(self.der).extensions
            found = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (ValueError, x509.ExtensionNotFound):
            return []
        return [name.lower() for name in found.get_values_for_type(x509.DNSName)]

    @property
    def expires(self) -> datetime.datetime:
        """When it ends, in UTC."""
        return x509.load_der_x509_certificate(self.der).not_valid_after_utc

    def context(self) -> ssl.SSLContext:
        return server_context(self.certificate, self.key)

    def __repr__(self) -> str:
        return f"<ServerCertificate pin={self.pin}>"


def make_certificate(names: Iterable[str]) -> tuple[bytes, bytes]:
    """A new self-signed certificate and its key, as PEM, for localhost and for `names` (hosts or addresses)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tieline")])
    # Yesterday: the clocks of the machines in a lab are rarely right.
    begin = datetime.datetime.now(datetime.UTC).replace(microsecond=0) - datetime.timedelta(days=1)
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectAlternativeName(_alternative_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    certificate = builder.sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem), secret


def _alternative_names(names: Iterable[str]) -> list[x509.GeneralName]:
    return [_general_name(name) for name in dict.fromkeys(["localhost", "127.0.0.1", "::1", *names]) if name]


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name if name.isascii() else name.encode("idna").decode())
    except UnicodeError:  # a machine may be called what no name on a network can be
        return x509.DNSName("localhost")


def load(certificate: Path, key: Path | None = None) -> ServerCertificate:
    """The owner's own certificate; without `key` both are in one file. Raises ConfigError."""
    made = ServerCertificate(_part(certificate, b"CERTIFICATE"), _part(key or certificate, b"PRIVATE KEY"))
    made.context()
    _warn_of_its_end(certificate, made.expires)
    return made


def _warn_of_its_end(path: Path, end: datetime.datetime) -> None:
    left = end - datetime.datetime.now(datetime.UTC)
    if left < _SOON:
        ends = "expires" if left > datetime.timedelta(0) else "expired"
        why = "who has its pin does not mind, but browsers and curl do"
        log.warning("the certificate in %s %s on %s; %s", path, ends, f"{end:%Y-%m-%d}", why)


def own_names() -> list[str]:
    """What this machine is called. May wait for the network, which need not be there yet."""
    names = [socket.gethostname()]
    with suppress(OSError, UnicodeError):  # a name may be none on a network
        names.append(socket.getfqdn())
    return names


def load_or_make(folder: Path, names: Callable[[], Iterable[str]]) -> ServerCertificate:
    """The certificate kept in `folder`, made for `names()` at the first start. Of two servers starting at once both get
    the same."""
    path = folder / FILE_NAME
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        certificate, key = make_certificate(names())
        _write_new(path, key + certificate)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError("certificate", f"others can read the key in {path}; check who did, then chmod 600 it")
    return load(path)


def _write_new(path: Path, content: bytes) -> None:
    """Whole or not at all, mode 0600 from the first moment, never over a file that is there."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass  # another server was first: its certificate is everybody's
        except OSError:
            os.rename(temporary, path)  # a file system without hard links
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _part(path: Path, kind: bytes) -> bytes:
    try:
        return _only(path.read_bytes(), kind)
    except OSError as error:
        raise ConfigError("certificate", f"cannot read {error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError("certificate", f"{path} {error}") from None


def _only(pem: bytes, kind: bytes) -> bytes:
    """The PEM blocks whose label ends with `kind` (a key's label names its format first)."""
    blocks, inside = [], False
    for line in pem.splitlines():
        if line.startswith(b"-----BEGIN ") and line.rstrip().endswith(kind + b"-----"):
            inside = True
        if inside:
            blocks.append(line.strip())
        if line.startswith(b"-----END "):
            inside = False
    if not blocks:
        raise ValueError(f"holds no {kind.decode().lower()} in PEM (text with -----BEGIN …)")
    return b"\n".join(blocks) + b"\n"


def _first_certificate(pem: str) -> str:
    end = ssl.PEM_FOOTER
    return pem[: pem.index(end) + len(end)].strip()
