"""Who is calling over HTTP: said by a token in each request (`Authorization: Bearer …`) and by nothing else.

No cookie, and nothing in the address: no page of another's can make a browser ask for anything.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from aiohttp import web

from tieline.doors.http import opening_of
from tieline.doors.http_answers import answering, unauthorized
from tieline.errors import Denied, LoginFailed, Overloaded
from tieline.limits import Limits
from tieline.login.identity import Identity

LOOK_AGAIN = 1.0
"Seconds between two looks whether a token is still good, while something is going on with it."


class Tokens(Protocol):
    """What is needed of the access tokens."""

    async def verify(self, text: str, address: str) -> Identity: ...

    async def still(self, text: str, identity: Identity) -> bool: ...


class Caller:
    """One request's caller, proven when the request came."""

    def __init__(self, tokens: Tokens, token: str, identity: Identity) -> None:
        self.identity = identity
        self._tokens = tokens
        self._token = token
        self._looked = asyncio.get_running_loop().time()

    async def allowed(self) -> bool:
        """Whether this may go on; the token is looked at anew now and then."""
        now = asyncio.get_running_loop().time()
        if now - self._looked < LOOK_AGAIN:
            return True
        self._looked = now
        return await self._tokens.still(self._token, self.identity)

    async def insist(self) -> None:
        """Raises LoginFailed unless the token is good this very moment."""
        if not await self._tokens.still(self._token, self.identity):
            raise LoginFailed("the token ended while the request went on, and nothing was done")


class Callers:
    """One for a server: counts what each account has going on."""

    def __init__(self, tokens: Tokens, limits: Limits) -> None:
        self._tokens = tokens
        self._most = limits.http_requests
        self._going_on: Counter[str] = Counter()

    @asynccontextmanager
    async def caller(self, request: web.Request) -> AsyncIterator[Caller]:
        """Who is calling, for as long as the request takes; what goes wrong within becomes an answer."""
        with answering(request):
            caller = await self._identify(request)
            account = caller.identity.account
            if self._going_on[account] >= self._most:
                raise Overloaded(f"{self._most} requests of yours are going on; wait for some of them")
            self._going_on[account] += 1
            try:
                yield caller
            finally:
                self._going_on[account] -= 1
                if not self._going_on[account]:
                    del self._going_on[account]

    async def _identify(self, request: web.Request) -> Caller:
        opening = opening_of(request)
        if not (opening.tls or opening.loopback):
            raise Denied("a token is not taken in plain text from another machine; use https://")
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise unauthorized("Say who you are: Authorization: Bearer TOKEN (`tieline token` makes one).")
        return Caller(self._tokens, token.strip(), await self._tokens.verify(token.strip(), opening.host))
