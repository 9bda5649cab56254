"""The raw level: echo of lines and of length-prefixed messages beside asyncio streams on uvloop, and a large upload.

Both echo servers are written as their users write them. One client for all, as lean as Python gets: a blocking socket
that keeps so many messages of 32 bytes under way, and looks at every byte that comes back. A round measures short
slices of every server in turn, because one at a time a slow moment of the machine is larger than what tells them apart.
"""

import argparse
import asyncio
import json
import signal
import socket
import struct
import sys
import time
from contextlib import ExitStack, nullcontext

from .contest import Contest, Figures, Metric
from .processes import Server, apart, cpu_seconds, read_json, run_client, spawn
from .setup import Setup

CODECS = {"lines": b"m" * 31 + b"\n", "length-prefixed": struct.pack("!I", 28) + b"m" * 28}
"What one message looks like on the wire."
CASES = {"one at a time": 1, "64 in flight": 64}
METRICS = [
    Metric("rate", "messages/s", more_is_better=True),
    Metric("p50", "p50 µs"),
    Metric("server_cpu", "server µs"),
]
SLICE = 0.1
"Seconds."


def run(setup: Setup) -> list[Contest]:
    names = [name for name in SERVERS if not setup.only_contenders or name in setup.only_contenders]
    return [contest(setup, names, codec) for codec in CODECS]


def contest(setup: Setup, names: list[str], codec: str) -> Contest:
    one = Contest(f"raw {codec} over tcp", METRICS)
    together: dict[str, dict[str, Figures]] = {}

    def measure(name: str) -> dict[str, Figures]:
        if name not in together:  # the first of a round measures for all of them
            together.update(measure_all(setup, names, codec))
        return together.pop(name)

    one.run(names, setup.rounds, measure)
    return one


def measure_all(setup: Setup, names: list[str], codec: str) -> dict[str, dict[str, Figures]]:
    with ExitStack() as stack:
        servers = {name: stack.enter_context(start(name, codec)) for name in names}
        taken: dict[str, dict[str, Figures]] = {name: {} for name in names}
        for case, in_flight in CASES.items():
            plan = {
                "ports": {name: server.port for name, server in servers.items()},
                "pids": {name: server.pids for name, server in servers.items()},
                "codec": codec,
                "in_flight": in_flight,
                "seconds": setup.seconds,
            }
            patience = setup.seconds * len(names) + 30
            figures = run_client("raw_level", "drive", json.dumps(plan), timeout=patience)
            for name in names:
                taken[name][case] = {metric.key: figures[f"{name} {metric.key}"] for metric in METRICS}
        return taken


def start(name: str, codec: str) -> Server:
    process = spawn([sys.executable, "-m", "bench.raw_level", "serve", f"{name} {codec}"])
    return Server(process, read_json(process)["port"], [process.pid])


# -- the servers -----------------------------------------------------------------------------------------------------


def announce(port: int) -> None:
    print(json.dumps({"port": port}), flush=True)


async def echo_lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def echo_prefixed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            header = await reader.readexactly(4)
            message = await reader.readexactly(struct.unpack("!I", header)[0])
            writer.write(struct.pack("!I", len(message)) + message)
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def serve_streams(codec: str) -> None:
    server = await asyncio.start_server(echo_lines if codec == "lines" else echo_prefixed, "127.0.0.1", 0)
    announce(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def serve_tieline(codec: str) -> None:
    import tieline

    async def echo(link: tieline.Link) -> None:
        async for message in link:
            await link.send(message)

    kind = tieline.Lines() if codec == "lines" else tieline.LengthPrefixed("!I")
    async with tieline.listen("tcp://127.0.0.1:0", echo, codec=kind) as listener:
        announce(listener.port)
        await asyncio.Event().wait()


SERVERS = {"streams": serve_streams, "tieline": serve_tieline}


def serve(name: str, codec: str) -> None:
    import uvloop

    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    uvloop.run(SERVERS[name](codec))


# -- the client ------------------------------------------------------------------------------------------------------


class Account:
    """What the slices of one server add up to."""

    def __init__(self) -> None:
        self.messages = 0
        self.seconds = 0.0
        self.cpu = 0.0
        self.trips: list[float] = []

    def figures(self) -> Figures:
        return {
            "rate": self.messages / self.seconds,
            "p50": sorted(self.trips)[len(self.trips) // 2] * 1e6,
            "server_cpu": self.cpu / self.messages * 1e6,
        }


def drive(ports: dict[str, int], pids: dict[str, list[int]], codec: str, in_flight: int, seconds: float) -> Figures:
    accounts = {name: Account() for name in ports}
    with ExitStack() as stack:
        links = {}
        for name, port in ports.items():
            links[name] = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            links[name].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            exchange(links[name], CODECS[codec], in_flight, SLICE, Account())  # warms up
        for _ in range(max(1, round(seconds / SLICE))):
            for name, sock in links.items():
                used = cpu_seconds(pids[name])
                exchange(sock, CODECS[codec], in_flight, SLICE, accounts[name])
                accounts[name].cpu += cpu_seconds(pids[name]) - used
    return {f"{name} {key}": value for name, one in accounts.items() for key, value in one.figures().items()}


def exchange(sock: socket.socket, message: bytes, in_flight: int, seconds: float, account: Account) -> None:
    """Keep `in_flight` messages under way for so long, then take the last answers in. A trip is a whole window's."""
    clock, window = time.perf_counter, message * in_flight
    began = now = clock()
    while now - began < seconds:
        sock.sendall(window)
        got = b""
        while len(got) < len(window):
            piece = sock.recv(65536)
            if not piece:
                raise RuntimeError("the server closed")
            got = got + piece if got else piece
        if got != window:
            raise RuntimeError("wrong answer")
        before, now = now, clock()
        account.trips.append(now - before)
        account.messages += in_flight
    account.seconds += now - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("serve", "drive"))
    parser.add_argument("how", help="a server's name and a codec, or a plan as JSON")
    args = parser.parse_args()
    if args.what == "serve":
        serve(*args.how.split(" ", 1))
        return
    plan = json.loads(args.how)
    everybody = [pid for pids in plan["pids"].values() for pid in pids]
    with apart(everybody) if plan["in_flight"] == 1 else nullcontext():
        figures = drive(**plan)
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
