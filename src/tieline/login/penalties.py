"""What wrong logins cost: time. Pure: facts and the time come in, seconds to wait come out; memory is bounded.

Three counters, because guessers come in three ways. By *block* (one guesser, many names): an IPv4 address or an IPv6
/64. By *user* (many addresses, one name). By *pair*, for a user who once succeeded from this very block: that user
waits for nobody's mistakes there but those made under the same name at the same place, so neither strangers guessing at
the name nor neighbours behind one router keep the honest one out. Only new logins wait; who is in stays in.
"""

import ipaddress
from collections import OrderedDict

import msgspec

KEPT = 8192
"Entries per counter. The one that was quiet longest is forgotten first."
FORGET = 3600.0
"Seconds without a wrong login after which an entry is as good as new."


class Scale(msgspec.Struct, frozen=True):
    """`free` wrong logins cost nothing, the next 1 s, and each further one twice as much up to `longest` seconds."""

    free: int
    longest: float

    def delay(self, failures: int) -> float:
        over = failures - self.free
        return 0.0 if over <= 0 else min(self.longest, 2.0 ** min(over - 1, 30))


BLOCK = Scale(free=10, longest=300.0)
USER = Scale(free=10, longest=10.0)
PAIR = Scale(free=5, longest=30.0)


class Penalties:
    """Ask `wait()` before a login is looked at and again before its proof is, then say how it ended.

    Asking again closes the gap in which a thousand logins begin before the first has failed.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._blocks = _Counter(BLOCK, kept)
        self._users = _Counter(USER, kept)
        self._pairs = _Counter(PAIR, kept)
        self._known = _Recent(kept)

    def wait(self, user: str, address: str, now: float) -> float:
        """Seconds until this user may try from this address; 0 when it may now."""
        block = block_of(address)
        if (user, block) in self._known:
            return self._pairs.wait((user, block), now)
        return max(self._blocks.wait(block, now) if block else 0.0, self._users.wait(user, now))

    def failed(self, user: str, address: str, now: float) -> None:
        """A login was wrong."""
        block = block_of(address)
        if (user, block) in self._known:
            self._pairs.add((user, block), now)
        else:
            self._users.add(user, now)
        self._blocks.add(block, now)

    def succeeded(self, user: str, address: str, now: float) -> None:
        """A login was right. The block's count stays: an account of one's own must not wash away guesses at others'."""
        block = block_of(address)
        self._pairs.clear((user, block))
        self._known.add((user, block))

    def __len__(self) -> int:
        return len(self._blocks) + len(self._users) + len(self._pairs) + len(self._known)


def block_of(address: str) -> str:
    """What counts as one place: the IPv4 address, the IPv6 /64, or "" where there is no address (a Unix socket)."""
    if not address:
        return ""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:  # what a dual-stack socket makes of an IPv4 caller
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(ip) >> 64 << 64, 64)))


class _Counter:
    """Failures per key and when the last one was, oldest first."""

    def __init__(self, scale: Scale, kept: int) -> None:
        self._scale = scale
        self._kept = kept
        self._entries: OrderedDict[object, tuple[int, float]] = OrderedDict()

    def wait(self, key: object, now: float) -> float:
        failures, last = self._entries.get(key, (0, now))
        if now < last:
            # A clock that was set back must not turn 10 s into a year: it counts from now.
            last = now
            self._entries[key] = failures, now
        return max(0.0, self._scale.delay(failures) - (now - last))

    def add(self, key: object, now: float) -> None:
        failures, last = self._entries.pop(key, (0, now))
        self._entries[key] = (1 if now - last > FORGET else failures + 1, now)
        if len(self._entries) > self._kept:
            self._entries.popitem(last=False)

    def clear(self, key: object) -> None:
        self._entries.pop(key, None)

    def __len__(self) -> int:
        return len(self._entries)


class _Recent:
    """The keys seen last."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._keys: OrderedDict[object, None] = OrderedDict()

    def add(self, key: object) -> None:
        self._keys[key] = None
        self._keys.move_to_end(key)
        if len(self._keys) > self._kept:
            self._keys.popitem(last=False)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return len(self._keys)
