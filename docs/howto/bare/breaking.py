"""Breaks the bare programs beside this file, one by its name or all, and prints what is seen.

    python docs/howto/bare/breaking.py upper

What is said is the same each time: a test compares it with the page that shows it.
"""

import contextlib
import hashlib
import hmac
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
Place = tuple[str, int]


class Bare:
    """A running bare server."""

    def __init__(self, name: str, port: int = 0) -> None:
        self.place = ("127.0.0.1", port or free_port())
        command = [sys.executable, str(HERE / f"{name}.py"), str(self.place[1])]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self.line()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip()

    def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def noticed(self, error: str) -> None:
        """Waits until it has complained of this."""
        assert self.process.stderr is not None
        while error not in self.process.stderr.readline():
            assert self.process.poll() is None

    def last_words(self) -> str:
        """How it ended."""
        _, complaint = self.process.communicate(timeout=20)
        return complaint.strip().rpartition("\n")[2] or "it ended without a word"

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def free_port() -> int:
    """Not one of those the kernel gives by itself: it must still be free when the server has started."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def bare(name: str, port: int = 0) -> Iterator[Bare]:
    server = Bare(name, port)
    try:
        yield server
    finally:
        server.end()


def call(server: Bare) -> socket.socket:
    caller = socket.create_connection(server.place)
    caller.settimeout(0.3)
    return caller


def heard(caller: socket.socket) -> str:
    try:
        return repr(caller.recv(65536))
    except TimeoutError:
        return "nothing"
    except ConnectionError as error:
        return type(error).__name__


def crash(caller: socket.socket) -> None:
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    caller.close()


# -- the programs ----------------------------------------------------------------------------------------------------


def upper() -> None:
    with bare("upper") as server, call(server) as ada, call(server) as bob:
        ada.send(b"hello")
        print("ada says hello and hears", heard(ada))
        bob.send(b"hello")
        print("bob says hello while ada thinks, and hears", heard(bob))
        crash(ada)
        print("ada's machine crashes, and so does the server:", server.last_words())


def upper_udp() -> None:
    with bare("upper_udp") as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ada:
        ada.settimeout(5)
        ada.sendto(b"a" * 2000, server.place)
        print("ada sends 2000 bytes and gets", len(ada.recv(4096)))
        ada.sendto(b"", server.place)
        print("ada sends an empty message, and the server:", server.last_words())


def welcome() -> None:
    with bare("welcome") as server:
        with call(server) as ada:
            print("ada is greeted:", heard(ada))
            ada.recv(1)
        server.end()
        again = subprocess.run(
            [sys.executable, str(HERE / "welcome.py"), str(server.place[1])],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        print("the server is started again:", again.stderr.strip().rpartition("\n")[2])


def stamp() -> None:
    with bare("stamp") as server, call(server) as ada:
        ada.send(b"one\ntwo\n")
        print("ada sends two messages in a packet and gets", heard(ada).count("]:"), "stamp for both")
        ada.send(("a" + "é" * 600).encode())
        print("ada sends a longer one:", server.last_words())


def verified_json() -> None:
    def answer(caller: socket.socket) -> bytes:
        return hmac.new(b"secret", caller.recv(32), "md5").digest()

    with bare("verified_json") as server:
        with call(server) as ada:
            ada.send(answer(ada) + b'{"a": 1}')
            print("ada's right answer comes together with her first value, and she hears", heard(ada))
        with call(server) as bob:
            bob.send(answer(bob))
            heard(bob)
            bob.send(b'{"a": 1}{"b": 2}')
            print("bob sends two values together:", server.last_words())


def verified_hello() -> None:
    with bare("verified_hello") as server:
        with call(server) as ada:
            answer = hashlib.sha1(b"secret" + ada.recv(32)).hexdigest().encode()
            ada.send(answer[:20])
            print("ada sends half of the right answer, and before the other half hears", heard(ada))
        with call(server), call(server) as bob:
            print("bob calls while somebody says nothing, and is sent", heard(bob))


def talk() -> None:
    with bare("talk") as server, call(server) as ada, call(server) as bob:
        ada.send(b"hello, I am ada")
        print("shown:", server.line())
        bob.send(b"hello, I am bob")
        server.type("one moment\nyou first\n")
        print("ada hears", heard(ada))
        print("bob, until ada has ended, hears", heard(bob))


def datagram_talk() -> None:
    udp = (socket.AF_INET, socket.SOCK_DGRAM)
    with bare("datagram_talk") as server, socket.socket(*udp) as ada, socket.socket(*udp) as bob:
        ada.sendto(b"hello, I am ada", server.place)
        print("shown:", server.line())
        bob.sendto(b"fire!", server.place)
        bob.settimeout(0.3)
        print("bob has something urgent; while an answer to ada is thought of, bob hears", heard(bob))
        server.type("take your time\n")
        print("shown, after that:", server.line())


def upload() -> None:
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.mkdir("uploads")
        with bare("upload") as server:
            for name in ("plan.txt", "../elsewhere.txt"):
                header = json.dumps({"file_name": name, "file_size": 10}).encode()
                with call(server) as ada:
                    ada.send(struct.pack("i", len(header)) + header + b"12345")
                    ada.shutdown(socket.SHUT_WR)
                    heard(ada)
            print("ada's line breaks after 5 of 10 bytes; uploads/plan.txt has", os.path.getsize("uploads/plan.txt"))
            print('the next is named "../elsewhere.txt"; outside of uploads there is', *Path().glob("*.txt"))
        os.chdir(here)


def command() -> None:
    with bare("command") as server, call(server) as ada:
        ada.settimeout(5)
        ada.send("printf é".encode())
        size = int(ada.recv(1024))
        ada.send(b"ok")
        print(f"ada is told that {size} byte will come, and gets {len(ada.recv(1024))}")
        ada.send(b"echo hello; echo and whatever else ada likes")
        ada.recv(1024)
        ada.send(b"ok")
        print("ada may run echo:", ada.recv(1024).decode().replace("\n", " "))


def groupchat() -> None:
    with bare("groupchat") as server:
        ada = call(server)
        ada.send(b"hello")
        heard(ada)
        crash(ada)
        server.noticed("ConnectionResetError")
        with call(server) as bob:
            bob.send(b"hello")
            print("ada's machine has crashed; bob says hello and, as everybody from now on, hears", heard(bob))


def counter_demo() -> None:
    with bare("counter_demo") as server, call(server) as ada:
        server.process.send_signal(signal.SIGSTOP)  # busy for a moment
        for number in range(1, 4):
            ada.send(b"message %d" % number)
        server.process.send_signal(signal.SIGCONT)
        print("three messages arrive as", server.line())


PROGRAMS: dict[str, Callable[[], None]] = {
    "upper": upper,
    "upper-udp": upper_udp,
    "welcome": welcome,
    "stamp": stamp,
    "verified-json": verified_json,
    "verified-hello": verified_hello,
    "talk": talk,
    "datagram-talk": datagram_talk,
    "upload": upload,
    "command": command,
    "groupchat": groupchat,
    "counter-demo": counter_demo,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or PROGRAMS:
        PROGRAMS[name]()
