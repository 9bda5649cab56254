"""The files of a server: shared, of rooms, and personal; looked at, changed and moved about.

Files lie on the server's disk as ordinary files beneath one folder, under the very paths that callers use.
"""

from tieline.rpc.handlers import Handlers
from tieline.services.files import methods
from tieline.services.files.files import Files

__all__ = ["Files", "install"]


def install(handlers: Handlers, files: Files) -> None:
    """Offer `files.*` to callers with the scopes `files.read` and `files.write`."""
    methods.install(handlers, files)
