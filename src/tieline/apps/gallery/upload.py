"""Takes files, many at once; each appears under its name when it is whole.

A caller sends a 4-byte length (native int), a JSON header `{"file_name": …, "file_size": …}` and the bytes, as often as
it likes. A file takes the place of one of its name. A part has a name of its own, beginning with a dot.
"""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

import tieline
from tieline.apps.gallery import stage


class Header(msgspec.Struct):
    """What else is in it is ignored."""

    # No path, no hidden file, nothing that a terminal would act on.
    file_name: Annotated[str, msgspec.Meta(pattern=r"^[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*\Z", max_length=255)]
    file_size: Annotated[int, msgspec.Meta(ge=0)]


async def save(link: tieline.Link, header: Header, folder: Path) -> None:
    part = folder / f".{secrets.token_hex(8)}.part"
    try:
        with part.open("xb") as file:
            await link.receive_into(file, header.file_size)
        part.replace(folder / header.file_name)
    finally:
        part.unlink(missing_ok=True)


async def serve(address: str, folder: Path, largest: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)

    async def receive(link: tieline.Link) -> None:
        async for data in link:
            try:
                header = msgspec.json.decode(data, type=Header)
                if header.file_size > largest:
                    raise tieline.LimitExceeded(f"the size of {header.file_name}", got=header.file_size, limit=largest)
                await save(link, header, folder)
            except (msgspec.MsgspecError, UnicodeError, tieline.TielineError, OSError) as error:
                stage.show(f"from {link.peer} refused: {error}")
                return
            stage.show(f"from {link.peer} saved: {header.file_name}, {header.file_size:,} bytes")

    codec = tieline.LengthPrefixed("i", limit=64 * 1024)
    async with tieline.listen(address, receive, codec=codec) as listener:
        stage.announce(listener.address)
        await stage.forever()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = stage.options("upload", __doc__, "tcp://127.0.0.1:8888")
    parser.add_argument("--into", required=True, type=Path, metavar="FOLDER", help="where files go; made if need be")
    parser.add_argument("--largest", default=1 << 34, type=int, metavar="BYTES", help="of a file (%(default)s)")
    options = parser.parse_args(arguments)
    stage.run(serve(options.listen, options.into, options.largest))


if __name__ == "__main__":
    main()
