"""Name and password, asked of a person. Goes in: a visitor who said nothing yet; comes out: a peer, or goodbye.

Nothing typed here is ever carried out, and what could be a browser is sent away.
"""

import re
from collections.abc import Awaitable, Callable

from tieline.doors.typed import Typed
from tieline.doors.visitor import Visitor
from tieline.errors import LoginFailed, TielineError
from tieline.rpc.peer import Peer
from tieline.transports.caller import Caller, caller_of

Admit = Callable[[str, str | None, str], Awaitable[Peer]]
"admit(name, password, address): the peer of an account, or of a guest when there is no password. Raises LoginError."

TRIES = 3
"Wrong logins after which a visitor has to call again."
GUEST = "guest"

HTTP_HERE = "This is not HTTP, and nothing of it was done. Goodbye."
_LOGIN_FIRST = "Log in first: the name on one line, the password on the next. After that come commands and JSON."
_REQUEST = re.compile(r"[A-Za-z-]+ +(?:/\S*|\*|[a-z]+://\S*|\S+:\d+) +HTTP/\d(?:\.\d)?")


def is_http(typed: Typed) -> bool:
    """Whether a line is an HTTP request line, whatever else was said before."""
    return _REQUEST.fullmatch(typed.text.strip()) is not None


class SignIn:
    """One login. `guests`: whether callers without a password are let in at all."""

    def __init__(self, visitor: Visitor, admit: Admit, *, guests: bool) -> None:
        self._visitor = visitor
        self._admit = admit
        self._guests = guests
        info = visitor.stream.info
        self._address = info.host
        # In plain text a password would be read by everybody on the way.
        self._secrets = info.kind == "tls" or info.loopback

    async def run(self, greeting: str) -> Peer | None:
        """None when there will be no login; then the visitor was told and is leaving."""
        visitor = self._visitor
        if not self._secrets and not self._guests:
            visitor.part(
                greeting,
                "Passwords are not taken in plain text from another machine. Call again with TLS: "
                "openssl s_client -quiet -connect HOST:PORT",
            )
            return None
        visitor.say(greeting)
        for left in reversed(range(TRIES)):
            try:
                peer = await self._try()
            except LoginFailed as error:
                visitor.say(f"{error}.", *([] if left else [f"{TRIES} wrong logins; call again."]))
                continue
            except TielineError as error:
                visitor.part(f"{error}.")
                return None
            if peer is not None or visitor.parted:
                return peer
        visitor.part()
        return None

    async def _try(self) -> Peer | None:
        """One name and, if it needs one, its password. None when the visitor leaves."""
        name = await self._ask("name, or guest: " if self._guests else "name: ")
        if name is None:
            return None
        name = name.strip()
        name = name if "/" in name else name.lower()
        if name == GUEST and not self._guests:
            self._visitor.say("No guests are let in here; ask the owner of this server for an account.")
        wish = self._guest_name(name)
        if wish is None:
            password = await self._ask_password(name)
            if password is None:
                return None
            if password or not self._guests:
                return await self._admit(name, password, self._address)
            wish = name
        return await self._admit(wish, None, self._address)

    def _guest_name(self, name: str) -> str | None:
        """What a guest would like to be called, maybe nothing; None for a name that wants its password."""
        if not self._guests:
            return None
        if name in ("", GUEST):
            return ""
        if name.startswith(f"{GUEST}-"):
            return name.removeprefix(f"{GUEST}-")
        return None if self._secrets else name

    async def _ask_password(self, name: str) -> str | None:
        hint = "" if self._visitor.telnet.spoken else ", seen as you type it"
        none = "; none for a guest" if self._guests else ""
        password = await self._ask(
            f"password of {name}{f' ({(hint + none)[2:]})' if hint or none else ''}: ", secret=True
        )
        self._visitor.secret_typed()
        return password

    async def _ask(self, question: str, *, secret: bool = False) -> str | None:
        """A line that is an answer; empty ones are, for a password or where guests need no name."""
        visitor = self._visitor
        while True:
            await visitor.drained()
            visitor.prompt(question, secret=secret)
            typed = await visitor.line()
            if typed is None:
                visitor.leave()
                return None
            if caller_of(f"{typed.text.strip()}\n".encode()) is Caller.HTTP or is_http(typed):
                visitor.part(HTTP_HERE)
                return None
            if typed.too_long:
                visitor.part(f"That line is longer than {visitor.line_limit:,} bytes. Goodbye.")
                return None
            text = typed.text.strip()
            if text == "/quit":  # at any question, so that nobody is kept here
                visitor.part("Goodbye.")
                return None
            if secret:
                return typed.text
            if text.startswith(("{", "/")):
                visitor.say(_LOGIN_FIRST)
            elif text or self._guests:
                return text
