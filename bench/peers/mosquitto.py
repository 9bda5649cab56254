"""mosquitto: MQTT 3.1.1, QoS 0."""

import socket
import ssl
import struct
from pathlib import Path

from ..certificate import Certificate
from ..processes import Server, free_port, start_program
from . import find_program
from .dialling import dial, read_until, secure

WINDOW = 2048
TOPIC = b"bench"


def start(folder: Path, certificate: Certificate | None) -> Server:
    port = free_port()
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "set_tcp_nodelay true", "max_queued_messages 0"]
    if certificate:
        lines += [f"certfile {certificate.cert}", f"keyfile {certificate.key}", "tls_version tlsv1.3"]
    config = folder / f"mosquitto-{port}.conf"
    config.write_text("\n".join(lines) + "\n")
    program = find_program("mosquitto") or "mosquitto"
    return start_program([program, "-c", str(config)], port, folder / "mosquitto.log")


def subscribe(port: int, tls: ssl.SSLContext | None, index: int) -> socket.socket:
    sock = _connect(port, tls, b"sub%d" % index)
    sock.sendall(_packet(0x82, struct.pack("!H", 1) + _text(TOPIC) + b"\x00"))
    read_until(sock, b"\x90\x03\x00\x01\x00")  # SUBACK of packet 1, QoS 0 granted
    return sock


def publisher(port: int, tls: ssl.SSLContext | None) -> socket.socket:
    return _connect(port, tls, b"pub")


def _connect(port: int, tls: ssl.SSLContext | None, client: bytes) -> socket.socket:
    sock = secure(dial(port), tls)
    # MQTT 3.1.1, 3.1: protocol name and level 4, clean session, keep-alive off, client identifier.
    sock.sendall(_packet(0x10, _text(b"MQTT") + b"\x04\x02\x00\x00" + _text(client)))
    read_until(sock, b"\x20\x02\x00\x00")  # CONNACK, accepted
    return sock


def publish(payload: bytes, first: int, count: int) -> bytes:
    return _packet(0x30, _text(TOPIC) + payload) * count


def delivered(payload: bytes) -> int:
    return len(publish(payload, 0, 1))  # a subscriber gets what the publisher sent


def _text(text: bytes) -> bytes:
    return struct.pack("!H", len(text)) + text


def _packet(kind: int, body: bytes) -> bytes:
    assert len(body) < 128, "one byte of length is enough for the bench"
    return bytes([kind, len(body)]) + body
