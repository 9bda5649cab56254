"""Tieline's server and a logged-in client, a process each: `python -m bench.files_tieline serve|client …`."""

import asyncio
import json
import secrets
import sys
from pathlib import Path

import uvloop

import tieline
from tieline.login.credential import new_key
from tieline.login.scram import make_verifier

from .certificate import Certificate


async def serve(folder: Path, certificate: Certificate) -> None:
    server = tieline.Server(data=folder / "data", cert=certificate.cert, key=certificate.key)
    async with server.serving("127.0.0.1:0") as addresses:
        where = addresses[0].partition("//")[2]
        ticket = await server.invite("ada", can=["files"], where=where)
        print(json.dumps({"ticket": ticket, "address": f"tls://{where}?pin={server.certificate.pin}"}), flush=True)
        await asyncio.Event().wait()


async def client(told: dict[str, str]) -> None:
    key = new_key()
    async with tieline.connect(told["ticket"]) as peer:
        await peer.call("accounts.enrol", device="bench", verifier=make_verifier(key, 4096, secrets.token_bytes))
    async with tieline.connect(told["address"], account="ada", device="bench", key=key) as peer:
        print("{}", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            what, source, target = json.loads(line)
            if what == "put":
                done = await peer.files.put(source, f"/{target}", inside=False)
            else:
                done = await peer.files.get(f"/{source}", target, inside=False)
            if done.failed:
                raise RuntimeError(done.failed)
            print(json.dumps({"seconds": done.seconds}), flush=True)


if __name__ == "__main__":
    what, folder, certificate, *rest = sys.argv[1:]
    if what == "serve":
        uvloop.run(serve(Path(folder), Certificate.at(certificate)))
    else:
        uvloop.run(client(json.loads(rest[0])))
