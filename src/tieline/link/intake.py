"""What one socket of a datagram endpoint receives: judged, opened, and handed on or answered at once."""

import asyncio
import errno
import logging
from collections import Counter
from functools import partial
from typing import Protocol

from tieline.errors import LinkError
from tieline.link.answers import Answers
from tieline.link.guard import Guard
from tieline.transports.datagram import DatagramSocket
from tieline.transports.endpoint import Place, shown

log = logging.getLogger("tieline.datagrams")


class Counts:
    """What an endpoint did so far."""

    __slots__ = ("answered", "dropped", "received", "sent")

    def __init__(self) -> None:
        self.received = 0
        "All that came, what was dropped then included."
        self.answered = 0
        self.sent = 0
        "By `send` and `request`; answers are not in it."
        self.dropped: Counter[str] = Counter()
        "By reason."

    def drop(self, reason: str) -> None:
        self.dropped[reason] += 1

    def __repr__(self) -> str:
        dropped = "".join(f", {count} {reason}" for reason, count in self.dropped.items())
        return f"<Counts {self.received} received, {self.answered} answered, {self.sent} sent{dropped}>"


class Endpoint(Protocol):
    """Who keeps what is not answered at once."""

    counts: Counts
    asked: dict[Place, asyncio.Future[bytes]]
    "Who waits for the next datagram from there."

    def keep(self, message: bytes, sender: Place) -> None: ...

    def unreachable(self) -> None: ...


NOBODY = Answers(lambda message, sender: None, lambda reason: None, 0)
"Answers nothing: what comes is kept for who reads."


class Intake:
    """What one of an endpoint's sockets receives: judged, opened, and handed on or answered at once."""

    __slots__ = ("_answers", "_asked", "_counts", "_endpoint", "_guard", "_size", "socket")

    socket: DatagramSocket

    def __init__(self, endpoint: Endpoint, answers: Answers | None, guard: Guard | None, size: int) -> None:
        self._endpoint = endpoint
        self._asked = endpoint.asked
        self._answers = NOBODY if answers is None else answers
        self._guard = guard
        self._counts = endpoint.counts
        self._size = size

    def received(self, datagram: bytes, sender: Place) -> None:
        # Few calls of ours, since each adds a hundredth to what the system's two take.
        self._counts.received += 1
        if len(datagram) > self._size:
            self._counts.drop("too long")
            return
        message = datagram
        if self._guard is not None:
            opened = self._guard.receive(datagram, sender)
            if opened is None:
                return
            message = opened
        answers = self._answers
        if (answers is NOBODY or self._asked) and self._handed_on(message, sender):
            return
        try:
            answer = answers.function(message, sender)
        except Exception:  # the function is the user's, and the socket is for all callers
            answers.failed(sender)
            return
        if type(answer) is bytes:
            self._reply(answer, len(datagram), sender)
        elif answer is not None:
            answers.later(answer, sender, partial(self._reply, asked=len(datagram), sender=sender))

    def unreachable(self, error: OSError) -> None:
        self._endpoint.unreachable()

    def _handed_on(self, message: bytes, sender: Place) -> bool:
        """To the request that waits for it, or to who reads. False when it is to be answered."""
        request = self._asked.get(sender)
        if request is not None and not request.done():
            request.set_result(message)
        elif self._answers is NOBODY:
            self._endpoint.keep(message, sender)
        else:
            return False
        return True

    def _reply(self, answer: bytes, asked: int, sender: Place) -> None:
        if self._guard is not None:
            try:
                answer = self._guard.seal(answer, sender)
            except LinkError:
                self._counts.drop("unknown session")
                return
        elif len(answer) > asked:
            self._larger(answer, asked, sender)
            return
        try:
            self.socket.sendto(answer, sender)
            self._counts.answered += 1
        except BlockingIOError:
            self._counts.drop("send buffer full")
        except OSError as error:
            self._counts.drop("too long" if error.errno == errno.EMSGSIZE else "unreachable")

    def _larger(self, answer: bytes, asked: int, sender: Place) -> None:
        """Who forges his sender's address could have us send more to a victim than he sends himself."""
        self._counts.drop("larger than asked")
        if self._counts.dropped["larger than asked"] == 1:
            log.warning(
                "an answer of %d bytes to %s, who asked with %d, was not sent: without a key an answer may not be "
                "larger than the question (this is said once; see endpoint.counts)",
                len(answer),
                shown(sender),
                asked,
            )
