"""A server that dies, as by a power cut, at one step of storing files: `python dying_server.py STEP COUNT ARGUMENTS…`.

COUNT says how often the step must come before. ARGUMENTS are those of `tieline`.
"""

import os
import signal
import sys
from typing import Any, Literal

from tieline.apps.cli import main as program
from tieline.services.files import transfers
from tieline.store.files import folder, publish, staging, staging_area

left = 0


def die() -> None:
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)


def die_at(owner: Any, name: str, side: Literal["before", "after"]) -> None:
    """Before or after this function, each time it is called."""
    real = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if side == "before":
            die()
        result = real(*args, **kwargs)
        if side == "after":
            die()
        return result

    setattr(owner, name, wrapped)


Step = tuple[Any, str, Literal["before", "after"]]
STEPS: dict[str, Step] = {
    "a block is written and not verified": (staging.Staging, "mark", "before"),
    "a block is verified": (staging.Staging, "mark", "after"),
    "a file is whole": (staging.Staging, "finish", "after"),
    "small files are staged": (staging_area.StagingArea, "whole", "after"),
    "nothing is durable": (publish.Publisher, "_make_durable", "before"),
    "bytes are durable": (publish.Publisher, "_make_durable", "after"),
    "it has its name": (folder, "rename", "after"),
    "its name is durable": (publish.Publisher, "_all_or_none", "after"),
    "it is not recorded": (publish.Publisher, "_tell", "before"),
    "it is recorded and not acknowledged": (publish.Publisher, "_put_in_place", "after"),
    "the catalogue is told": (transfers, "_entry", "before"),
}
"The function at which it dies, and on which side of it."

if __name__ == "__main__":
    step, count, *arguments = sys.argv[1:]
    left = int(count)
    die_at(*STEPS[step])
    sys.argv = ["tieline", *arguments]
    program.main()
