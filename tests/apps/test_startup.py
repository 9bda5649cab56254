"""People run `tieline run` in loops: what it loads is what it needs."""

import subprocess
import sys

import pytest

from .conftest import DEADLINE, People, Person, Serve

UNNEEDED = {
    "aiohttp",
    "asn1crypto",
    "concurrent.futures.thread",
    "cryptography",
    "encodings.idna",
    "importlib.metadata",
    "rich",
    "scramp",
    "sqlite3",
    "stringprep",
    "textual",
    "tieline.files",
    "tieline.server",
    "uvloop",
}
"Loading most of them takes longer than a command there does."


@pytest.mark.parametrize("way", ["unix", "tls"])
def test_a_command_loads_nothing_it_does_not_need(serve: Serve, people: People, owner: Person, way: str) -> None:
    server = serve("--allow-shell")
    person = owner
    if way == "tls":
        person = people("ada")
        ticket = owner.out("invite", "ada", "--can", "shell", "--address", f"127.0.0.1:{server.port}").strip()
        person.out("join", ticket)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "tieline", "run", "-n", "--", "echo", "hello"],
        env=person.environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stdout) == (0, "hello\n")
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {"asyncio", "tieline.client"} <= loaded
    assert ("tieline.login.scram_client" in loaded) == (way == "tls")
    assert not loaded & UNNEEDED


def test_an_address_needs_no_thread_and_a_name_no_tables_of_unicode() -> None:
    program = (
        "import asyncio, socket, sys\n"
        "from tieline.transports.dialling import connect_tcp\n"
        "async def main(host):\n"
        "    listener = socket.create_server((b'127.0.0.1', 0))\n"
        "    with listener, await connect_tcp(host, listener.getsockname()[1]): pass\n"
        "asyncio.run(main('127.0.0.1'))\n"
        "assert 'concurrent.futures.thread' not in sys.modules\n"
        "asyncio.run(main('localhost'))\n"
        "assert 'encodings.idna' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=DEADLINE)
