"""The steps of `tieline doctor`, in order. Each looks at one thing with plain sockets and says what it saw."""

import asyncio
import errno
import ipaddress
import socket
import ssl
import time
from contextlib import AsyncExitStack
from pathlib import Path

from tieline.apps.networks import is_ours, network_of
from tieline.errors import (
    DialFailed,
    LinkError,
    LoginError,
    LoginFailed,
    PinMismatch,
    PlainRefused,
    TielineError,
    TooManyAttempts,
)
from tieline.transports.endpoint import is_loopback
from tieline.transports.tls import NATIVE, client_context, pin_of

from .examination import Finding, Patient, Step, broken, fine, odd
from .exit_codes import ExitCode, exit_code
from .session import open_client
from .target import Target

CLOCK_TOLERANCE = 5.0
"Seconds. Nothing breaks beyond it; times of messages just look wrong."


def _socket_file(patient: Patient) -> Finding | None:
    if patient.address.scheme != "unix":
        return None
    path = Path(patient.address.path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(patient.timeout)
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            return broken(f"There is no socket {path}.", "Start the server with `tieline serve`, or check the path.")
        except PermissionError:
            return broken(
                f"You may not use the socket {path}.",
                "It belongs to the user who runs the server; ask them for a ticket.",
                ExitCode.REFUSED,
            )
        except ConnectionRefusedError:
            return broken(
                f"The socket {path} is there, but no server behind it.",
                "It was left by a server that was killed; `tieline serve` replaces it.",
            )
        except OSError as error:
            return broken(f"The socket {path} cannot be used: {error.strerror or error}.", "Check the path.")
    return fine(f"A server answers at the socket {path}.")


def _name(patient: Patient) -> Finding | None:
    address = patient.address
    if address.scheme == "unix":
        return None
    host = address.host or "localhost"
    try:
        found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return broken(
            f"The name {host} leads nowhere: {reason}.",
            "Check how it is spelled, or use the server's IP address instead.",
        )
    patient.hosts = list(dict.fromkeys(str(place[0]) for *_, place in found))
    if patient.hosts == [host]:
        return fine(f"{host} is an IP address; no name has to be looked up.")
    return fine(f"{host} is {' and '.join(patient.hosts)}.")


def _network(patient: Patient) -> Finding | None:
    if not patient.hosts:
        return None
    host = patient.hosts[0]
    if is_ours(host):
        return fine(f"{host} is this machine.")
    network = network_of(host)
    if network is not None:
        return fine(f"{host} is in the same network as this machine ({network.network}).")
    if ipaddress.ip_address(host).is_private:
        return odd(
            f"{host} is a private address of a network this machine is not in.",
            "It works only if a router or VPN joins the two networks; else put both machines in the same network.",
        )
    return fine(f"{host} is reached through a router.")


def _tcp(patient: Patient) -> Finding | None:
    if not patient.hosts:
        return None
    failed: list[Finding] = []
    for host in patient.hosts:
        began = time.monotonic()
        try:
            socket.create_connection((host, patient.address.port), timeout=_share(patient)).close()
        except OSError as error:
            failed.append(_no_connection(host, patient.address.port, error))
            continue
        patient.reached = host
        took = (time.monotonic() - began) * 1000
        return fine(f"Port {patient.address.port} at {host} is open ({took:.1f} ms).")
    return failed[0]


def _share(patient: Patient) -> float:
    return patient.timeout / len(patient.hosts)


def _no_connection(host: str, port: int, error: OSError) -> Finding:
    if isinstance(error, ConnectionRefusedError):
        return broken(
            f"{host} is there, but nobody listens on port {port}.",
            "Check that the server runs, that it listens on this port, and not only on its own machine (127.0.0.1).",
        )
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return broken(
            f"{host} does not answer on port {port} at all.",
            f"Check that the machine is on, and that its firewall lets TCP port {port} in.",
        )
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return broken(f"There is no way from here to {host}.", "Check this machine's network connection, or the VPN.")
    return broken(f"{host} port {port}: {error.strerror or error}.", "Check the address and the network.")


def _tls(patient: Patient) -> Finding | None:
    if not patient.reached:
        return None
    if not patient.address.tls:
        return _plain(patient)
    try:
        der = _certificate(patient, _anybody())
    except (ssl.SSLError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        return broken(
            f"What listens there does not speak TLS 1.3 as Tieline does ({reason}).",
            "Check the port: it may be another program's.",
        )
    except OSError as error:
        return broken(
            f"What listens there does not answer a TLS hello: {error.strerror or error}.",
            "Check the port: it may be another program's.",
        )
    if not patient.pin and _is_trusted(patient):
        return fine(f"Its certificate is for {patient.address.host}, and signed by somebody this machine trusts.")
    return _judge(patient.pin, pin_of(der))


def _plain(patient: Patient) -> Finding | None:
    try:
        asyncio.run(_knock(patient))
    except LoginError:
        pass  # it is one, and wants to know who we are
    except PlainRefused:
        return broken(
            "This address asks for plain text, which servers take at localhost only.",
            f"Use tls://{patient.address.where}.",
        )
    except (TielineError, TimeoutError) as error:
        return broken(
            f"The port is open, but no Tieline server answers there: {_without_advice(error)}.",
            "Check the port: it may be another program's.",
        )
    if is_loopback(patient.reached):
        return fine("Plain text, to this machine itself.")
    return odd("Plain text, which this server takes; it can be read on the way.", f"Use tls://{patient.address.where}.")


async def _knock(patient: Patient) -> None:
    """Only to see whether a Tieline server answers; who has no name there is refused, or a guest for a moment."""
    async with AsyncExitStack() as stack:
        await open_client(stack, Target(str(patient.address)), patient.timeout)


def _without_advice(error: BaseException) -> str:
    reason = error.reason if isinstance(error, DialFailed) else str(error).rstrip(".")
    return reason.rpartition(": ")[0] or reason


def _anybody() -> ssl.SSLContext:
    """Whatever is shown is to be looked at; nothing is sent that a stranger must not have."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([NATIVE])
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _is_trusted(patient: Patient) -> bool:
    """Without a pin the system's authorities decide, here as when a client dials."""
    try:
        return bool(_certificate(patient, client_context()))
    except OSError:
        return False


def _certificate(patient: Patient, context: ssl.SSLContext) -> bytes:
    with (
        socket.create_connection((patient.reached, patient.address.port), timeout=patient.timeout) as plain,
        context.wrap_socket(plain, server_hostname=patient.address.host or None) as secure,
    ):
        return secure.getpeercert(binary_form=True) or b""


def _judge(pinned: str, shown: str) -> Finding:
    if not pinned:
        return odd(
            f"There is no pin here to compare its certificate's with: {shown}",
            "Ask the server's owner, by another way, whether the pin is right; a ticket brings it along.",
        )
    if shown == pinned:
        return fine("It shows the certificate you trust.")
    return broken(
        f"It shows another certificate (pin {shown}) than the one you trust (pin {pinned}).",
        "Somebody may be in between, or the server was set up anew: ask its owner for a fresh ticket.",
        ExitCode.REFUSED,
    )


def _login(patient: Patient) -> Finding | None:
    if patient.address.secret:
        return odd("The ticket was not tried, because it is good only once.", "Use it: tieline join TICKET.")
    if patient.address.scheme != "unix" and patient.target.profile is None:
        return odd(
            "The login was not tried: this machine has no profile for that server.",
            "Ask its owner for a ticket, then: tieline join TICKET.",
        )
    try:
        return asyncio.run(_visit(patient))
    except (TielineError, TimeoutError) as error:
        return _no_login(error, here=patient.address.scheme == "unix")


async def _visit(patient: Patient) -> Finding:
    async with AsyncExitStack() as stack:
        client = await open_client(stack, patient.target, patient.timeout)
        began, began_wall = time.monotonic(), time.time()
        answer = await client.call("clock.now", timeout=patient.timeout)
        patient.round_trip = time.monotonic() - began
        patient.clock_offset = answer["unix"] - (began_wall + patient.round_trip / 2)
        scopes = ", ".join(sorted(client.identity.scopes)) or "nothing"
        return fine(
            f"{client.server_name} knows you as {client.identity.account} ({client.identity.device}); you may {scopes}."
        )


def _no_login(error: BaseException, *, here: bool) -> Finding:
    code = exit_code(error) or ExitCode.FAILED
    do = "Try again; if it stays so, ask the server's owner to look at its log."
    if isinstance(error, PinMismatch):
        do = "Ask its owner for a fresh ticket."
    elif isinstance(error, LoginFailed) and here:
        do = (
            "Run it as the user who runs the server (sudo -u USER), or ask its owner for a ticket: tieline join TICKET."
        )
    elif isinstance(error, LoginFailed):
        do = "This device may have been revoked: ask the server's owner for a new ticket, then `tieline join TICKET`."
    elif isinstance(error, TooManyAttempts):
        do = "Wait so long."
    elif isinstance(error, LinkError):
        do = "The port is open, but what answers is not a working Tieline server: check the port, and the server's log."
    return broken(f"The login failed: {error}".rstrip(".") + ".", do, code)


def _clock(patient: Patient) -> Finding | None:
    offset = patient.clock_offset
    if offset is None:
        return None
    trip = f"an answer takes {patient.round_trip * 1000:.1f} ms"
    if abs(offset) - patient.round_trip <= CLOCK_TOLERANCE:
        return fine(f"Both clocks agree; {trip}.")
    direction = "ahead of" if offset > 0 else "behind"
    return odd(
        f"The server's clock is {abs(offset):.0f} s {direction} this machine's; {trip}.",
        "Times of messages will look wrong: let both machines set their clocks by the network (NTP).",
    )


STEPS = (
    Step("socket", _socket_file),
    Step("name", _name),
    Step("network", _network),
    Step("port", _tcp),
    Step("certificate", _tls),
    Step("login", _login),
    Step("clock", _clock),
)
