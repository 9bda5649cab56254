"""The client of the idle links: opens a few, says so, waits for a line, opens all, says so, holds them until a line.

In a process of its own, so that only the server's memory is in what is measured.
"""

import argparse
import asyncio
import json
import logging
import sys
from types import ModuleType

import uvloop

from . import peers
from .certificate import Certificate
from .processes import allow_many_files

TIMEOUT = 180.0
AT_ONCE = 20


async def hold(peer: ModuleType, plan: dict, tls: object) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def link() -> peers.Caller:
        async with gate:
            caller: peers.Caller = await peer.connect(plan["port"], tls, 1)
            await caller.call("Ada")
            return caller

    links: list[peers.Caller] = []
    async with asyncio.timeout(TIMEOUT):
        for goal in (plan["few"], plan["links"]):
            links += await asyncio.gather(*(link() for _ in range(goal - len(links))))
            await asyncio.sleep(0.5)
            print(json.dumps({"links": len(links)}), flush=True)
            await asyncio.to_thread(sys.stdin.readline)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("plan", help="port, tls, few, links as JSON")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    plan = json.loads(args.plan)
    allow_many_files()
    tls = Certificate.at(plan["tls"]).client_context() if plan["tls"] else None
    uvloop.run(hold(peers.named(peers.CALLS, args.name).load(), plan, tls))


if __name__ == "__main__":
    main()
