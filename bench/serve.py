"""One contender's server in a process of its own: `python -m bench.serve NAME [--tls FOLDER]`.

Says its port as JSON, serves until SIGTERM.
"""

import argparse
import asyncio
import inspect
import json
import logging
import signal
from types import ModuleType
from typing import Any

from . import peers
from .certificate import Certificate
from .processes import allow_many_files


def announce(port: int, pids: list[int] | None = None) -> None:
    print(json.dumps({"port": port, "pids": pids or []}), flush=True)


async def serve(peer: ModuleType, options: dict[str, Any]) -> None:
    serving = asyncio.ensure_future(peer.serve(announce=announce, **options))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
    try:
        await serving
    except asyncio.CancelledError:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--tls", help="folder with cert.pem and key.pem")
    parser.add_argument("--data", help="file the server keeps its messages in")
    args = parser.parse_args()
    logging.disable(logging.WARNING)  # peers warn of half-closed TLS at the end of every run
    allow_many_files()
    module = peers.named([*peers.CALLS, *peers.RELAYED, *peers.FANOUT], args.name).load()
    certificate = Certificate.at(args.tls) if args.tls else None
    options: dict[str, Any] = {"tls": certificate.server_context() if certificate else None}
    wanted = inspect.signature(module.serve).parameters
    options |= {name: value for name, value in (("certificate", certificate), ("data", args.data)) if name in wanted}
    if not inspect.iscoroutinefunction(module.serve):
        module.serve(announce=announce, **options)
        return
    import uvloop

    uvloop.run(serve(module, options))


if __name__ == "__main__":
    main()
