"""From a ticket to a profile. The ticket is used up only when the key is safely on this machine's disk.

The new key is written first, as a profile beside the final one; then it is enrolled; then the profile is renamed. Cut
off in between, there is a key that can still be used or one nobody knows, never an enrolled key that was lost: who
joins again, even with the same ticket, goes on with that key if the server knows it.
"""

import asyncio
import re
import secrets
import socket
from contextlib import AsyncExitStack

from tieline import profiles
from tieline.errors import CallError, ConfigError, LinkClosed, LoginFailed
from tieline.profiles import Profile
from tieline.transports.address import Address, parse

from .session import open_client
from .target import Target

PENDING = ".joining"


async def enrol(ticket: str, device: str | None, name: str, timeout: float) -> Profile:
    """Enrol this machine and write its profile. Raises ConfigError, LoginError, CallError, LinkError."""
    address = read_ticket(ticket)
    _spare_other(name, address)
    profile = await _left_over(name + PENDING, address, device, timeout)
    if profile is None:
        profile = await _enrolled_anew(name + PENDING, ticket, address, device, timeout)
    profiles.rename(name + PENDING, name)
    return profile


def read_ticket(text: str) -> Address:
    """The ticket, or a ConfigError that says what it is instead."""
    if not text.strip():
        raise ConfigError("ticket", "it is empty; `tieline invite NAME`, on the server's machine, prints one")
    address = parse(text)
    if address.scheme != "tieline" or not address.secret:
        raise ConfigError(
            "ticket", "this is an address, but no ticket; one ends in #… (was it quoted? a shell cuts it at the '#')"
        )
    return address


def default_device() -> str:
    """This machine's name, as far as it can be a device's."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", socket.gethostname().partition(".")[0]).strip(".-_")
    return name[:64] or "device"


def _spare_other(name: str, address: Address) -> None:
    known = profiles.read(name)
    if known is None or (known.account == address.account and parse(known.address).where == address.where):
        return
    held = f"{known.account} at {parse(known.address).where}"
    raise ConfigError("profile", f"{name!r} exists already ({held}); choose another with --profile NAME")


async def _left_over(pending: str, address: Address, device: str | None, timeout: float) -> Profile | None:
    """The key of an enrolment that was cut off, if it is for this account, and the server knows it."""
    left = profiles.read(pending)
    if left is None or left.account != address.account:
        return None
    if parse(left.address).where != address.where or left.pin != address.pin or not await _is_known(left, timeout):
        return None
    if device is not None and device != left.device:
        raise ConfigError(
            "device", f"this machine was enrolled as {left.device!r} when joining was cut off; join again as that"
        )
    return left


async def _enrolled_anew(pending: str, ticket: str, address: Address, device: str | None, timeout: float) -> Profile:
    from tieline.login.credential import new_key
    from tieline.login.scram import make_verifier
    from tieline.login.scram_bounds import KEY_ITERATIONS

    profile = Profile(
        address=f"tls://{address.where}",
        account=address.account,
        device=device or default_device(),
        key=new_key(),
        pin=address.pin,
    )
    verifier = await asyncio.to_thread(make_verifier, profile.key, KEY_ITERATIONS, secrets.token_bytes)
    async with AsyncExitStack() as stack:
        profiles.write(pending, profile)
        try:
            client = await open_client(stack, Target(ticket), timeout)
        except LoginFailed as error:
            profiles.remove(pending)
            raise _refused(error) from error
        except BaseException:  # Ctrl-C too: nothing was enrolled yet, so nobody needs this key
            profiles.remove(pending)
            raise
        # From here on the server may know the key: it is thrown away only when it certainly does not.
        try:
            await client.call("accounts.enrol", timeout=timeout, device=profile.device, verifier=verifier)
            return profile
        except LinkClosed:
            pass  # the answer was lost, not necessarily the enrolment: the key itself can tell
        except CallError as error:
            if error.remote:
                profiles.remove(pending)
            raise
    if await _is_known(profile, timeout):
        return profile
    profiles.remove(pending)
    raise LinkClosed("the connection was lost before the device was enrolled; try again")


def _refused(error: LoginFailed) -> LoginFailed:
    """The server tells no stranger which it was; a person with a ticket is told what it may have been."""
    return LoginFailed(f"{error.reason}. A ticket is good once and for a while: ask for a new one (`tieline invite`)")


async def _is_known(profile: Profile, timeout: float) -> bool:
    """Whether the server lets this key in."""
    async with AsyncExitStack() as stack:
        try:
            await open_client(stack, Target(profile.address, profile), timeout)
        except LoginFailed:
            return False
    return True
