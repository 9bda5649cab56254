"""What people use today, over one open connection of ssh: scp, sftp, rsync, tar."""

import getpass
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import ClassVar

from ..processes import cpu_seconds, end, family_cpu, free_port, spawn, start_program
from .peer import Peer, run_timed


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
