"""Greets every caller with one line and closes."""

from collections.abc import Sequence

import tieline
from tieline.apps.gallery import stage


async def serve(address: str, greeting: str) -> None:
    async def greet(link: tieline.Link) -> None:
        await link.send(greeting)

    async with tieline.listen(address, greet, codec=tieline.Lines()) as listener:
        stage.announce(listener.address)
        await stage.forever()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = stage.options("welcome", __doc__, "tcp://127.0.0.1:8888")
    parser.add_argument("--greeting", default="welcome to tieline", metavar="TEXT", help="the line to greet with")
    options = parser.parse_args(arguments)
    stage.run(serve(options.listen, options.greeting))


if __name__ == "__main__":
    main()
