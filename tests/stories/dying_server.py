"""A server that dies, as by a power cut, at one step of storing files: `python dying_server.py STEP COUNT ARGUMENTS…`.

COUNT says how often the step must come before. ARGUMENTS are those of `tieline`.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from tieline.apps.cli import main as program
from tieline.services.files import transfers
from tieline.store.files import folder, publish, staging

left = 0


def die(*_: Any) -> None:
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)


def around(
    owner: Any, name: str, *, before: Callable[..., None] | None = None, after: Callable[..., None] | None = None
) -> None:
    """Do something before or after a function, each time it is called."""
    real = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before(*args)
        result = real(*args, **kwargs)
        if after is not None:
            after(*args)
        return result

    setattr(owner, name, wrapped)


STEPS: dict[str, Callable[[], None]] = {
    "a block is written and not verified": lambda: around(staging.Staging, "mark", before=die),
    "a block is verified": lambda: around(staging.Staging, "mark", after=die),
    "a file is whole": lambda: around(staging.Staging, "finish", after=die),
    "small files are staged": lambda: around(staging.StagingArea, "whole", after=die),
    "nothing is durable": lambda: around(publish.Publisher, "_make_durable", before=die),
    "bytes are durable": lambda: around(publish.Publisher, "_make_durable", after=die),
    "it has its name": lambda: around(folder, "rename", after=die),
    "its name is durable": lambda: around(publish.Publisher, "_all_or_none", after=die),
    "it is not recorded": lambda: around(publish.Publisher, "_tell", before=die),
    "it is recorded and not acknowledged": lambda: around(publish.Publisher, "_put_in_place", after=die),
    "the catalogue is told": lambda: around(transfers, "_entry", before=die),
}

if __name__ == "__main__":
    step, count, *arguments = sys.argv[1:]
    left = int(count)
    STEPS[step]()
    sys.argv = ["tieline", *arguments]
    program.main()
