"""Echoes JSON values to callers who prove that they hold the key.

They are sent 32 random bytes and answer with the HMAC. Then values follow one another with nothing between them: two
in a packet are two, one in two packets is one.
"""

from collections.abc import Sequence

import tieline
from tieline.apps.gallery import stage


async def echo(link: tieline.Link) -> None:
    async for value in link:
        await link.send(value)


async def serve(address: str, key: bytes, digest: str) -> None:
    challenge = tieline.Challenge(key, digest)
    async with tieline.listen(address, echo, codec=tieline.JsonValues(), challenge=challenge) as listener:
        stage.announce(listener.address)
        await stage.forever()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = stage.options("verified-json", __doc__, "tcp://127.0.0.1:8888")
    parser.add_argument("--key", required=True, help="what server and callers share")
    parser.add_argument("--digest", default="sha256", metavar="NAME", help="of the HMAC: sha256, md5 … (%(default)s)")
    options = parser.parse_args(arguments)
    stage.run(serve(options.listen, options.key.encode(), options.digest))


if __name__ == "__main__":
    main()
