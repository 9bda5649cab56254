"""A whole server with files, reached over real sockets by curl, wget and raw bytes."""

import asyncio
import os
import ssl
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

from tieline.errors import Conflict
from tieline.limits import DEFAULT
from tieline.login.identity import Identity
from tieline.server import Server

SCOPES = frozenset({"chat", "files.read", "files.write"})
BIG = os.urandom(3 << 20)


async def send_for_ever(writer):
    while True:
        writer.write(bytes(1 << 20))
        await writer.drain()


class Answer:
    """A whole HTTP answer, as it came."""

    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        self.status = int(status.split()[1]) if status else 0
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


class Ran:
    """How a program ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err.decode(errors="replace")


class Shop:
    """`token` is ada's, for reading and writing."""

    def __init__(self, server, root):
        self.server = server
        self.root = root
        self.token = ""

    async def open(self):
        self.port = int(self.server.addresses[0].rpartition(":")[2])
        self.token = await self.token_of("ada")

    async def token_of(self, account, *scopes, name="test", lifetime=3600.0):
        try:
            await self.server.accounts.invite(account, SCOPES)
        except Conflict:
            pass
        identity = Identity(account, "laptop", SCOPES)
        _, text = await self.server.tokens.create(identity, name, scopes or None, lifetime)
        return text

    def url(self, path, scheme="http"):
        return f"{scheme}://127.0.0.1:{self.port}/files{path}"

    async def run(self, *command, stdin=None, cwd=None):
        def work():
            given = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
            return subprocess.run([*map(str, command)], capture_output=True, cwd=cwd, timeout=60, check=False, **given)

        ended = await asyncio.to_thread(work)
        return Ran(ended.returncode, ended.stdout, ended.stderr)

    async def curl(self, path, *options, scheme="http", stdin=None):
        """Fails on an HTTP error (22)."""
        return await self.run(
            "curl", "-sSk", "--fail-with-body", "-H", f"Authorization: Bearer {self.token}", *options,
            self.url(path, scheme), stdin=stdin,
        )  # fmt: skip

    async def wget(self, path, *options, cwd):
        return await self.run(
            "wget", "--header", f"Authorization: Bearer {self.token}", *options, self.url(path), cwd=cwd
        )

    def request(self, path, *headers, method="GET", body=b"", token=None, host="127.0.0.1"):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
        token = self.token if token is None else token
        lines += [f"Authorization: Bearer {token}"] if token else []
        lines += [f"Content-Length: {len(body)}"] if body else []
        return "\r\n".join([*lines, *headers, "", ""]).encode() + body

    async def connect(self, tls=False):
        options = {}
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_alpn_protocols(["http/1.1"])
            options = {"ssl": context}
        return await asyncio.open_connection("127.0.0.1", self.port, **options)

    async def ask(self, path, *headers, **options):
        """Send one request, and read until the server closes."""
        return await self.say(self.request("/files" + path, *headers, **options))

    async def say(self, raw, tls=False):
        reader, writer = await self.connect(tls)
        try:
            writer.write(raw)
            return Answer(await asyncio.wait_for(reader.read(), 30))
        finally:
            await close(writer)

    def file(self, path, content=b""):
        """Put there by hand."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return place

    def names(self, folder="/"):
        return sorted(path.name for path in (self.root / folder.lstrip("/")).iterdir() if path.name[0] != ".")

    def staged(self):
        """What lies in the staging folder."""
        return os.listdir(self.root / ".tieline-staging")

    def kept(self):
        """What is kept there of interrupted uploads."""
        return [name for name in self.staged() if name.startswith("part-")]

    async def cut(self, path, body, *, size, start=0, tls=False, token=None):
        """Begin to put a file of `size` bytes, or go on with it, and be gone when most of `body` is here."""
        _, writer = await self.connect(tls)
        headers = [f"Content-Length: {size - start}"]
        headers += [f"Content-Range: bytes {start}-{size - 1}/{size}"] if start else []
        writer.write(self.request("/files" + path, *headers, method="PUT", token=token) + body)
        await writer.drain()
        async with asyncio.timeout(30):
            while await self.offset(path, token=token) <= start + len(body) - (3 << 20):
                pass
        writer.transport.abort()
        await until(lambda: self.kept() and not self.server.files.quota._reserved)
        await close(writer)

    async def offset(self, path, token=None):
        """Where an upload is to be gone on with, as it is told; 0 when there is none."""
        return int((await self.ask(path, method="HEAD", token=token)).headers.get("upload-offset", 0))

    async def settled(self):
        """Wait until nothing is on its way any more."""
        await until(lambda: not self.staged() and not self.server.files.quota._reserved)

    async def begun(self):
        """Wait until something is on its way."""
        await until(self.staged)


async def until(holds):
    """Wait for something that nobody tells."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def close(writer):
    writer.close()
    try:
        await writer.wait_closed()
    except (ConnectionError, ssl.SSLError):
        pass


@asynccontextmanager
async def open_shop(folder: Path, *, limits=DEFAULT, **settings):
    server = Server(data=folder, name="shop", limits=limits, **settings)
    async with server.serving("tcp://127.0.0.1:0"):
        await server.accounts.create_owner("grace")
        shop = Shop(server, folder / "files")
        await shop.open()
        yield shop
