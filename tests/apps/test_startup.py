"""People run `tieline run` in loops: what it loads is what it needs."""

import subprocess
import sys

UNNEEDED = ("aiohttp", "scramp", "rich", "uvloop", "cryptography", "textual", "sqlite3", "tieline.server")
"Loading each of them takes longer than a command there does."

_LOADED = """
import sys
from tieline.apps.cli import main, run, running
from tieline import client
from tieline.login.credential import Credential
from tieline.login.client import ClientLogin
ClientLogin(Credential.local(""), None).first(["EXTERNAL"])
print("\\n".join(sys.modules))
"""


def test_a_command_loads_nothing_it_does_not_need() -> None:
    done = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "asyncio" in loaded
    assert not loaded & set(UNNEEDED)
