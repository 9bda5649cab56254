"""Files of a server, for its clients: `peer.files.put(…)`, `get`, `list`, `open`."""

from tieline.files.api import Files
from tieline.files.tally import Failed, Progress, Transferred

__all__ = ["Failed", "Files", "Progress", "Transferred"]
