"""The calling client of one measurement, in a process of its own: connects, calls for a while, prints figures as JSON.

The same for every contender: `connections` connections, on each `in_flight` workers, each awaiting its own call.
"""

import argparse
import asyncio
import json
import logging
import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import ModuleType

from . import peers
from .certificate import Certificate
from .processes import apart, cpu_seconds

NAME, GREETING = "Ada", "hello Ada"


@dataclass
class Plan:
    port: int
    tls: str | None
    pids: list[int]
    connections: int
    in_flight: int
    warm: float
    seconds: float


@dataclass
class Window:
    """What happens between open and close is what is reported."""

    pids: list[int]
    latencies: list[int] = field(default_factory=list)
    "Nanoseconds of each finished call."
    over: bool = False

    def open(self) -> None:
        self.latencies.clear()
        self.server_cpu, self.client_cpu = cpu_seconds(self.pids), time.process_time()
        self.began = time.perf_counter()

    def close(self) -> dict[str, float]:
        seconds = time.perf_counter() - self.began
        server_cpu, client_cpu = cpu_seconds(self.pids) - self.server_cpu, time.process_time() - self.client_cpu
        taken = sorted(self.latencies)
        self.over = True
        if not taken:
            raise RuntimeError("not one call was answered")
        return {
            "rate": len(taken) / seconds,
            "p50": taken[len(taken) // 2] / 1000,
            "p99": taken[len(taken) * 99 // 100] / 1000,
            "server_cpu": server_cpu / len(taken) * 1e6,
            "client_cpu": client_cpu / len(taken) * 1e6,
        }


async def drive(peer: ModuleType, plan: Plan, tls: object) -> dict[str, float]:
    window = Window(plan.pids)
    latencies, clock = window.latencies, time.perf_counter_ns

    async def work(caller: peers.Caller) -> None:
        while not window.over:
            began = clock()
            reply = await caller.call(NAME)
            latencies.append(clock() - began)
            if reply != GREETING:
                raise RuntimeError(f"wrong answer: {reply!r}")

    async with asyncio.timeout(plan.warm + plan.seconds + 30):
        callers = [await peer.connect(plan.port, tls, plan.in_flight) for _ in range(plan.connections)]
        async with asyncio.TaskGroup() as group:
            for caller in callers:
                for _ in range(plan.in_flight):
                    group.create_task(work(caller))
            await asyncio.sleep(plan.warm)
            window.open()
            await asyncio.sleep(plan.seconds)
            figures = window.close()
        for caller in callers:
            await caller.close()
    return figures


def drive_threads(peer: ModuleType, plan: Plan, tls: object) -> dict[str, float]:
    """The same for blocking peers: a thread per worker."""
    window = Window(plan.pids)
    latencies, clock = window.latencies, time.perf_counter_ns

    def work(caller: peers.BlockingCaller) -> None:
        while not window.over:
            began = clock()
            reply = caller.call(NAME)
            latencies.append(clock() - began)
            if reply != GREETING:
                raise RuntimeError(f"wrong answer: {reply!r}")

    callers = [peer.connect(plan.port, tls, plan.in_flight) for _ in range(plan.connections)]
    threads = [threading.Thread(target=work, args=(caller,), daemon=True) for caller in callers]
    for thread in threads:
        thread.start()
    time.sleep(plan.warm)
    window.open()
    time.sleep(plan.seconds)
    figures = window.close()
    for thread in threads:
        thread.join(5)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("plan", help="a Plan as JSON")
    args = parser.parse_args()
    logging.disable(logging.WARNING)  # peers warn of half-closed TLS at the end of every run
    contender = peers.named([*peers.CALLS, *peers.RELAYED], args.name)
    plan = Plan(**json.loads(args.plan))
    tls = Certificate.at(plan.tls).client_context() if plan.tls else None
    alone = plan.connections * plan.in_flight == 1
    with apart(plan.pids) if alone else nullcontext():
        figures = measure(contender, plan, tls)
    print(json.dumps(figures), flush=True)


def measure(contender: peers.Contender, plan: Plan, tls: object) -> dict[str, float]:
    if contender.blocks():
        return drive_threads(contender.load(), plan, tls)
    import uvloop

    return uvloop.run(drive(contender.load(), plan, tls))


if __name__ == "__main__":
    main()
