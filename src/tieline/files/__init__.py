"""Files of a server, for its clients: `peer.files.put(…)`, `get`, `list`, `open`."""

from tieline.files.api import Entry, Files
from tieline.files.reading import RemoteFile
from tieline.files.syncing import Plan
from tieline.files.tally import Failed, Progress, Transferred

__all__ = ["Entry", "Failed", "Files", "Plan", "Progress", "RemoteFile", "Transferred"]
