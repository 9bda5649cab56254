"""An upload of 1 GiB: `send_file` to `receive_into` over a raw link, beside a bare blocking `sendfile` to `recv_into`.

Each pair has a sending and a receiving process; the file lies in memory where the system has such a folder, since the
disk is the same for both and slower than either. The clock runs from dialling until the receiver's "ok" is back.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

from .contest import Contest, Figures, Metric
from .processes import Server, cpu_seconds, read_json, run_client, spawn
from .setup import Setup

METRICS = [
    Metric("rate", "MiB/s", more_is_better=True),
    Metric("receiver_cpu", "receiver ms"),
    Metric("sender_cpu", "sender ms"),
]
MiB = 1024 * 1024
SLICES = 4
"Uploads of a round, of which the fastest counts: other programs only ever make one slower."


def run(setup: Setup) -> list[Contest]:
    size = 64 * MiB if setup.quick else 1024 * MiB
    folder = setup.memory
    source, stored = (folder / f"tieline-bench-{os.getpid()}-{name}" for name in ("source", "stored"))
    names = [name for name in PAIRS if not setup.only_contenders or name in setup.only_contenders]
    contest = Contest("upload over tcp", METRICS)
    try:
        with source.open("wb") as file:
            for _ in range(size // MiB):
                file.write(os.urandom(MiB))
        stored.write_bytes(source.read_bytes())  # its memory is there beforehand, for all alike
        case = f"{size // MiB} MiB"
        contest.run(names, setup.rounds, lambda name: {case: measure(name, source, stored, size)})
    finally:
        source.unlink(missing_ok=True)
        stored.unlink(missing_ok=True)
    return [contest]


def measure(name: str, source: Path, stored: Path, size: int) -> Figures:
    process = spawn([sys.executable, "-m", "bench.raw_upload", "receive", name, str(stored), str(size)])
    with Server(process, read_json(process)["port"], [process.pid]) as server:
        took: list[Figures] = []
        for _ in range(SLICES):
            used = cpu_seconds(server.pids)
            figures = run_client("raw_upload", "send", name, str(source), str(size), str(server.port), timeout=60)
            figures["receiver_cpu"] = (cpu_seconds(server.pids) - used) * 1000
            took.append(figures)
    return max(took, key=lambda figures: figures["rate"])


def announce(port: int) -> None:
    print(json.dumps({"port": port}), flush=True)


# -- the bare pair ---------------------------------------------------------------------------------------------------


def bare_receive(path: str, size: int) -> None:
    buffer = memoryview(bytearray(512 * 1024))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        announce(listener.getsockname()[1])
        while True:
            sock, _ = listener.accept()
            with sock, open(path, "r+b", buffering=0) as file:
                left = size
                while left and (got := sock.recv_into(buffer, min(left, len(buffer)))):
                    file.write(buffer[:got])
                    left -= got
                sock.sendall(b"ok\n")


def bare_send(path: str, size: int, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sock, open(path, "rb") as file:
        sock.sendfile(file)
        if sock.recv(100) != b"ok\n":
            raise RuntimeError("not received")


# -- Tieline's -------------------------------------------------------------------------------------------------------


def tieline_receive(path: str, size: int) -> None:
    import uvloop

    import tieline

    async def talk(link: tieline.Link) -> None:
        with open(path, "r+b", buffering=0) as file:  # noqa: ASYNC230 - a file in memory
            await link.receive_into(file, size)
        await link.send("ok")

    async def main() -> None:
        async with tieline.listen("tcp://127.0.0.1:0", talk, codec=tieline.Lines()) as listener:
            announce(listener.port)
            await asyncio.Event().wait()

    uvloop.run(main())


def tieline_send(path: str, size: int, port: int) -> None:
    import tieline.sync

    with tieline.sync.dial(f"tcp://127.0.0.1:{port}", codec=tieline.Lines()) as link, open(path, "rb") as file:
        link.send_file(file)
        if link.receive() != "ok":
            raise RuntimeError("not received")


PAIRS = {"bare": (bare_receive, bare_send), "tieline": (tieline_receive, tieline_send)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("receive", "send"))
    parser.add_argument("name", choices=PAIRS)
    parser.add_argument("path")
    parser.add_argument("size", type=int)
    parser.add_argument("port", type=int, nargs="?")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    receive, send = PAIRS[args.name]
    if args.what == "receive":
        receive(args.path, args.size)
        return
    if args.name == "tieline":
        import tieline.sync  # noqa: F401 - loading it is no part of an upload
    began, used = time.perf_counter(), time.process_time()
    send(args.path, args.size, args.port)
    took = time.perf_counter() - began
    print(json.dumps({"rate": args.size / MiB / took, "sender_cpu": (time.process_time() - used) * 1000}), flush=True)


if __name__ == "__main__":
    main()
