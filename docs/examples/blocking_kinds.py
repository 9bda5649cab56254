"""Each kind of thing that a program without asyncio is given: a client, a stream, a topic, a link, an endpoint.

Its three arguments are a server (that of greet_server.py), a server of lines, and one of datagrams.
"""

import sys

import tieline
import tieline.sync


def countdown(client: tieline.sync.Client) -> list[int]:
    items: tieline.sync.Items[int]
    with client.stream("countdown", start=3) as items:  # leaving early tells the sender to stop
        return list(items)


def first_visit(client: tieline.sync.Client) -> str:
    events: tieline.sync.Events
    with client.subscribe("visits", after=0) as events:
        return str(next(events).value)


def said(link: tieline.sync.BlockingLink, line: str) -> str:
    link.send(line)
    return str(link.receive(timeout=10))


def asked(endpoint: tieline.sync.BlockingDatagrams, message: bytes) -> bytes:
    return endpoint.request(message, timeout=10)


def main(server: str, lines: str, datagrams: str) -> None:
    with tieline.sync.connect(server) as client:
        print(client.call("greet", name="Ada"), countdown(client), first_visit(client).partition(" ")[2])
    with tieline.sync.dial(lines, codec=tieline.Lines()) as link:
        print(said(link, "hello"))
    with tieline.sync.datagrams(to=datagrams) as endpoint:
        print(asked(endpoint, b"hello"))


if __name__ == "__main__":
    main(*sys.argv[1:])
