"""What is there already, told to a side that is about to send: what is the same need not come again."""

import os
import stat
from collections.abc import Iterator

from tieline.errors import CallError
from tieline.lanes.walking import Allowed, SomeFiles, walk
from tieline.store.files.facts import changed_at
from tieline.store.files.names import Parts
from tieline.store.files.tree import Tree
from tieline.wire.lane_messages import Seen


def seen_below(tree: Tree, root: int, target: Parts, allowed: Allowed = lambda path: True) -> Iterator[Seen]:
    """The files at and below a path of the tree; nothing when there is none."""
    try:
        facts = tree.stat(target)
        if facts.kind == "file":
            yield Seen(root, [], [("", facts.size, facts.mtime_ns)])
        elif facts.kind == "folder":
            with tree.folder(target) as folder:
                yield from (
                    Seen(root, list(found.folder), list(_facts(found)))
                    for found in walk(folder.fd, allowed)
                    if isinstance(found, SomeFiles)
                )
    except CallError:
        return


def _facts(files: SomeFiles) -> Iterator[tuple[str, int, int]]:
    for name in files.names:
        try:
            status = os.stat(name, dir_fd=files.fd, follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            yield name, status.st_size, changed_at(status)
