"""Making datagram endpoints: `tieline.datagrams`, and what its arguments may be. Bad ones are named."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tieline.errors import AddressError, ConfigError
from tieline.limits import DEFAULT, Limits
from tieline.link.answers import Answer
from tieline.link.datagrams import Datagrams
from tieline.link.guard import ClientGuard, Guard, ServerGuard
from tieline.transports import datagram_sockets
from tieline.transports.address import Address, parse
from tieline.transports.datagram_sockets import DatagramOptions
from tieline.wire.keyring import Keyring
from tieline.wire.sealed import KEY, Key, key_of, stretched


@asynccontextmanager
async def datagrams(
    address: str = "",
    answer: Answer | None = None,
    *,
    to: str = "",
    key: bytes | str | Key | Keyring | None = None,
    limits: Limits = DEFAULT,
    broadcast: bool = False,
    multicast: str = "",
    interface: str = "",
    ttl: int | None = None,
    loop: bool | None = None,
    send_buffer: int | None = None,
    receive_buffer: int | None = None,
) -> AsyncIterator[Datagrams]:
    """An endpoint that receives at `address`, or one that sends to `to`, or both at once.

    `answer(message, sender)` gives what to send back, or None; a coroutine function may take its time, a plain one runs
    on the loop and must not block. Without a key an answer is never larger than what it answers. `key` is a passphrase,
    32 random bytes, a key that a server handed out, or on the server's side a keyring. The rest is `DatagramOptions`.
    Raises AddressError, ConfigError and DialFailed.
    """
    options = DatagramOptions(
        broadcast=broadcast,
        multicast=multicast,
        interface=interface,
        ttl=ttl,
        loop=loop,
        send_buffer=send_buffer,
        receive_buffer=receive_buffer,
    )
    local, remote = _udp(address), _udp(to)
    secret = await _read_key(key, remote, options)
    place = None
    if remote is not None:
        sock, place = await asyncio.to_thread(datagram_sockets.towards, remote, local, options)
        sockets = [sock]
    elif local is not None:
        sockets = await asyncio.to_thread(datagram_sockets.bound, local, options)
    else:
        raise ConfigError("address", "says nothing; give one to receive at, or to= one to send to")
    endpoint = Datagrams(limits, answer, place, remote)
    guard = _guard(secret, endpoint, remote)
    endpoint.open(sockets, local or Address(scheme="udp"), guard)
    try:
        yield endpoint
    finally:
        await endpoint.close()


def _udp(text: str) -> Address | None:
    if not text:
        return None
    address = parse(text, scheme="udp")
    if address.scheme != "udp":
        raise AddressError(text, f"is not for datagrams; write udp://{address.where}")
    return address


async def _read_key(key: object, remote: Address | None, options: DatagramOptions) -> Key | Keyring | None:
    if key is None:
        return None
    if options.broadcast or options.multicast or (remote is not None and _is_group(remote.host)):
        raise ConfigError("key", "cannot be used with broadcast or multicast: each two have a session of their own")
    if isinstance(key, Keyring) and remote is not None:
        raise ConfigError("key", "is a keyring, which is for the side that clients come to; give to= one key of it")
    if isinstance(key, (Key, Keyring)):
        return key
    if isinstance(key, bytes) and len(key) == KEY:
        return key_of(key)
    if isinstance(key, (bytes, str)):
        return await asyncio.to_thread(stretched, key)
    raise ConfigError("key", f"is a {type(key).__name__}; give a passphrase, 32 bytes, or a key handed out")


def _is_group(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_multicast
    except ValueError:
        return False


def _guard(secret: Key | Keyring | None, endpoint: Datagrams, remote: Address | None) -> Guard | None:
    drop, limits = endpoint.counts.drop, endpoint.limits
    if secret is None:
        return None
    if isinstance(secret, Keyring):
        return ServerGuard(secret, drop)
    if remote is None or endpoint.to is None:
        return ServerGuard(Keyring(secret), drop)
    return ClientGuard(secret, endpoint.to, str(remote), drop, patience=limits.opening, silence=limits.ping)
