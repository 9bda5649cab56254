"""Durable posts: acknowledged when they are on disk, beside a bare SQLite loop that commits the same batches there, and
beside Tieline without a disk, which shows how much of a post is its way through the house.
"""

import json
import tempfile

from . import peers
from .contest import Contest, Figures, Metric
from .processes import run_client, start_python
from .report import OURS
from .setup import Setup

WRITERS = 8
IN_FLIGHT = (1, 8, 64)
"Posts under way on each link: from people typing to programs pouring."
IN_MEMORY = "tieline in memory"
TEXT = "a message of the usual length, of some forty characters"
METRICS = [
    Metric("rate", "posts/s", more_is_better=True),
    Metric("p50", "p50 µs"),
    Metric("p99", "p99 µs"),
    Metric("server_cpu", "server µs/post"),
    Metric("client_cpu", "writers µs/post"),
    Metric("batch", "posts/commit"),
]


def run(setup: Setup) -> list[Contest]:
    contests = []
    names = setup.present([one for one in peers.CALLS if one.name == OURS])
    for transport, tls in setup.transports():
        contest = Contest(f"durable posts over {transport}", METRICS)
        # The bare loop commits what Tieline's average batch was when it ran last.
        batches = {in_flight: WRITERS * in_flight for in_flight in IN_FLIGHT}

        def measure(name: str, tls: str | None = tls, batches: dict[int, int] = batches) -> dict[str, Figures]:
            if name == "sqlite":
                return {case(in_flight): bare(setup, batch) for in_flight, batch in batches.items()}
            if name == IN_MEMORY:
                return {case(in_flight): post(setup, tls, in_flight, on_disk=False) for in_flight in IN_FLIGHT}
            figures = {in_flight: post(setup, tls, in_flight) for in_flight in IN_FLIGHT}
            batches.update({in_flight: max(1, round(one["batch"])) for in_flight, one in figures.items()})
            return {case(in_flight): one for in_flight, one in figures.items()}

        contest.run([*names, IN_MEMORY, "sqlite"], setup.rounds, measure)
        contests.append(contest)
    return contests


def case(in_flight: int) -> str:
    return f"{WRITERS} writers, {in_flight} in flight"


def post(setup: Setup, tls: str | None, in_flight: int, *, on_disk: bool = True) -> Figures:
    with tempfile.TemporaryDirectory(dir=setup.folder) as data:
        options = [*(["--data", data] if on_disk else []), *(["--tls", tls] if tls else [])]
        with start_python(OURS, *options) as server:
            plan = {
                "port": server.port,
                "pids": server.pids,
                "tls": tls,
                "in_flight": in_flight,
                "warm": setup.warm,
                "seconds": setup.seconds,
            }
            return run_client("writers", json.dumps(plan), timeout=setup.seconds + 60)


def bare(setup: Setup, batch: int) -> Figures:
    with tempfile.TemporaryDirectory(dir=setup.folder) as data:
        return run_client("bare_sqlite", f"{data}/bare.db", str(batch), str(setup.seconds), timeout=setup.seconds + 60)
