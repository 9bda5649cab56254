"""Who is calling, by the first bytes of a connection. Pure: bytes in, a `Caller` out.

Whatever could be a browser is HTTP and nothing else: a page elsewhere can make a browser send a form here, and its
lines must never be taken for a person's.
"""

import enum
import re

PEEK = 256
"Bytes worth looking at. The first decides for programs; the rest only tells HTTP from a person."

NATIVE_BYTE = 0xF7
"The native preface begins with it: no text, no TLS record and no HTTP request does."
LANE_BYTE = 0xF8
"The same of a lane, a connection that carries files."
TLS_BYTE = 0x16

# RFC 9110, WebDAV (RFC 4918 and its kin), and HTTP/2's preface.
_METHODS = (
    b"GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH PRI ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT COPY LABEL "
    b"LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE ORDERPATCH PROPFIND PROPPATCH QUERY "
    b"REBIND REPORT SEARCH UNBIND UNCHECKOUT UNLINK UNLOCK UPDATE UPDATEREDIRECTREF VERSION-CONTROL"
)
_NAMES = tuple(_METHODS.split())
_METHOD = re.compile(rb"(?:%s)[ \t\r\n]" % b"|".join(map(re.escape, _NAMES)))
# Any other method (RFC 9110, 5.6.2: a token), however it is written, when the request line is there to be seen.
_REQUEST_LINE = re.compile(rb"(?:\r?\n)?[!#$%&'*+.^_`|~0-9A-Za-z-]+ +[^\r\n]* HTTP/\d")


class Caller(enum.Enum):
    TLS = "tls"
    NATIVE = "native"
    LANE = "lane"
    HTTP = "http"
    SSH = "ssh"
    PERSON = "person"


def caller_of(first_bytes: bytes) -> Caller:
    """Decides on any non-empty beginning; one byte is enough. Nothing at all is a person who waits to be greeted."""
    if not first_bytes:
        return Caller.PERSON
    if first_bytes[0] == TLS_BYTE:
        return Caller.TLS
    if first_bytes[0] == NATIVE_BYTE:
        return Caller.NATIVE
    if first_bytes[0] == LANE_BYTE:
        return Caller.LANE
    if _could_be_http(first_bytes):
        return Caller.HTTP
    if first_bytes.startswith(b"SSH-") or first_bytes in (b"SS", b"SSH"):
        return Caller.SSH
    return Caller.PERSON


def _could_be_http(first_bytes: bytes) -> bool:
    """A method, whole or as far as it has come; or a request line with a method of any name."""
    return (
        _METHOD.match(first_bytes) is not None
        or any(name.startswith(first_bytes) for name in _NAMES)
        or _REQUEST_LINE.match(first_bytes[:PEEK]) is not None
    )
