"""Where to listen or dial, as text: `parse(text)` gives an `Address`, and `str(address)` gives text that parses to it.

Reads only; never looks a name up, never touches a socket or a file.
"""

import ipaddress
import re
from urllib.parse import quote, unquote

import msgspec

from tieline.errors import AddressError

DEFAULT_PORT = 7788
SCHEMES = ("tcp", "tls", "unix", "udp", "ws", "wss", "tieline")
_WITH_TLS = ("tls", "wss", "tieline")
_WITH_PATH = ("ws", "wss")
_EXPECTED = "expected host:port, [v6-address]:port, :port, unix:/path or tieline://host/account"
# Names may be in any script, but nothing that an address, a shell or a terminal would take for something else.
_NOT_IN_A_HOST = re.compile(r"[\s\x00-\x20\x7f-\x9f/\\?#@\[\]:%<>\"'`]")


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """One address. `host` is empty for "every address of this machine"; `path` is a Unix socket's or a URL's."""

    scheme: str = "tcp"
    host: str = ""
    port: int = DEFAULT_PORT
    path: str = ""
    account: str = ""
    pin: str = ""
    "SHA-256 of the server's certificate, 64 hex digits."
    secret: str = ""
    "A ticket's one-time secret. In `str()`, since a ticket is an address; in neither `repr()` nor `where`."

    @property
    def tls(self) -> bool:
        return self.scheme in _WITH_TLS

    @property
    def where(self) -> str:
        """Host and port, or the Unix path: what to show people. Holds no account, pin or secret."""
        if self.scheme == "unix":
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        if self.scheme == "unix":
            return self.where
        path = f"/{quote(self.account, safe='')}" if self.account else quote(self.path, safe="/")
        pin = f"?pin={self.pin}" if self.pin else ""
        secret = f"#{quote(self.secret, safe='')}" if self.secret else ""
        return f"{self.scheme}://{self.where}{path}{pin}{secret}"

    def __repr__(self) -> str:
        account = f" account={self.account}" if self.account else ""
        return f"<Address {self.scheme} {self.where}{account}{' with a secret' if self.secret else ''}>"


def parse(text: str, *, scheme: str = "tcp") -> Address:
    """Read an address; `scheme` is for text that names none. Raises AddressError, whose sentence says what is wrong."""
    if not isinstance(text, str):  # most likely a variable of the environment that is not set
        raise AddressError("address", f"is {text!r}, not text; {_EXPECTED}")
    text = text.strip()
    if not text:
        raise AddressError("address", f"is empty; {_EXPECTED}")
    if text.startswith("unix:"):
        return _unix(text)
    named, separator, rest = text.partition("://")
    if not separator:
        return _network(text, scheme, text)
    if named.lower() not in SCHEMES or named.lower() == "unix":
        raise AddressError(_shown(text), f"{named!r} is not a way to connect; use one of {', '.join(SCHEMES)}")
    return _network(text, named.lower(), rest)


def _unix(text: str) -> Address:
    path = text.removeprefix("unix:")
    if path.startswith("//"):  # unix:///run/x is what URL-minded people write; unix:/run/x is the same file
        path = path[2:]
    if not path or "\0" in path:
        raise AddressError(_shown(text), "names no file; write unix:/path/to/socket")
    return Address(scheme="unix", port=0, path=path)


def _network(text: str, scheme: str, rest: str) -> Address:
    rest, _, secret = rest.partition("#")
    rest, _, query = rest.partition("?")
    place, slash, path = rest.partition("/")
    host, port = _host_and_port(text, place)
    account = unquote(path) if scheme == "tieline" else ""
    url_path = unquote(slash + path) if scheme in _WITH_PATH else ""
    if secret and not account:
        raise AddressError(_shown(text), "only a ticket (tieline://host/account?pin=…#secret) holds a #secret")
    if scheme == "tieline" and not host:
        raise AddressError(_shown(text), "a ticket must name the server's host: tieline://host/account")
    if path and not (account or url_path):
        raise AddressError(_shown(text), f"a {scheme} address ends after the port; take /{path} away")
    _check_account(text, account)
    pin = _pin(text, query, scheme)
    return Address(
        scheme=scheme, host=host, port=port, path=url_path, account=account, pin=pin, secret=_secret(text, secret)
    )


def _host_and_port(text: str, place: str) -> tuple[str, int]:
    if "@" in place:
        raise AddressError(_shown(text), "no user goes before the host; write tieline://host/account")
    if place.startswith("["):
        host, bracket, tail = place[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise AddressError(_shown(text), "an IPv6 address is written [address]:port")
        return _ipv6(text, host), _port(text, tail[1:]) if tail else DEFAULT_PORT
    if place.count(":") > 1:
        raise AddressError(_shown(text), f"an IPv6 address needs brackets: {_with_brackets(place)}")
    host, colon, port = place.partition(":")
    if not host and not colon:
        raise AddressError(_shown(text), f"names no host; {_EXPECTED}")
    return _host(text, host), _port(text, port) if colon else DEFAULT_PORT


def _with_brackets(place: str) -> str:
    """What was most likely meant: four digits and more at the end of what is an address without them are a port."""
    host, _, port = place.rpartition(":")
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return f"[{place}]:{DEFAULT_PORT}"
    return f"[{host}]:{port}" if len(port) > 3 and port.isdigit() else f"[{place}]:{DEFAULT_PORT}"


def _ipv6(text: str, host: str) -> str:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        raise AddressError(_shown(text), f"{host!r} is not an IPv6 address") from None
    zone = host.partition("%")[2]
    if zone and _NOT_IN_A_HOST.search(zone):
        raise AddressError(_shown(text), f"{zone!r} is not a network interface")
    return host


def _host(text: str, host: str) -> str:
    if host == "*":
        return ""
    if _NOT_IN_A_HOST.search(host) or len(host) > 253:
        raise AddressError(_shown(text), f"{host[:80]!r} is not a host name or IP address")
    return host


def _port(text: str, port: str) -> int:
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise AddressError(_shown(text), f"the port is {port!r}; it must be a number from 0 to 65535")
    return int(port)


def _check_account(text: str, account: str) -> None:
    if "/" in account or not account.isprintable():
        raise AddressError(_shown(text), "one account goes after the host: tieline://host/account")


def _pin(text: str, query: str, scheme: str) -> str:
    if not query:
        return ""
    name, _, value = query.partition("=")
    if name != "pin" or scheme not in _WITH_TLS:
        raise AddressError(_shown(text), f"?{name}= means nothing here; only ?pin=… with {', '.join(_WITH_TLS)}")
    pin = value.replace(":", "").lower()  # openssl prints fingerprints as AB:CD:…
    if not re.fullmatch(r"[0-9a-f]{64}", pin):
        raise AddressError(_shown(text), f"the pin has {len(pin)} characters; it must be 64 hex digits (was it cut?)")
    return pin


def _secret(text: str, secret: str) -> str:
    plain = unquote(secret)
    if not plain.isprintable():
        raise AddressError(_shown(text), "the secret after # holds characters no ticket has (was it pasted whole?)")
    return plain


def _shown(text: str) -> str:
    """The address as an error may show it: errors end up in logs and screenshots, so without the secret."""
    shown = text.partition("#")[0] + ("#…" if "#" in text else "")
    return repr(shown[:120])
