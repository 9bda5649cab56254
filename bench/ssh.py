"""An sshd of this run's own: a loopback port, keys that are thrown away, one user; and how its clients are called."""

import getpass
import shutil
import subprocess
from pathlib import Path

from .processes import Server, free_port, start_program

_SERVER = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PidFile none
SetEnv HOME={folder}
"""
# The home folder: a shell that sshd starts reads its user's .bashrc, which may take ten times as long as the rest.
_CLIENT = """\
Host *
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {folder}/user
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known
  LogLevel ERROR
Host kept
  ControlMaster auto
  ControlPath {folder}/master
  ControlPersist 600
"""


def missing() -> str | None:
    absent = [name for name in ("ssh", "sshd", "ssh-keygen") if _find(name) is None]
    return f"ssh is left out: {', '.join(absent)} not installed (apt-get install openssh-server)" if absent else None


class Ssh:
    """`command("cold")` and `command("kept")` begin command lines; the second goes over one connection that stays."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.user = getpass.getuser()
        folder.mkdir(exist_ok=True)
        for name in ("host", "user"):
            keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(keygen, check=True, stdin=subprocess.DEVNULL)
        names = {"port": self.port, "folder": folder, "user": self.user}
        (folder / "server").write_text(_SERVER.format(**names))
        (folder / "client").write_text(_CLIENT.format(**names))
        host = (folder / "host.pub").read_text().split()[:2]
        (folder / "known").write_text(f"[127.0.0.1]:{self.port} {' '.join(host)}\n")

    def start(self) -> Server:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd drops its rights there
        sshd = _find("sshd")
        assert sshd is not None
        server = start_program([sshd, "-D", "-e", "-f", str(self.folder / "server")], self.port, self.folder / "log")
        subprocess.run([*self.command("kept"), "true"], check=True, stdin=subprocess.DEVNULL)
        return server

    def command(self, host: str) -> list[str]:
        return ["ssh", "-F", str(self.folder / "client"), host]

    def stop(self) -> None:
        """End the connection that is kept; its process is nobody's child."""
        subprocess.run([*self.command("kept"), "-O", "exit"], check=False, capture_output=True)


def _find(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
