"""The numbers of channels, as arithmetic: a client's are odd, a server's even, and each is larger than the last.

After 2^31 calls of one side its numbers begin again, so "larger" means: ahead by less than half of all numbers.
"""

from collections.abc import Container

from tieline.errors import ProtocolError

CHANNELS = 1 << 32
"How many numbers there are; 0 is the link's own."


def check_order(channel: int, last: int) -> None:
    """A call may be the first on this channel after `last`: numbers may be left out. Raises ProtocolError."""
    ahead = (channel - last) % CHANNELS
    if channel == 0 or ahead % 2:
        which = "a client's are odd" if last % 2 else "a server's are even, and 0 is the link's"
        raise ProtocolError(f"channel {channel} cannot be opened: {which}")
    if ahead == 0 or ahead >= CHANNELS // 2:
        raise ProtocolError(f"channel {channel} cannot be opened after {last}: each is larger than the one before")


def next_free(channel: int, taken: Container[int]) -> int:
    """This channel if it is free, else the next of the same side that is, from the beginning after the last one."""
    channel %= CHANNELS
    while channel == 0 or channel in taken:
        channel = (channel + 2) % CHANNELS
    return channel


def is_past(channel: int, last: int) -> bool:
    """True when the channel was opened no later than `last`, the newest of the same side (below 1: there is none)."""
    return last > 0 and (last - channel) % CHANNELS < CHANNELS // 2
