"""What an idle link costs the server in memory: thousands of connections that made one call each, then say nothing."""

import json
import sys

from . import peers
from .contest import Contest, Figures, Metric
from .processes import end, read_json, resident_bytes, spawn, start_python
from .setup import Setup

METRICS = [Metric("per_link", "KiB/link in the server"), Metric("growth", "MiB in all"), Metric("links", "links")]


PATIENCE = 200.0
"Seconds for thousands of handshakes."


def run(setup: Setup) -> list[Contest]:
    names = setup.present(peers.IDLE)
    contests = []
    for transport, tls in setup.transports():
        contest = Contest(f"idle links over {transport}", METRICS)
        # Memory hardly differs between rounds; one tells it.
        contest.run(names, 1, lambda name, tls=tls: measure(setup, name, tls))  # type: ignore[misc]
        contests.append(contest)
    return contests


def measure(setup: Setup, name: str, tls: str | None) -> dict[str, Figures]:
    links, few = (300, 50) if setup.quick else (5000, 200)
    with start_python(name, *(["--tls", tls] if tls else [])) as server:
        plan = {"port": server.port, "tls": tls, "few": few, "links": links}
        client = spawn([sys.executable, "-m", "bench.idler", name, json.dumps(plan)])
        try:
            # What the first links bring with them (imports, pools) is not what a link costs.
            read_json(client, PATIENCE)
            before = resident_bytes(server.pids)
            client.stdin.write("more\n")  # type: ignore[union-attr]
            client.stdin.flush()  # type: ignore[union-attr]
            read_json(client, PATIENCE)
            growth = resident_bytes(server.pids) - before
        finally:
            end(client)
    figures = {"per_link": growth / 1024 / (links - few), "growth": growth / 1024**2, "links": float(links)}
    return {f"{links} links": figures}
