"""curl and nginx, by HTTPS."""

import getpass
import json
import subprocess
from pathlib import Path

from ..processes import family_cpu, free_port, start_program
from .peer import Peer


class Nginx(Peer):
    """curl and nginx over https, with its WebDAV module for uploads."""

    name = "curl + nginx"
    programs = ("curl", "nginx")
    takes_folders = False

    def start(self) -> None:
        at, self.port = self.folder, free_port()
        (at / "temporary").mkdir()
        (at / "nginx.conf").write_text(
            f"daemon off; worker_processes 2; pid {at}/pid; error_log {at}/error.log; user {getpass.getuser()};\n"
            "events { worker_connections 256; }\n"
            f"http {{ access_log off; sendfile on; client_max_body_size 0; client_body_temp_path {at}/temporary;\n"
            f" server {{ listen 127.0.0.1:{self.port} ssl; ssl_protocols TLSv1.3;\n"
            f"  ssl_certificate {self.certificate.cert}; ssl_certificate_key {self.certificate.key};\n"
            f"  root {at}/files; location / {{ dav_methods PUT; create_full_put_path on; dav_access all:rw; }} }} }}\n"
        )
        self._server = start_program(["nginx", "-c", str(at / "nginx.conf")], self.port, at / "log")

    def stop(self) -> None:
        self._server.stop()

    def put(self, source: Path, name: str) -> float:
        return self._curl("-T", str(source), f"https://127.0.0.1:{self.port}/{name}")

    def get(self, name: str, target: Path) -> float:
        return self._curl("-o", str(target), f"https://127.0.0.1:{self.port}/{name}")

    def _curl(self, *words: str) -> float:
        format_ = ["-w", '%{stderr}{"total":%{time_total},"hello":%{time_appconnect}}']
        done = subprocess.run(
            ["curl", "-s", "-f", "--cacert", str(self.certificate.cert), *format_, *words],
            check=True,
            capture_output=True,
            text=True,
        )
        told = json.loads(done.stderr)
        return float(told["total"] - told["hello"])

    def server_cpu(self) -> float:
        return family_cpu(self._server.process.pid)
