"""nats-server as it comes, on a free port, with the run's certificate when asked."""

from pathlib import Path

from ..certificate import Certificate
from ..processes import Server, free_port, start_program
from . import find_program


def start(folder: Path, certificate: Certificate | None) -> Server:
    port = free_port()
    lines = [f'listen: "127.0.0.1:{port}"']
    if certificate:
        lines.append(f'tls {{ cert_file: "{certificate.cert}", key_file: "{certificate.key}" }}')
    config = folder / f"nats-{port}.conf"
    config.write_text("\n".join(lines) + "\n")
    return start_program([find_program("nats-server") or "nats-server", "-c", str(config)], port, folder / "nats.log")
