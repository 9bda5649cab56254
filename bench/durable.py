"""Durable posts: acknowledged when they are on disk, beside a bare SQLite loop that commits the same batches there."""

import json
import tempfile

from . import peers
from .contest import Contest, Figures, Metric
from .processes import run_client, start_python
from .report import OURS
from .setup import Setup

WRITERS, IN_FLIGHT = 8, 64
TEXT = "a message of the usual length, of some forty characters"
CASE = f"{WRITERS} writers, {IN_FLIGHT} in flight"
METRICS = [
    Metric("rate", "posts/s", more_is_better=True),
    Metric("p50", "p50 µs"),
    Metric("p99", "p99 µs"),
    Metric("server_cpu", "server µs/post"),
    Metric("batch", "posts/commit"),
]


def run(setup: Setup) -> list[Contest]:
    contests = []
    names = setup.present([one for one in peers.CALLS if one.name == OURS])
    for transport, tls in setup.transports():
        contest = Contest(f"durable posts over {transport}", METRICS)
        # Tieline first: its average batch is what the bare loop of the same round commits.
        batches = [WRITERS * IN_FLIGHT]

        def measure(name: str, tls: str | None = tls, batches: list[int] = batches) -> dict[str, Figures]:
            if name == "sqlite":
                return {CASE: bare(setup, batches[-1])}
            figures = post(setup, tls)
            batches.append(max(1, round(figures["batch"])))
            return {CASE: figures}

        contest.run([*names, "sqlite"], setup.rounds, measure)
        contests.append(contest)
    return contests


def post(setup: Setup, tls: str | None) -> Figures:
    with tempfile.TemporaryDirectory(dir=setup.folder) as data:
        options = ["--data", data, *(["--tls", tls] if tls else [])]
        with start_python(OURS, *options) as server:
            plan = {
                "port": server.port,
                "pids": server.pids,
                "tls": tls,
                "warm": setup.warm,
                "seconds": setup.seconds,
            }
            return run_client("writers", json.dumps(plan), timeout=setup.seconds + 60)


def bare(setup: Setup, batch: int) -> Figures:
    with tempfile.TemporaryDirectory(dir=setup.folder) as data:
        return run_client("bare_sqlite", f"{data}/bare.db", str(batch), str(setup.seconds), timeout=setup.seconds + 60)
