"""One publisher, many subscribers: deliveries per second at saturation, and the cost of single messages far apart."""

import json

from . import peers
from .contest import Contest, Figures, Metric
from .processes import run_client
from .setup import Setup

SATURATION = [
    Metric("rate", "deliveries/s", more_is_better=True),
    Metric("server_cpu", "server µs/delivery"),
    Metric("receiver_busy", "receiver busy %"),
    Metric("lost", "lost"),
]
SINGLES = [
    Metric("server_cpu", "server µs/delivery"),
    Metric("p50", "p50 µs"),
    Metric("p99", "p99 µs"),
    Metric("lost", "lost"),
]


def run(setup: Setup) -> list[Contest]:
    contests = []
    names = setup.present(peers.FANOUT)
    crowds = (20, 50) if setup.quick else (100, 1000)
    for transport, tls in setup.transports():
        saturation = Contest(f"fan-out at saturation over {transport}", SATURATION)
        saturation.run(names, setup.rounds, lambda name, tls=tls: measure(setup, name, tls, "saturate", crowds))  # type: ignore[misc]
        singles = Contest(f"fan-out of single messages over {transport}", SINGLES)
        singles.run(names, setup.rounds, lambda name, tls=tls: measure(setup, name, tls, "pace", crowds[:1]))  # type: ignore[misc]
        contests += [saturation, singles]
    return contests


def measure(setup: Setup, name: str, tls: str | None, way: str, crowds: tuple[int, ...]) -> dict[str, Figures]:
    peer = peers.named(peers.FANOUT, name).load()
    figures = {}
    for subscribers in crowds:
        # A server of its own per measurement: none inherits another's thousand connections being closed.
        with peer.start(setup.folder, setup.certificate if tls else None) as server:
            plan = {
                "port": server.port,
                "tls": tls,
                "pids": server.pids,
                "subscribers": subscribers,
                "way": way,
                "warm": setup.warm,
                "seconds": setup.seconds * (1 if way == "saturate" or setup.quick else 2),
            }
            figures[f"{subscribers} subscribers"] = run_client(
                "crowd", name, json.dumps(plan), timeout=2 * setup.seconds + 90
            )
    return figures
