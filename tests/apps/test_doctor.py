"""Why can't I reach it: each way of not working has its own sentence. Real sockets; no name server is asked."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_interface
from pathlib import Path

import pytest

from tieline.apps import networks
from tieline.apps.cli import examination_steps
from tieline.apps.cli.examination import FAILED, OK, WARNING, Finding, Patient, examine
from tieline.apps.cli.exit_codes import ExitCode
from tieline.apps.cli.target import Target
from tieline.errors import LoginFailed, PlainRefused, TielineError
from tieline.profiles import Profile
from tieline.transports.certificate import make_certificate
from tieline.transports.tls import pin_of, server_context

from .conftest import Serving


def findings(address: str, profile: Profile | None = None) -> dict[str, Finding]:
    return {finding.step: finding for finding in examine(Target(address, profile), 5.0)}


def last(address: str, profile: Profile | None = None) -> Finding:
    return list(findings(address, profile).values())[-1]


def profile(address: str, pin: str) -> Profile:
    return Profile(address=address, account="ada", device="laptop", key="k", pin=pin)


@contextmanager
def listening(context: ssl.SSLContext | None = None, says: bytes = b"") -> Iterator[int]:
    """A server that accepts, shakes hands if it can, says something and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.sendall(says)
                        if context is not None:
                            context.wrap_socket(connection, server_side=True).close()
                    except OSError:
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.fixture(scope="module")
def certificate() -> tuple[ssl.SSLContext, str]:
    cert, key = make_certificate(["lab"])
    der = ssl.PEM_cert_to_DER_cert(cert.decode())
    return server_context(cert, key), pin_of(der)


def test_a_name_that_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*arguments: object, **options: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    found = last("tls://no-such-host:7788")
    assert (found.step, found.result, found.code) == ("name", FAILED, ExitCode.UNREACHABLE)
    assert "no-such-host leads nowhere: Name or service not known" in found.says
    assert "spelled" in found.do


def test_without_a_pin_the_authorities_of_this_machine_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = make_certificate(["lab"])
    with listening(server_context(cert, key)) as port:
        address = f"tls://127.0.0.1:{port}"
        found = findings(address, profile(address, pin=""))["certificate"]
        assert (found.result, "no pin here" in found.says) == (WARNING, True)
        (tmp_path / "authority.pem").write_bytes(cert)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        found = findings(address, profile(address, pin=""))["certificate"]
    assert (found.result, "is for 127.0.0.1, and signed by somebody this machine trusts" in found.says) == (OK, True)


def test_a_machine_where_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        found = findings(f"tls://127.0.0.1:{port}")
    assert found["network"].says == "127.0.0.1 is this machine."
    assert found["port"].result == FAILED
    assert f"nobody listens on port {port}" in found["port"].says
    assert "certificate" not in found


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError(), "does not answer on port 7788 at all"),
        (OSError(113, "No route to host"), "There is no way from here"),
        (OSError(13, "Permission denied"), "Permission denied"),
    ],
)
def test_other_ways_of_not_connecting(monkeypatch: pytest.MonkeyPatch, error: OSError, said: str) -> None:
    def fail(*arguments: object, **options: object) -> socket.socket:
        raise error

    monkeypatch.setattr(socket, "create_connection", fail)
    found = last("tls://127.0.0.1:7788")
    assert (found.step, found.result) == ("port", FAILED)
    assert said in found.says
    assert found.do


def test_same_network_other_private_network_and_the_wide_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "own_interfaces", lambda: [ip_interface("192.168.7.2/24")])

    def refuse(*arguments: object, **options: object) -> socket.socket:
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert "same network as this machine (192.168.7.0/24)" in findings("tls://192.168.7.9")["network"].says
    other = findings("tls://10.1.2.3")["network"]
    assert other.result == WARNING
    assert "VPN" in other.do
    assert "through a router" in findings("tls://93.184.216.34")["network"].says


def test_the_certificate_is_compared_with_the_pin(certificate: tuple[ssl.SSLContext, str]) -> None:
    context, pin = certificate
    with listening(context) as port:
        address = f"tls://127.0.0.1:{port}"
        unknown = findings(address)["certificate"]
        assert unknown.result == WARNING
        assert pin in unknown.says
        assert findings(address, profile(address, pin))["certificate"].result == OK
        wrong = last(address, profile(address, "00" * 32))
    assert (wrong.step, wrong.result, wrong.code) == ("certificate", FAILED, ExitCode.REFUSED)
    assert "in between" in wrong.do


def test_another_program_on_the_port() -> None:
    with listening(says=b"220 mail.example ESMTP\r\n") as port:
        found = last(f"tls://127.0.0.1:{port}")
    assert (found.step, found.result) == ("certificate", FAILED)
    assert "another program" in found.do


def test_without_a_profile_the_login_is_not_tried(certificate: tuple[ssl.SSLContext, str]) -> None:
    with listening(certificate[0]) as port:
        found = last(f"tls://127.0.0.1:{port}")
    assert (found.step, found.result) == ("login", WARNING)
    assert "tieline join" in found.do


def test_a_ticket_is_looked_at_but_not_used_up(certificate: tuple[ssl.SSLContext, str]) -> None:
    context, pin = certificate
    with listening(context) as port:
        found = findings(f"tieline://127.0.0.1:{port}/ada?pin={pin}#abcde-fghij")
    assert found["certificate"].result == OK
    assert "good only once" in found["login"].says
    assert "fghij" not in repr(found)


def test_sockets_that_are_missing_dead_or_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "tieline.sock"
    assert "There is no socket" in last(f"unix:{path}").says
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    assert "no server behind it" in last(f"unix:{path}").says
    assert "cannot be used" in last(f"unix:/{'x' * 200}").says


@pytest.mark.parametrize(("offset", "said"), [(0.1, "agree"), (90.0, "90 s ahead of"), (-90.0, "90 s behind")])
def test_clocks(offset: float, said: str) -> None:
    from tieline.apps.cli.examination import Patient

    patient = Patient(Target("unix:/s"), 5.0)
    assert examination_steps._clock(patient) is None
    patient.clock_offset = offset
    found = examination_steps._clock(patient)
    assert found is not None
    assert said in found.says


@pytest.mark.parametrize(
    ("error", "result"), [(PlainRefused(), FAILED), (LoginFailed(), WARNING)], ids=["refused", "allowed"]
)
def test_plain_text_at_an_outer_address_of_this_very_machine_is_not_called_fine(
    error: TielineError, result: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def knock(patient: Patient) -> None:
        raise error

    monkeypatch.setattr(examination_steps, "is_ours", lambda host: True)
    monkeypatch.setattr(examination_steps, "_knock", knock)
    patient = Patient(Target("10.1.2.3:7788"), 5.0)
    patient.reached = "10.1.2.3"
    finding = examination_steps._plain(patient)
    assert finding is not None
    assert finding.result == result
    assert "tls://10.1.2.3:7788" in finding.do


def test_another_program_at_the_port_is_called_that_in_plain_text_too() -> None:
    with listening(says=b"SSH-2.0-OpenSSH_9.2p1\r\n") as port:
        finding = last(f"tcp://127.0.0.1:{port}")
    assert (finding.result, finding.step, finding.code) == (FAILED, "certificate", ExitCode.UNREACHABLE)
    assert "no Tieline server answers there" in finding.says
    assert "another program's" in finding.do


def test_a_server_that_knows_nobody_here_is_one_all_the_same(server: Serving) -> None:
    found = findings(f"tcp://127.0.0.1:{server.port}")
    assert found["certificate"].result == OK
    assert found["login"].result == WARNING
