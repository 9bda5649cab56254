"""The receiving side of a fan-out, the same lean program for every contender, in a process of its own.

One publisher and many subscribers as plain sockets in one epoll loop; messages are counted by their bytes. Two ways:
`saturate` publishes as fast as the subscribers get everything, with a bounded number of messages under way; `pace`
publishes single messages far apart and times each delivery. Prints figures as JSON.
"""

import argparse
import json
import select
import socket
import ssl
import time
from dataclasses import dataclass
from types import ModuleType

from . import peers
from .certificate import Certificate
from .processes import allow_many_files, cpu_seconds

PAYLOAD = b"hello everyone, this is one line"
SILENCE = 3.0
"Seconds without a byte after which what is still owed counts as lost."


@dataclass
class Plan:
    port: int
    tls: str | None
    pids: list[int]
    subscribers: int
    way: str
    warm: float
    seconds: float
    every: float = 0.05
    "Seconds between single messages."


class Crowd:
    def __init__(self, peer: ModuleType, plan: Plan) -> None:
        self.peer, self.plan = peer, plan
        self.tls = Certificate.at(plan.tls).client_context() if plan.tls else None
        self.size: int = peer.delivered(PAYLOAD)
        self.buffer = bytearray(256 * 1024)
        self.poll = select.epoll()
        self.got: dict[int, int] = {}
        "Bytes by file descriptor."
        self.sockets: dict[int, socket.socket] = {}
        self.sent = 0
        "Messages."
        self.told = b""
        "The newest that was not for a subscriber: when a server closes, it may say why."

    def gather(self) -> None:
        """Connect and subscribe everybody, then read away what the handshakes left behind."""
        self.publisher = self.peer.publisher(self.plan.port, self.tls)
        members = [self.peer.subscribe(self.plan.port, self.tls, index) for index in range(self.plan.subscribers)]
        for sock in (self.publisher, *members):
            sock.setblocking(False)
            self.sockets[sock.fileno()] = sock
            self.poll.register(sock.fileno(), select.EPOLLIN)
        while self.receive(0.3):
            pass
        self.got = dict.fromkeys((sock.fileno() for sock in members), 0)

    def receive(self, timeout: float) -> int:
        """Read once from everybody who has something; how many bytes subscribers got. The publisher's are ignored."""
        total, buffer, got, sockets = 0, self.buffer, self.got, self.sockets
        for fd, _ in self.poll.poll(timeout):
            try:
                count = sockets[fd].recv_into(buffer)
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            if not count:
                raise ConnectionError(f"the server closed a connection; last it told the publisher: {self.told!r}")
            if fd in got:
                got[fd] += count
                total += count
                continue
            self.told = bytes(buffer[: min(count, 200)])
            if not got:
                total += count  # still gathering
        return total

    def saturate(self) -> dict[str, float]:
        plan, window = self.plan, self.peer.WINDOW
        batch = window // 4
        began = time.perf_counter()
        marks, times = [], [began + plan.warm, began + plan.warm + plan.seconds]
        backlog = memoryview(b"")
        per_message = self.size * plan.subscribers
        received = 0
        while times:
            if not backlog and (self.sent + batch) * per_message - received <= window * per_message:
                backlog = memoryview(self.peer.publish(PAYLOAD, self.sent, batch))
                self.sent += batch
            if backlog:
                backlog = backlog[self.push(backlog) :]
            received += self.receive(0.001 if backlog else 0.05)
            if time.perf_counter() >= times[0]:
                times.pop(0)
                marks.append((time.perf_counter(), received, cpu_seconds(plan.pids), time.process_time()))
        lost = self.drain(backlog)
        (t0, r0, c0, p0), (t1, r1, c1, p1) = marks
        deliveries = (r1 - r0) / self.size
        if deliveries <= 0:
            raise RuntimeError("nothing was delivered")
        return {
            "rate": deliveries / (t1 - t0),
            "server_cpu": (c1 - c0) / deliveries * 1e6,
            "receiver_busy": (p1 - p0) / (t1 - t0) * 100,
            "lost": lost,
        }

    def push(self, data: memoryview) -> int:
        try:
            return self.publisher.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0

    def drain(self, backlog: memoryview) -> int:
        """Send the rest, receive the rest; how many deliveries never came."""
        owed = self.sent * self.size
        nudge = getattr(self.peer, "NUDGE", b"")
        quiet_since = time.perf_counter()
        while time.perf_counter() - quiet_since < SILENCE:
            if backlog:
                backlog = backlog[self.push(backlog) :]
            if self.receive(0.02):
                quiet_since = time.perf_counter()
            elif not backlog:
                if all(count >= owed for count in self.got.values()):
                    return 0
                backlog = memoryview(nudge)
        return sum(max(0, owed - count) // self.size for count in self.got.values())

    def pace(self) -> dict[str, float]:
        """Latency is from before the send to after the read of each subscriber's copy."""
        plan = self.plan
        latencies: list[float] = []
        for _ in range(5):
            self.single([])
        began, cpu = time.perf_counter(), cpu_seconds(plan.pids)
        following = began
        while time.perf_counter() - began < plan.seconds:
            self.single(latencies)
            following += plan.every
            time.sleep(max(0.0, following - time.perf_counter()))
        used = cpu_seconds(plan.pids) - cpu
        lost = self.drain(memoryview(b""))
        latencies.sort()
        return {
            "server_cpu": used / len(latencies) * 1e6,
            "p50": latencies[len(latencies) // 2] * 1e6,
            "p99": latencies[len(latencies) * 99 // 100] * 1e6,
            "lost": lost,
        }

    def single(self, latencies: list[float]) -> None:
        message = self.peer.publish(PAYLOAD, self.sent, 1)
        self.sent += 1
        owed, missing = self.sent * self.size, set(self.got)
        began = time.perf_counter()
        if self.push(memoryview(message)) != len(message):
            raise RuntimeError("a single message did not fit the socket's buffer")
        while missing:
            if time.perf_counter() - began > SILENCE:
                raise RuntimeError(f"{len(missing)} subscribers did not get a single message")
            for fd, _ in self.poll.poll(0.5):
                try:
                    count = self.sockets[fd].recv_into(self.buffer)
                except (BlockingIOError, ssl.SSLWantReadError):
                    continue
                if not count:
                    raise ConnectionError("the server closed a connection")
                if fd in self.got:
                    self.got[fd] += count
                    if fd in missing and self.got[fd] >= owed:
                        latencies.append(time.perf_counter() - began)
                        missing.discard(fd)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("plan", help="a Plan as JSON")
    args = parser.parse_args()
    allow_many_files()
    plan = Plan(**json.loads(args.plan))
    crowd = Crowd(peers.named(peers.FANOUT, args.name).load(), plan)
    crowd.gather()
    print(json.dumps(crowd.saturate() if plan.way == "saturate" else crowd.pace()), flush=True)


if __name__ == "__main__":
    main()
