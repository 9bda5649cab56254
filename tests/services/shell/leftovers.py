"""What is left running, as the process table tells; and commands that leave something running."""

import asyncio
import os
import time

DEADLINE = 30.0
"Seconds after which a test has failed; nothing here ever waits so long when all is well."


def running(word: str) -> list[int]:
    """The processes that have `word` among their arguments, without this one."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    arguments = file.read().split(b"\0")
                with open(f"/proc/{name}/stat", "rb") as file:
                    dead = file.read().rpartition(b")")[2].split()[0] == b"Z"
            except OSError:
                continue
            if not dead and word.encode() in arguments:
                found.append(int(name))
    return found


async def until(condition: object) -> None:
    """Wait until `condition()` is true; what it is about is another process, which tells nobody."""
    assert callable(condition)
    ends = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < ends, "this never came to be"
        await asyncio.sleep(0.02)


def family(word: str) -> str:
    """A script whose processes cannot be ended politely: of its session, of another one, of another one with parents
    that are dead. All have `word` among their arguments."""
    stubborn = f"trap '' HUP INT TERM; while :; do sleep 0.2; done; : {word}"
    quoted = stubborn.replace("'", "'\\''")
    one = f"sh -c '{quoted}' {word}"
    return f"{one} & setsid {one} & (setsid {one} &) ; {one}"
