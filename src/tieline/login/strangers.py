"""Who answered and is no Tieline server, or takes no plain text: said as what it is, with what to do. Pure."""

from tieline.errors import DialFailed, LinkError, NotTieline, PlainRefused, ProtocolError
from tieline.transports.address import Address
from tieline.transports.endpoint import is_loopback

_KINDS = (
    (b"SSH-", "an SSH server"),
    (b"HTTP/", "a web server"),
    (b"<", "a web server"),
    (b"220", "a mail or FTP server"),
)
"What others begin their answer with, to whom our first words make no sense."
GREETED = "a Tieline server"
"Stands in the lines door's greeting, which is for people."


def stranger(address: Address, error: LinkError) -> LinkError:
    """What to raise for a link that ended by `error` before whoever is there said one word of `tieline/1`."""
    if isinstance(error, NotTieline):
        if str(PlainRefused()).encode() in error.begun:
            return PlainRefused()
        kind = next((kind for start, kind in _KINDS if error.begun.startswith(start)), "")
        who = kind or f"another program, whose answer begins with {error.begun!r}"
        return DialFailed(address.where, f"what answers there is {who} and no Tieline server: check the port")
    if isinstance(error, ProtocolError):
        return DialFailed(address.where, f"what answers there is no working Tieline server: {error.reason}")
    return DialFailed(address.where, f"the connection was cut before the server said anything: {_why(address)}")


def greeted(error: BaseException | None) -> bool:
    """Whether a Tieline server took us for a person, since we were so slow to speak: then another try may do."""
    return isinstance(error, NotTieline) and GREETED.encode() in error.begun


def _why(address: Address) -> str:
    if address.scheme == "tcp" and address.host not in ("", "localhost") and not is_loopback(address.host):
        return "plain text is served on the server's own machine only; elsewhere use a ticket, or tls://"
    return "is that a Tieline server, and is it not overloaded?"
