"""The Unix socket: the server's own user needs no password, and no other user of the system is let in without one."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

import tieline

from .conftest import Machines, Servers
from .machines import DEADLINE, Machine, ServerProcess

FORGED = """
import asyncio, sys
from tieline.limits import DEFAULT
from tieline.link.dial import dial_stream
from tieline.link.frame_link import FrameLink
from tieline.login.exchange import Turns, enter
from tieline.transports.address import parse
from tieline.wire.moves import Side

class Forged:
    "Says it is the server's own user, whatever is offered."
    proven = True
    def first(self, mechanisms):
        print(*mechanisms)
        return "EXTERNAL", b""

async def main():
    turns = Turns()
    link = FrameLink(Side.CLIENT, DEFAULT, turns)
    await dial_stream(parse(sys.argv[1]), link)
    try:
        print("came in as", (await enter(link, turns, Forged(), agent="", limits=DEFAULT)).account)
    except Exception as error:
        print(type(error).__name__, error)

asyncio.run(main())
"""


async def run(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(*arguments, stdout=subprocess.PIPE)
    async with asyncio.timeout(DEADLINE):
        out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


async def test_the_servers_own_user_needs_no_password(server: ServerProcess) -> None:
    async with tieline.connect(server.unix) as client:
        assert client.identity.may("admin")
        assert (await client.call("accounts.whoami"))["via"] == "unix"
    path = Path(server.unix.removeprefix("unix:"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.requires("setpriv")
async def test_another_user_is_refused_even_where_the_file_lets_him(
    servers: Servers, machines: Machines, owner: Machine, nobody: list[str], public_folder: Path
) -> None:
    path = public_folder / "public.sock"
    server = servers("--listen", f"unix:{path}")
    await server.start()
    other = Machine(public_folder / "other", prefix=nobody)
    code, _, said = await other.run("rooms", "--server", f"unix:{path}")
    assert code == 3
    assert "this user may not use that socket file" in said
    path.chmod(0o666)
    code, _, said = await other.run("rooms", "--server", f"unix:{path}")
    assert code == 4
    assert "does not know you by your system user" in said
    code, said, _ = await other.run("doctor", f"unix:{path}")
    assert code == 4
    assert "sudo -u USER" in said
    # Who is at the other end is told by the kernel, so insisting does not help.
    offered, result = (await run(*nobody, sys.executable, "-c", FORGED, f"unix:{path}")).splitlines()
    assert "EXTERNAL" not in offered.split()
    assert result.startswith("LoginFailed")
    # The same program run by the server's user is let in: what is refused is the user, not the program.
    offered, result = (await run(sys.executable, "-c", FORGED, f"unix:{path}")).splitlines()
    assert "EXTERNAL" in offered.split()
    assert result.startswith("came in as")
    # And another user with a key may use the socket like anybody.
    ada = machines("ada")
    await ada.out("join", (await owner.out("invite", "ada")).strip())
    other.environment["TIELINE_CONFIG"] = ada.environment["TIELINE_CONFIG"]
    who = await other.out("call", "accounts.whoami", "--server", f"unix:{path}", "--profile", "default")
    assert json.loads(who)["account"] == "ada"
