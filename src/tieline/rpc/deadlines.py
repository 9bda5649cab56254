"""Which open calls run out when. Pure: time is an argument. Rounded up to hundredths of a second, so that a hundred
thousand calls with the same timeout share a few hundred entries."""

import heapq
import math

_STEP = 0.01


class Deadlines:
    """Times in seconds of whatever clock the caller uses."""

    __slots__ = ("_channels", "_of", "_steps")

    def __init__(self) -> None:
        self._channels: dict[int, set[int]] = {}
        self._of: dict[int, int] = {}
        self._steps: list[int] = []

    def add(self, channel: int, when: float) -> None:
        step = math.ceil(when / _STEP)
        self._of[channel] = step
        group = self._channels.get(step)
        if group is not None:
            group.add(channel)
            return
        self._channels[step] = {channel}
        heapq.heappush(self._steps, step)
        if len(self._steps) > 64 + 2 * len(self._of):
            self._forget_empty()

    def remove(self, channel: int) -> None:
        """Nothing happens when it has none."""
        step = self._of.pop(channel, None)
        if step is not None:
            self._channels[step].discard(channel)

    def next(self) -> float | None:
        """The earliest deadline still open; None without any."""
        steps = self._steps
        while steps and not self._channels[steps[0]]:
            del self._channels[heapq.heappop(steps)]
        return steps[0] * _STEP if steps else None

    def due(self, now: float) -> list[int]:
        """Take out every channel whose time has come."""
        over: list[int] = []
        while self._steps and self._steps[0] * _STEP <= now:
            for channel in self._channels.pop(heapq.heappop(self._steps)):
                del self._of[channel]
                over.append(channel)
        return over

    def _forget_empty(self) -> None:
        """Most calls are answered long before their deadline: what they leave would wait here for it."""
        self._channels = {step: group for step, group in self._channels.items() if group}
        self._steps = sorted(self._channels)

    def __bool__(self) -> bool:
        return bool(self._of)
