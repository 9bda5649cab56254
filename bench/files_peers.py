"""Who takes part in the files group: each stores files in a folder of its own, and puts and gets by its own means."""

import ftplib
import getpass
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar, Self

from .certificate import Certificate
from .processes import cpu_seconds, end, free_port, read_json, spawn, start_program

TICK = os.sysconf("SC_CLK_TCK")


class Peer:
    """A contender while it runs. `put` and `get` return the seconds of the transfer itself."""

    name: ClassVar[str]
    programs: ClassVar[tuple[str, ...]] = ()
    takes_folders = True
    takes_large = True
    keeps = True
    "Whether what it receives lies somewhere afterwards."

    def __init__(self, folder: Path, certificate: Certificate) -> None:
        self.folder = folder
        self.certificate = certificate

    @classmethod
    def missing(cls) -> str | None:
        absent = [program for program in cls.programs if shutil.which(program) is None]
        return f"without {cls.name}: {', '.join(absent)} not installed" if absent else None

    def stored(self, name: str) -> Path:
        """Where it keeps what was put under this name."""
        return self.folder / "files" / name

    def have(self, source: Path, name: str) -> None:
        """Let it have this already."""
        target = self.stored(name)
        if target.exists():
            return
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)

    def put(self, source: Path, name: str) -> float:
        raise NotImplementedError

    def get(self, name: str, target: Path) -> float:
        raise NotImplementedError

    def client_cpu(self) -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def server_cpu(self) -> float:
        raise NotImplementedError

    def __enter__(self) -> Self:
        (self.folder / "files").mkdir(exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None: ...

    def stop(self) -> None: ...


def family_cpu(pid: int) -> float:
    """CPU seconds of a process and all below it, those that have ended too."""
    children: dict[int, list[int]] = {}
    used: dict[int, int] = {}
    for each in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(each))
        used[int(each)] = sum(map(int, fields[11:15]))
    total, ahead = 0, [pid]
    while ahead:
        one = ahead.pop()
        total += used.get(one, 0)
        ahead += children.get(one, [])
    return total / TICK


def run_timed(command: list[str], **options: Any) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
    return time.perf_counter() - began


# -- Python in both ends ---------------------------------------------------------------------------------------------


class Talking(Peer):
    """Two processes of ours, a server and a client that does what it is told line by line."""

    server_module: ClassVar[str]

    def start(self) -> None:
        files = str(self.certificate.cert.parent)
        self._server = spawn([sys.executable, "-m", f"bench.{self.server_module}", "serve", str(self.folder), files])
        told = read_json(self._server)
        self._client = spawn(
            [sys.executable, "-m", f"bench.{self.server_module}", "client", str(self.folder), files, json.dumps(told)]
        )
        read_json(self._client)

    def stop(self) -> None:
        end(self._client)
        end(self._server)

    def put(self, source: Path, name: str) -> float:
        return self._ask("put", str(source), name)

    def get(self, name: str, target: Path) -> float:
        return self._ask("get", name, str(target))

    def _ask(self, *words: str) -> float:
        assert self._client.stdin
        self._client.stdin.write(json.dumps(words) + "\n")
        self._client.stdin.flush()
        return float(read_json(self._client, 300)["seconds"])

    def client_cpu(self) -> float:
        return cpu_seconds([self._client.pid])

    def server_cpu(self) -> float:
        return cpu_seconds([self._server.pid])


class Tieline(Talking):
    name = "tieline"
    server_module = "files_tieline"

    def stored(self, name: str) -> Path:
        return self.folder / "data" / "files" / name


class Floor(Talking):
    """A bare blocking TLS socket pair, from file to file, nothing verified, nothing named."""

    name = "tls pair"
    server_module = "files_floor"
    takes_folders = False


class MemoryFloor(Talking):
    """The same from memory to nowhere."""

    name = "tls pair in memory"
    server_module = "files_floor"
    takes_folders = False
    keeps = False

    def put(self, source: Path, name: str) -> float:
        return self._ask("put", f"memory:{source.stat().st_size}", "memory")

    def get(self, name: str, target: Path) -> float:
        return self._ask("get", f"memory:{self._size}", "memory")

    def have(self, source: Path, name: str) -> None:
        self._size = source.stat().st_size


# -- over ssh --------------------------------------------------------------------------------------------------------


class Ssh(Peer):
    """A server of ssh of our own on loopback, with throw-away keys, and one open connection to it."""

    programs: ClassVar[tuple[str, ...]] = ("ssh", "sshd", "scp", "sftp", "rsync", "ssh-keygen")

    def start(self) -> None:
        at = self.folder
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(at / key)], check=True)
        (at / "authorized").write_text((at / "user.pub").read_text())
        self.port = free_port()
        Path("/run/sshd").mkdir(exist_ok=True)
        (at / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nAuthorizedKeysFile {at}/authorized\n"
            "PermitRootLogin yes\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPidFile none\n"
            "Subsystem sftp internal-sftp\nMaxSessions 100\n"
        )
        self._server = start_program(
            [shutil.which("sshd") or "sshd", "-D", "-e", "-f", str(at / "sshd_config")], self.port, at / "sshd.log"
        )
        self.control = f"/tmp/tieline-bench-{os.getpid()}-{type(self).__name__}.ctl"
        self.options = [
            *("-o", f"ControlPath={self.control}", "-o", f"IdentityFile={at}/user", "-o", "IdentitiesOnly=yes"),
            *("-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={at}/known", "-o", "LogLevel=ERROR"),
        ]
        self.where = f"{getpass.getuser()}@127.0.0.1"
        self._master = spawn(
            ["ssh", "-M", "-N", *self.options, "-p", str(self.port), self.where], stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 15
        while not Path(self.control).exists():
            if time.monotonic() > deadline or self._master.poll() is not None:
                raise RuntimeError(f"ssh does not connect: {(at / 'sshd.log').read_text()[-500:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        end(self._master)
        self._server.stop()

    def client_cpu(self) -> float:
        return super().client_cpu() + cpu_seconds([self._master.pid])

    def server_cpu(self) -> float:
        return family_cpu(self._server.process.pid)


class Scp(Ssh):
    name = "scp"

    def put(self, source: Path, name: str) -> float:
        target = f"{self.where}:{self.stored(name)}"
        return run_timed(["scp", "-q", "-r", "-p", *self.options, "-P", str(self.port), str(source), target])

    def get(self, name: str, target: Path) -> float:
        source = f"{self.where}:{self.stored(name)}"
        return run_timed(["scp", "-q", "-r", "-p", *self.options, "-P", str(self.port), source, str(target)])


class Sftp(Ssh):
    name = "sftp"

    def put(self, source: Path, name: str) -> float:
        return self._run(f"put {'-r ' if source.is_dir() else ''}-p {source} {self.stored(name)}")

    def get(self, name: str, target: Path) -> float:
        return self._run(f"get {'-r ' if self.stored(name).is_dir() else ''}-p {self.stored(name)} {target}")

    def _run(self, command: str) -> float:
        began = time.perf_counter()
        subprocess.run(
            ["sftp", "-q", *self.options, "-P", str(self.port), "-b", "-", self.where],
            input=command + "\n",
            text=True,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        return time.perf_counter() - began


class Rsync(Ssh):
    name = "rsync"

    def put(self, source: Path, name: str) -> float:
        return self._run(_named(source), f"{self.where}:{self.stored(name)}")

    def get(self, name: str, target: Path) -> float:
        return self._run(f"{self.where}:{_named(self.stored(name))}", str(target))

    def _run(self, source: str, target: str) -> float:
        shell = " ".join(["ssh", *self.options, "-p", str(self.port)])
        return run_timed(["rsync", "-a", "--whole-file", "-e", shell, source, target])


class Tar(Ssh):
    """`tar | ssh tar`: nothing is asked back, one stream."""

    name = "tar over ssh"
    takes_large = False

    def put(self, source: Path, name: str) -> float:
        self.stored(name).mkdir(exist_ok=True)
        there = f"tar xf - -C {self.stored(name)}"
        return self._run(f"tar cf - -C {_folder(source)} | {self._ssh()} '{there}'")

    def get(self, name: str, target: Path) -> float:
        target.mkdir(exist_ok=True)
        return self._run(f"{self._ssh()} 'tar cf - -C {_folder(self.stored(name))}' | tar xf - -C {target}")

    def _ssh(self) -> str:
        return " ".join(["ssh", *self.options, "-p", str(self.port), self.where])

    def _run(self, command: str) -> float:
        return run_timed(["bash", "-o", "pipefail", "-c", command])


def _named(source: Path) -> str:
    return f"{source}/" if source.is_dir() else str(source)


def _folder(source: Path) -> str:
    return f"{source} ." if source.is_dir() else f"{source.parent} {source.name}"


# -- others ----------------------------------------------------------------------------------------------------------


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


CONTENDERS: dict[str, type[Peer]] = {
    each.name: each for each in (Tieline, Floor, MemoryFloor, Scp, Sftp, Rsync, Tar, Nginx, Ftp)
}
