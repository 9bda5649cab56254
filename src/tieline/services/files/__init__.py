"""The files of a server: shared, of rooms, and personal; looked at, changed and moved about.

Files lie on the server's disk as ordinary files beneath one folder, under the very paths that callers use.
"""

from tieline.services.files.files import Files
from tieline.services.files.serving import FileService, Room, serving

__all__ = ["FileService", "Files", "Room", "serving"]
