"""The methods tokens.*: access tokens of one's own account, for curl and other programs that do not log in."""

import logging
from collections.abc import Callable

import msgspec

from tieline.errors import Denied
from tieline.login.identity import TOKEN
from tieline.login.tokens import LIFETIME, Token, Tokens
from tieline.rpc.handlers import Handlers
from tieline.rpc.peer import Peer

log = logging.getLogger("tieline.tokens")
Cut = Callable[[str, str | None], int]
"Ends what is going on for an account by one of its devices, or by a token of it."


class ListedToken(msgspec.Struct, frozen=True):
    """A token without its secret; times in unix milliseconds."""

    name: str
    scopes: list[str]
    device: str
    "The device that made it; it ends with that."
    created: int
    expires: int


class NewToken(msgspec.Struct, frozen=True):
    """A token, shown this once."""

    token: str
    name: str
    scopes: list[str]
    expires: int


def install(handlers: Handlers, tokens: Tokens, cut: Cut) -> None:
    """For everybody who is logged in; only admins see and revoke those of others."""

    @handlers.method("tokens.create")
    async def create(peer: Peer, name: str = "", can: list[str] | None = None, expires: float = LIFETIME) -> NewToken:
        """A token of the caller's account for `can` (without it: files), good for `expires` seconds."""
        token, text = await tokens.create(peer.identity, name, can, expires)
        log.info("%s made the token %s for %s", peer.identity, token.name, ", ".join(sorted(token.scopes)))
        return NewToken(text, token.name, sorted(token.scopes), token.expires)

    @handlers.method("tokens.list")
    async def list_(peer: Peer, account: str | None = None) -> list[ListedToken]:
        """The tokens of the caller's account, or of another for admins."""
        return [_listed(token) for token in await tokens.list(_whose(peer, account))]

    @handlers.method("tokens.revoke")
    async def revoke(name: str, peer: Peer, account: str | None = None) -> None:
        """End a token; what is going on with it stops."""
        whose = _whose(peer, account)
        await tokens.revoke(whose, name)
        log.info("%s revoked the token %s of %s", peer.identity, name, whose)
        cut(whose, f"{TOKEN}/{name}")


def _whose(peer: Peer, account: str | None) -> str:
    who = peer.identity
    if who.guest or (account not in (None, who.account) and not who.may("admin")):
        raise Denied("only an account's own devices and admins see and revoke its tokens")
    return who.account if account is None else account


def _listed(token: Token) -> ListedToken:
    return ListedToken(token.name, sorted(token.scopes), token.device, token.created, token.expires)
