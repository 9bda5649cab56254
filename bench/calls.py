"""Calls of a small typed function: `greet(name="Ada")` gives "hello Ada". Server and client are separate processes."""

import json

from . import peers
from .contest import Contest, Figures, Metric
from .processes import run_client, start_python
from .setup import Setup

CASES = {"one at a time": (1, 1), "64 in flight": (1, 64), "50 callers": (50, 1)}
"connections, and calls in flight on each."

METRICS = [
    Metric("rate", "calls/s", more_is_better=True),
    Metric("p50", "p50 µs"),
    Metric("p99", "p99 µs"),
    Metric("server_cpu", "server µs/call"),
    Metric("client_cpu", "client µs/call"),
]


def run(setup: Setup) -> list[Contest]:
    contests = []
    names = setup.present(peers.CALLS)
    for transport, tls in setup.transports():
        contest = Contest(f"calls over {transport}", METRICS)
        contest.run(names, setup.rounds, lambda name, tls=tls: measure(setup, name, tls))  # type: ignore[misc]
        contests.append(contest)
    return contests


def measure(setup: Setup, name: str, tls: str | None) -> dict[str, Figures]:
    figures = {}
    with start_python(name, *(["--tls", tls] if tls else [])) as server:
        for case, (connections, in_flight) in CASES.items():
            if in_flight > 1 and peers.named(peers.CALLS, name).blocks():
                continue  # one call at a time is all that they make
            plan = {
                "port": server.port,
                "tls": tls,
                "pids": server.pids,
                "connections": connections,
                "in_flight": in_flight,
                "warm": setup.warm,
                "seconds": setup.seconds,
            }
            figures[case] = run_client("caller", name, json.dumps(plan), timeout=setup.seconds + 60)
    return figures
