"""Any text as a path, a range or a condition: a path is good as it is or refused, and no answer lies outside its file.

What parses leads down from the root, name by name, and says the same when it is said again; a link that is kept leads
into the tree.
"""

from random import Random

from fuzz.material import mutated, noise
from tieline.doors.http_conditions import decide
from tieline.errors import InvalidArgument
from tieline.store.files.names import check, key, link_target, parse, shown

PATHS = (
    b"/lab/data/x.bin",
    b"/people/bob/\xe6\x97\xa5\xe6\x9c\xac.txt",
    b"../../etc/passwd",
    b"/a/./b//c",
    b"/CON/nul.txt",
    b"/.tieline-staging/x",
    b"/rooms/@ada+bob/x",
    b"cafe\xcc\x81/\xe2\x80\xaeexe",
)
CONDITIONS = (b"bytes=0-99", b"bytes=-5", b'"abc", W/"def"', b"*", b"Sun, 06 Nov 1994 08:49:37 GMT", b"bytes=5-1,7-")
HEADERS = ("Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since")


def once(dice: Random) -> None:
    text = _text(dice, PATHS)
    try:
        parts = parse(text)
    except InvalidArgument as error:
        refusal = str(error)
    else:
        refusal = ""
        assert parse(shown(parts)) == check(parts) == parts
        assert not {"", ".", ".."} & set(parts)
        assert not any(key(part).startswith(".tieline-") or "\0" in part or "\n" in part for part in parts)
    assert refusal.isprintable()
    folder = ("a", "b")[: dice.randrange(3)]
    try:
        assert check(link_target(folder, text)) is not None
        assert not text.startswith("/")
    except InvalidArgument:
        pass
    _conditions(dice)


def _conditions(dice: Random) -> None:
    headers = {name: _text(dice, CONDITIONS) for name in HEADERS if dice.random() < 0.5}
    size = dice.choice((0, 1, 100, 1 << 62))
    decision = decide(dice.choice(("GET", "HEAD", "PUT")), headers, size, dice.choice(("", '"abc"')), 784111777)
    assert decision.status in (200, 206, 304, 412, 416)
    assert 0 <= decision.start <= decision.stop <= size
    assert decision.status != 206 or decision.start < decision.stop


def _text(dice: Random, samples: tuple[bytes, ...]) -> str:
    data = mutated(dice, dice.choice(samples)) if dice.random() < 0.8 else noise(dice)
    return data.decode(errors=dice.choice(("replace", "surrogateescape", "ignore")))
