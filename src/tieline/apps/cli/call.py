"""`tieline call`: any method of the server, its result as JSON."""

import sys
from typing import TYPE_CHECKING, Any

import click

from .arguments import read_parameters
from .commands import examples
from .completing import methods
from .options import Where, machine_options
from .output import print_json
from .session import run, session

if TYPE_CHECKING:
    from tieline.client import Client


@click.command(
    epilog=examples(
        "tieline call clock.now",
        "tieline call echo.upper text=hello",
        """tieline call greet '{"name": "Ada", "times": 2}'""",
        "tieline call count to=3            a stream: one JSON value per line",
        "tieline call lab-1/sensor.read     a method of another machine",
        "tieline call --on lab-1 sensor.read",
    ),
    context_settings={"ignore_unknown_options": False},
)
@click.argument("method", shell_complete=methods)
@click.argument("arguments", nargs=-1, metavar="[JSON | KEY=VALUE...]")
@machine_options("A method of this machine, as MACHINE/METHOD is.")
def call(where: Where, method: str, arguments: tuple[str, ...]) -> None:
    """Call any method of the server, or MACHINE/METHOD of a machine that offers one.

    Prints the answer as JSON; what a stream sends, as one JSON value per line.

    A VALUE that reads as JSON is that (3, true, [1,2], "3"); any other is a string. A stream of bytes is written as
    it comes.
    """
    run(_call(where, where.method(method), read_parameters(arguments)))


async def _call(where: Where, method: str, parameters: dict[str, Any]) -> None:
    async with session(where) as client:
        if await _streams(client, method, where.timeout):
            async for item in client.stream(method, **parameters):
                _show(item)
        else:
            print_json(await client.call(method, timeout=where.timeout, **parameters), pretty=sys.stdout.isatty())


async def _streams(client: "Client", method: str, timeout: float) -> bool:
    machine, slash, name = method.rpartition("/")
    entries = await client.call("server.methods", timeout=timeout, compact=True)
    if slash and not any(entry["name"] == method for entry in entries):
        entries = await client.call("machines.methods", timeout=timeout, machine=machine)
    else:
        name = method
    return any(entry["name"] == name and entry["streams"] for entry in entries)


def _show(item: Any) -> None:
    if isinstance(item, bytes | bytearray | memoryview):
        sys.stdout.buffer.write(item)
        sys.stdout.buffer.flush()
        return
    print_json(item)
    sys.stdout.flush()
