"""Who takes part in the files group, by name."""

from .ftp import Ftp
from .nginx import Nginx
from .over_ssh import Rsync, Scp, Sftp, Tar
from .peer import Peer
from .talking import Floor, MemoryFloor, Tieline

__all__ = ["CONTENDERS", "Peer"]

CONTENDERS: dict[str, type[Peer]] = {
    each.name: each for each in (Tieline, Floor, MemoryFloor, Scp, Sftp, Rsync, Tar, Nginx, Ftp)
}
