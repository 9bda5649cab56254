"""What a client logs in with. Holds the secret, so it shows nothing of it."""

import secrets
from urllib.parse import quote, unquote

import msgspec

from tieline.errors import InvalidArgument
from tieline.login.names import PASSWORD, account_name, device_name
from tieline.login.tickets import TICKET, id_of

PLAIN, PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
"What proves a secret to a server (RFC 7677); the second is bound to its certificate."
KEY_BYTES = 32
"A device's key: 256 random bits, beyond guessing, so that hashing it slowly would buy nothing."


class Credential(msgspec.Struct, frozen=True):
    """Who to log in as. Made by one of the class methods; `user` is the SCRAM user name."""

    mechanism: str
    user: str
    secret: str = ""

    @classmethod
    def key(cls, account: str, device: str, key: str) -> "Credential":
        """A device enrolled earlier."""
        return cls("SCRAM", user_name(account, device), key)

    @classmethod
    def password(cls, account: str, password: str) -> "Credential":
        return cls("SCRAM", user_name(account, PASSWORD), password)

    @classmethod
    def ticket(cls, secret: str) -> "Credential":
        """A ticket, by what stands behind its '#'. Raises LoginFailed when it cannot be one."""
        return cls("SCRAM", f"{TICKET}/{id_of(secret)}", secret)

    @classmethod
    def guest(cls, name: str = "") -> "Credential":
        return cls("ANONYMOUS", name)

    @classmethod
    def local(cls, account: str = "") -> "Credential":
        """The system user who runs the server, over its Unix socket; as the owner unless `account` is given."""
        return cls("EXTERNAL", account)

    def __repr__(self) -> str:
        return f"<Credential {self.mechanism} {self.user}>"


def new_key() -> str:
    """A fresh device key, made by the client: the server never sees it."""
    return secrets.token_hex(KEY_BYTES)


def user_name(account: str, device: str) -> str:
    """The SCRAM user name. Percent-encoded: SASLprep (RFC 4013) would refuse a Hebrew account's Latin-named device."""
    return f"{quote(account, safe='')}/{quote(device, safe='')}"


def split_user_name(user: str) -> tuple[str, str] | None:
    """Account (or "ticket") and device of a user name; None when it cannot be anybody's."""
    account, slash, device = user.partition("/")
    account, device = unquote(account), unquote(device)
    if not slash or user_name(account, device) != user:  # one spelling each, so that penalties count it as one
        return None
    try:
        device_name(device)
        return (account if account == TICKET else account_name(account)), device
    except InvalidArgument:
        return None
