"""ngIRCd: an IRC channel. Its penalties for busy clients are off; name and ident look-ups too."""

import socket
import ssl
from pathlib import Path

from ..certificate import Certificate
from ..processes import Server, free_port, start_program
from . import find_program
from .dialling import dial, read_until, secure

WINDOW = 400
"ngIRCd closes a connection with more than 32 KiB unsent (WRITEBUFFER_MAX_LEN): 400 messages stay below that."

NUDGE = b"PING bench\r\n"
"Over TLS it leaves the end of what it has read unhandled until more comes; this makes more come."

CONFIG = """
[Global]
Name = irc.bench.example
Info = bench
Listen = 127.0.0.1
MotdPhrase = hello
{plain}
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxNickLength = 16
MaxPenaltyTime = 0
PingTimeout = 600
[Options]
DNS = no
Ident = no
PAM = no
{secure}
"""


def start(folder: Path, certificate: Certificate | None) -> Server:
    port = free_port()
    plain, secured = f"Ports = {port}", ""
    if certificate:
        # Without a plain port it would take 6667.
        plain = f"Ports = {free_port()}"
        secured = f"[SSL]\nCertFile = {certificate.cert}\nKeyFile = {certificate.key}\nPorts = {port}"
    config = folder / f"ngircd-{port}.conf"
    config.write_text(CONFIG.format(plain=plain, secure=secured))
    return start_program([find_program("ngircd") or "ngircd", "-n", "-f", str(config)], port, folder / "ngircd.log")


def subscribe(port: int, tls: ssl.SSLContext | None, index: int) -> socket.socket:
    sock = _register(port, tls, f"sub{index}")
    sock.sendall(b"JOIN #bench\r\n")
    read_until(sock, b" 366 ")
    return sock


def publisher(port: int, tls: ssl.SSLContext | None) -> socket.socket:
    return _register(port, tls, "pub")


def _register(port: int, tls: ssl.SSLContext | None, nick: str) -> socket.socket:
    sock = secure(dial(port), tls)
    sock.sendall(f"NICK {nick}\r\nUSER bench 0 * :bench\r\n".encode())
    read_until(sock, b" 376 ")  # the end of the message of the day
    return sock


def publish(payload: bytes, first: int, count: int) -> bytes:
    return b"PRIVMSG #bench :%b\r\n" % payload * count


def delivered(payload: bytes) -> int:
    return len(b":pub!~bench@127.0.0.1 PRIVMSG #bench :%b\r\n" % payload)
