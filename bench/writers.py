"""The writers of the durable posts, in a process of their own: 8 links, several posts in flight on each."""

import argparse
import asyncio
import json
import time

import uvloop

import tieline

from .caller import Window
from .certificate import Certificate
from .durable import TEXT, WRITERS
from .tieline_peer import dial


async def drive(plan: dict, tls: object) -> dict[str, float]:
    window = Window(plan["pids"])

    async def post(peer) -> None:
        while not window.over:
            began = time.perf_counter_ns()
            await peer.call("chat.post", room="bench", text=TEXT, id=tieline.message_id())
            window.latencies.append(time.perf_counter_ns() - began)

    async def write() -> None:
        async with dial(plan["port"], tls) as peer, asyncio.TaskGroup() as group:
            for _ in range(plan["in_flight"]):
                group.create_task(post(peer))

    async with asyncio.timeout(plan["warm"] + plan["seconds"] + 30), asyncio.TaskGroup() as group:
        for _ in range(WRITERS):
            group.create_task(write())
        async with dial(plan["port"], tls) as observer:
            await asyncio.sleep(plan["warm"])
            before = await observer.call("bench.commits")
            window.open()
            await asyncio.sleep(plan["seconds"])
            after = await observer.call("bench.commits")
            figures = window.close()
    commits, rows = after[0] - before[0], after[1] - before[1]
    return figures | {"batch": rows / max(1, commits)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", help="port, tls, in_flight, pids, warm, seconds as JSON")
    plan = json.loads(parser.parse_args().plan)
    tls = Certificate.at(plan["tls"]).client_context() if plan["tls"] else None
    print(json.dumps(uvloop.run(drive(plan, tls))), flush=True)


if __name__ == "__main__":
    main()
