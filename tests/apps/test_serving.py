"""A server as those who look after it meet it: its log, its signals, what it says of its certificate."""

import datetime
import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

import tieline
from tieline.apps.cli import serving
from tieline.transports.address import parse
from tieline.transports.certificate import make_certificate

from .conftest import People, Person, Serve, Serving


def test_with_json_log_every_line_is_json_and_no_ticket_is_among_them(serve: Serve, owner: Person) -> None:
    server = serve("--json-log")
    assert "ticket" not in owner.out("accounts")
    ticket = owner.out("invite", "ada").strip()
    assert server.stop() == 0
    entries = [json.loads(line) for line in server.text.splitlines()]
    assert [entry["message"] for entry in entries if entry["logger"] == "tieline.serve"][-2:] == ["draining", "stopped"]
    assert ticket.partition("#")[2] not in server.text


async def test_before_the_network_is_up_the_first_ticket_names_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "reachable", lambda addresses: [])
    server = tieline.Server()
    async with server.serving("tcp://:0") as addresses:
        await server.accounts.create_owner("ada")
        ticket = parse(await serving._ticket(server, addresses, "ada"))
    assert (ticket.host, ticket.port) == (socket.gethostname(), parse(addresses[0]).port)


def test_what_keeps_a_server_from_starting_is_in_its_json_log_too(serve: Serve, people: People) -> None:
    port = serve().port
    done = people("other").run("serve", "--json-log", "--listen", f"127.0.0.1:{port}")
    assert done.returncode == 2
    assert f"port {port} is in use" in json.loads(done.stderr)["message"]


@pytest.fixture
def draining(serve: Serve, owner: Person) -> Iterator[Callable[[int], Serving]]:
    """`draining(number)`: a server that was sent the signal, and is held up by a call that never ends."""
    busy: list[subprocess.Popen[str]] = []

    def start(number: int) -> Serving:
        server = serve()
        busy.append(owner.start("call", "echo.count", "to=1000000000"))
        assert busy[0].stdout is not None
        busy[0].stdout.readline()
        server.process.send_signal(number)
        assert server.process.stderr is not None
        assert any("draining" in line for line in server.process.stderr)
        return server

    yield start
    for each in busy:
        each.kill()
        each.communicate()


def test_a_terminal_that_goes_away_may_say_so_twice(draining: Callable[[int], Serving]) -> None:
    server = draining(signal.SIGHUP)
    server.process.send_signal(signal.SIGHUP)
    assert server.stop(signal.SIGTERM) == 128 + signal.SIGTERM


def test_a_second_signal_ends_the_server_at_once(draining: Callable[[int], Serving]) -> None:
    assert draining(signal.SIGINT).stop(signal.SIGINT) == 130


def test_a_server_started_with_nohup_outlives_its_terminal(serve: Serve, owner: Person) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does, for what it starts
    try:
        server = serve()
    finally:
        signal.signal(signal.SIGHUP, before)
    server.process.send_signal(signal.SIGHUP)
    assert owner.out("call", "echo.upper", "text=here") == '"HERE"\n'
    assert server.process.poll() is None


@pytest.mark.parametrize(("days", "said"), [(-3, "expired on"), (10, "expires on"), (200, "")])
def test_a_certificate_of_ones_own_that_runs_out_is_told_of(serve: Serve, tmp_path: Path, days: int, said: str) -> None:
    cert, key = lasting(tmp_path, days)
    text = serve("--cert", str(cert), "--key", str(key)).text
    assert ("warning" in text) == bool(said)
    assert f"the certificate in {cert} {said}" in text or not said


def lasting(folder: Path, days: int) -> tuple[Path, Path]:
    """Files of a certificate that is good for so many days more, and of its key."""
    key = make_certificate([])[1]
    secret = load_pem_private_key(key, None)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lab")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, secret.public_key(), 1)  # type: ignore[arg-type]
        .not_valid_before(now - datetime.timedelta(days=100))
        .not_valid_after(now + datetime.timedelta(days=days))
        .sign(secret, hashes.SHA256())  # type: ignore[arg-type]
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key)
    return folder / "cert.pem", folder / "key.pem"
