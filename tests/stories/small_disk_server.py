"""A server whose data folder is a small disk of its own: `python small_disk_server.py FOLDER SIZE ARGUMENTS…`.

The disk is mounted where this process alone sees it (others look through /proc/PID/root), and is gone with it. What is
kept free for the database is not kept here, as if others had filled the disk since the server looked. Needs root.
"""

import ctypes
import os
import subprocess
import sys

from tieline.apps.cli import main as program
from tieline.store.files import quota

_CLONE_NEWNS = 0x20000

if __name__ == "__main__":
    folder, size, *arguments = sys.argv[1:]
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "a mount namespace of its own")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", folder], check=True)
    quota.MARGIN = -1 << 40
    sys.argv = ["tieline", *arguments]
    program.main()
