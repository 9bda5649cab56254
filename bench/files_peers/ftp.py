"""pyftpdlib, by FTP without TLS."""

import ftplib
import sys
import time
from pathlib import Path

from ..processes import cpu_seconds, free_port, start_program
from .peer import Peer


class Ftp(Peer):
    """pyftpdlib, plain: no TLS at all."""

    name = "pyftpdlib"

    @classmethod
    def missing(cls) -> str | None:
        try:
            import pyftpdlib  # noqa: F401
        except ImportError:
            return "without pyftpdlib: pip install pyftpdlib"
        return None

    def start(self) -> None:
        self.port = free_port()
        code = (
            "import sys; from pyftpdlib.authorizers import DummyAuthorizer as A\n"
            "from pyftpdlib.handlers import FTPHandler as H; from pyftpdlib.servers import FTPServer as S\n"
            "a = A(); a.add_anonymous(sys.argv[1], perm='elradfmwMT'); H.authorizer = a\n"
            "S(('127.0.0.1', int(sys.argv[2])), H).serve_forever()"
        )
        command = [sys.executable, "-W", "ignore", "-c", code, str(self.folder / "files"), str(self.port)]
        self._server = start_program(command, self.port, self.folder / "log")
        self._ftp = ftplib.FTP()
        self._ftp.connect("127.0.0.1", self.port)
        self._ftp.login()

    def stop(self) -> None:
        self._ftp.close()
        self._server.stop()

    def put(self, source: Path, name: str) -> float:
        began = time.perf_counter()
        if source.is_dir():
            self._ftp.mkd(name)
            for path in sorted(source.iterdir()):
                with path.open("rb") as file:
                    self._ftp.storbinary(f"STOR {name}/{path.name}", file)
        else:
            with source.open("rb") as file:
                self._ftp.storbinary(f"STOR {name}", file, 256 * 1024)
        return time.perf_counter() - began

    def get(self, name: str, target: Path) -> float:
        began = time.perf_counter()
        if self.stored(name).is_dir():
            target.mkdir()
            for each in self._ftp.nlst(name):
                with (target / Path(each).name).open("wb") as file:
                    self._ftp.retrbinary(f"RETR {name}/{Path(each).name}", file.write)
        else:
            with target.open("wb") as file:
                self._ftp.retrbinary(f"RETR {name}", file.write, 256 * 1024)
        return time.perf_counter() - began

    def client_cpu(self) -> float:
        return time.process_time()

    def server_cpu(self) -> float:
        return cpu_seconds([self._server.process.pid])
