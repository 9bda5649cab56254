"""The options of raw links, checked where they enter: every error names the option and says what it takes."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tieline.errors import ConfigError
from tieline.transports.address import Address, parse
from tieline.transports.sockets import KeepAlive, SocketOptions

if TYPE_CHECKING:
    from tieline.transports.certificate import ServerCertificate


def socket_options(
    no_delay: bool, keep_alive: bool | KeepAlive, send_buffer: int | None, receive_buffer: int | None
) -> SocketOptions:
    """From what `listen` and `dial` take. `keep_alive` True is the usual times, False is off."""
    if not isinstance(keep_alive, bool | KeepAlive):
        raise ConfigError("keep_alive", f"is {keep_alive!r}; it must be True, False or a KeepAlive")
    keep = keep_alive if isinstance(keep_alive, KeepAlive) else KeepAlive() if keep_alive else None
    whole("send_buffer", send_buffer)
    whole("receive_buffer", receive_buffer)
    return SocketOptions(
        no_delay=flag("no_delay", no_delay), keep_alive=keep, send_buffer=send_buffer, receive_buffer=receive_buffer
    )


def flag(name: str, value: bool) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(name, f"is {value!r}; it must be True or False")
    return value


def whole(name: str, value: int | None, least: int = 1, most: int = 2**31 - 1) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ConfigError(name, f"is {value!r}; it must be a whole number from {least} to {most:,}")


def seconds(name: str, value: float | None) -> None:
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool) or not value > 0):
        raise ConfigError(name, f"is {value!r}; it must be a number of seconds above 0, or None")


def function(name: str, value: Callable[..., Any]) -> None:
    if not callable(value):
        raise ConfigError(name, f"is {value!r}; it must be an async function")


def proof(value: object) -> None:
    if value is not None and not (hasattr(value, "verify") and hasattr(value, "answer")):
        raise ConfigError("challenge", f"is {value!r}; give a tieline.Challenge(key)")


def stream_address(text: str) -> Address:
    """An address of tcp, tls or unix; others are for other calls."""
    address = parse(text)
    if address.scheme not in ("tcp", "tls", "unix"):
        raise ConfigError("address", f"{address.scheme}:// is none of tcp://, tls://, unix: and memory:")
    return address


def server_tls(
    address: Address, tls: "ssl.SSLContext | ServerCertificate | str | Path | None"
) -> tuple[ssl.SSLContext | None, str]:
    """The context to serve with, and the pin that callers may dial with ("" where it is not known). May block."""
    if address.scheme != "tls":
        if tls is not None:
            raise ConfigError(
                "tls", f"means nothing for {address.scheme}; listen on tls://{address.host}:{address.port}"
            )
        return None, ""
    if isinstance(tls, ssl.SSLContext):
        return tls, ""
    from tieline.transports.certificate import ServerCertificate, load, make_certificate

    if tls is None:
        tls = ServerCertificate(*make_certificate([address.host]))
    elif isinstance(tls, str | Path):
        tls = load(Path(tls))
    elif not isinstance(tls, ServerCertificate):
        raise ConfigError("tls", f"is {tls!r}; it takes a PEM file with certificate and key, or an ssl.SSLContext")
    context = tls.context()
    context.set_alpn_protocols([])  # raw links name no protocol
    return context, tls.pin


def client_tls(address: Address, tls: "ssl.SSLContext | str | Path | None") -> ssl.SSLContext | None:
    """A context of the caller's own, or one that trusts the authorities of a PEM file; None leaves it to the pin."""
    if tls is None:
        return None
    if address.scheme != "tls":
        raise ConfigError("tls", f"means nothing for {address.scheme}; dial tls://{address.host}:{address.port}")
    if isinstance(tls, ssl.SSLContext):
        return tls
    if not isinstance(tls, str | Path):
        raise ConfigError("tls", f"is {tls!r}; it takes a PEM file of authorities, or an ssl.SSLContext")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(str(tls))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError("tls", f"cannot read authorities from {tls}: {error.strerror or error}") from error
    return context
