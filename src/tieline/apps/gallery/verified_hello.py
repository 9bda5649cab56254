"""Says `hello` to callers who prove that they hold the key; others are closed at once.

They are sent 32 random bytes and answer with the hex of sha1(key + bytes).
"""

from collections.abc import Sequence

import tieline
from tieline.apps.gallery import stage


async def hello(link: tieline.Link) -> None:
    await link.send(b"hello")


async def serve(address: str, key: bytes) -> None:
    challenge = tieline.Challenge(key, "sha1", legacy=True)
    async with tieline.listen(address, hello, codec=tieline.Raw(), challenge=challenge) as listener:
        stage.announce(listener.address)
        await stage.forever()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = stage.options("verified-hello", __doc__, "tcp://127.0.0.1:8888")
    parser.add_argument("--key", required=True, help="what server and callers share")
    options = parser.parse_args(arguments)
    stage.run(serve(options.listen, options.key.encode()))


if __name__ == "__main__":
    main()
