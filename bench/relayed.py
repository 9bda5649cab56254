"""Calls of a machine through the server, beside calls of the server itself and requests through a NATS broker."""

from . import calls, peers
from .contest import Contest
from .setup import Setup


def run(setup: Setup) -> list[Contest]:
    contests = []
    names = setup.present(peers.RELAYED)
    for transport, tls in setup.transports():
        contest = Contest(f"calls through a server over {transport}", calls.METRICS)
        contest.run(names, setup.rounds, lambda name, tls=tls: calls.measure(setup, name, tls))  # type: ignore[misc]
        contests.append(contest)
    return contests
