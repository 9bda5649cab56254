"""Echo of 32-byte datagrams: Tieline's endpoint beside a bare blocking loop and asyncio's DatagramProtocol on uvloop.

One client for all, as lean as Python gets: a blocking socket that keeps so many datagrams under way. It does as much
for each as the bare server does, so at 64 in flight the rate of a fast server is the client's; `server µs`, the
server's CPU for each, tells them apart.
Datagrams may be lost by any of them; the client then waits no longer than PATIENCE, and says how many.
"""

import argparse
import asyncio
import json
import signal
import socket
import sys
import time
from contextlib import nullcontext

from .contest import Contest, Figures, Metric
from .processes import Server, apart, cpu_seconds, read_json, run_client, spawn
from .setup import Setup

CASES = {"one at a time": 1, "64 in flight": 64}
METRICS = [
    Metric("rate", "datagrams/s", more_is_better=True),
    Metric("mean", "mean µs"),
    Metric("server_cpu", "server µs"),
    Metric("lost", "lost"),
]
MESSAGE = b"m" * 32
PATIENCE = 0.5


def run(setup: Setup) -> list[Contest]:
    contest = Contest("datagrams over udp", METRICS)
    names = [name for name in SERVERS if not setup.only_contenders or name in setup.only_contenders]
    contest.run(names, setup.rounds, lambda name: measure(setup, name))
    return [contest]


def measure(setup: Setup, name: str) -> dict[str, Figures]:
    process = spawn([sys.executable, "-m", "bench.raw_datagrams", "serve", name])
    with Server(process, read_json(process)["port"], [process.pid]) as server:
        figures = {}
        for case, in_flight in CASES.items():
            plan = {
                "port": server.port,
                "pids": server.pids,
                "in_flight": in_flight,
                "warm": setup.warm,
                "seconds": setup.seconds,
            }
            figures[case] = run_client("raw_datagrams", "drive", json.dumps(plan), timeout=setup.seconds + 30)
        return figures


# -- the servers -----------------------------------------------------------------------------------------------------


def announce(port: int) -> None:
    print(json.dumps({"port": port}), flush=True)


def serve_recvfrom() -> None:
    """The floor."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        announce(sock.getsockname()[1])
        while True:
            datagram, sender = sock.recvfrom(65536)
            sock.sendto(datagram, sender)


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(data, addr)


async def serve_protocol() -> None:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    announce(transport.get_extra_info("sockname")[1])
    await asyncio.Event().wait()


async def serve_tieline() -> None:
    import tieline

    async with tieline.datagrams("udp://127.0.0.1:0", lambda message, sender: message) as endpoint:
        announce(int(endpoint.address.rpartition(":")[2]))
        await asyncio.Event().wait()


SERVERS = {"recvfrom": serve_recvfrom, "protocol": serve_protocol, "tieline": serve_tieline}


def serve(name: str) -> None:
    server = SERVERS[name]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    if not asyncio.iscoroutinefunction(server):
        server()
        return
    import uvloop

    uvloop.run(server())  # type: ignore[arg-type]


# -- the client ------------------------------------------------------------------------------------------------------


def drive(plan: dict[str, object]) -> dict[str, float]:
    pids: list[int] = plan["pids"]  # type: ignore[assignment]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", plan["port"]))
        # A timeout of Python's own costs a poll() before every receive; the kernel's costs nothing.
        seconds, fraction = divmod(PATIENCE, 1)
        sock.setsockopt(
            socket.SOL_SOCKET,
            socket.SO_RCVTIMEO,
            int(seconds).to_bytes(8, sys.byteorder) + int(fraction * 1e6).to_bytes(8, sys.byteorder),
        )
        in_flight: int = plan["in_flight"]  # type: ignore[assignment]
        exchange(sock, in_flight, plan["warm"])  # type: ignore[arg-type]
        used = cpu_seconds(pids)
        taken, lost, took = exchange(sock, in_flight, plan["seconds"])  # type: ignore[arg-type]
        used = cpu_seconds(pids) - used
    return {
        "rate": taken / took,
        "mean": took / taken * in_flight * 1e6,
        "server_cpu": used / taken * 1e6,
        "lost": float(lost),
    }


def exchange(sock: socket.socket, in_flight: int, seconds: float) -> tuple[int, int, float]:
    """Answers, losses and seconds of keeping `in_flight` datagrams under way for about so long."""
    send, receive, clock = sock.send, sock.recv, time.perf_counter
    taken = lost = 0
    began = clock()
    for _ in range(in_flight):
        send(MESSAGE)
    while clock() - began < seconds:
        try:
            for _ in range(64):
                if receive(2048) != MESSAGE:
                    raise RuntimeError("wrong answer")
                send(MESSAGE)
                taken += 1
        except BlockingIOError:
            lost += in_flight
            for _ in range(in_flight):
                send(MESSAGE)
    took = clock() - began
    for _ in range(in_flight):
        receive(2048)
    return taken, lost, took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("serve", "drive"))
    parser.add_argument("how", help="a server's name, or a plan as JSON")
    args = parser.parse_args()
    if args.what == "serve":
        serve(args.how)
        return
    plan = json.loads(args.how)
    with apart(plan["pids"]) if plan["in_flight"] == 1 else nullcontext():
        figures = drive(plan)
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
