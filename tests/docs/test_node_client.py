"""The client in Node.js, which knows no more than protocol.md says, does all that a client does."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tieline

pytestmark = pytest.mark.requires("node")

VALUES: list[Any] = [
    *(None, True, False, 0, 127, 128, -1, -32, -33, 255, 256, 65_535, 65_536, 2**32, -(2**31) - 1, 2**53 - 1, -(2**53)),
    *(0.5, -1e300, "", "ä" * 15, "x" * 31, "x" * 32, "€" * 100, "x" * 70_000),
    *([], [1] * 15, [1] * 16, [None] * 70_000, {}, {"a": [{"b": 1.5}]}, {f"k{n}": n for n in range(20)}),
]


@pytest.fixture
def folder(root: Path) -> Path:
    return root / "docs" / "examples" / "node"


async def node(*arguments: str, stdin: bytes = b"", cwd: Path) -> str:
    """What the program prints. It prints no errors and ends by itself."""
    pipe = asyncio.subprocess.PIPE
    program = await asyncio.create_subprocess_exec("node", *arguments, cwd=cwd, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(60):
            out, err = await program.communicate(stdin)
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    assert (program.returncode, err.decode()) == (0, "")
    return out.decode()


@pytest.mark.parametrize("carrier", ["tls", "plain"])
async def test_a_ticket_becomes_a_device_that_calls_follows_and_is_called(carrier: str, folder: Path) -> None:
    server = tieline.Server()
    async with server.serving("tcp://127.0.0.1:0"):
        ticket = await server.invite("zoë", can=["chat"])
        told = await node("tour.mjs", ticket, carrier, cwd=folder)
    assert told.splitlines() == [
        "zoë tour [ 'chat' ]",
        "HELLO",
        "invalid_argument echo.upper: text: expected `str`, got `int`",
        "echo.count answers with a stream",
        "deadline",
        "[ 'zoë: one' ]",
        "room/lobby 0 one",
        "room/lobby 1 two",
        "hello Ada, from zoë/tour",
        "[ 2, 4, 6 ]",
    ]


async def test_another_certificate_than_the_pinned_one_is_refused(folder: Path) -> None:
    server = tieline.Server()
    async with server.serving("tcp://127.0.0.1:0"):
        ticket = await server.invite("ada")
        false = ticket.replace(server.certificate.pin, "0" * 64)
        script = (
            'import("./client.mjs").then((c) => c.enrol(process.argv[1], "x")).catch((e) => console.log(e.message))'
        )
        assert "another certificate" in await node("-e", script, false, cwd=folder)
        assert "HELLO" in await node("tour.mjs", ticket, cwd=folder)  # the ticket is as good as before


async def test_streams_wait_for_whoever_reads_them_slowly(folder: Path) -> None:
    """In both directions more than a window, so that it ends only when credit was given and heeded."""
    server = tieline.Server(limits=tieline.Limits(window=4096))
    async with server.serving("tcp://127.0.0.1:0"):
        ticket = await server.invite("ada")
        script = """
            const { enrol, Link } = await import("./client.mjs");
            const device = await enrol(process.argv[1], "here");
            const [machine, caller] = [await Link.open(device), await Link.open(device)];
            await machine.offer({
              lengths: async function* (params, origin, input) { for await (const bytes of input) yield bytes.length; },
            });
            const pieces = (function* () { for (let size = 0; size < 2000; size++) yield Buffer.alloc(size); })();
            let sum = 0;
            for await (const size of caller.stream("here/lengths", {}, { input: pieces })) sum += size;
            console.log(sum);
            machine.close(), caller.close();
        """
        assert await node("--input-type=module", "-e", script, ticket, cwd=folder) == f"{sum(range(2000))}\n"


async def test_it_hangs_up_on_a_server_that_closes_when_its_calls_are_done(folder: Path) -> None:
    server = tieline.Server()
    begun = asyncio.Event()

    @server.method("wait")
    async def wait(peer: tieline.Peer) -> str:
        begun.set()
        while peer.link is not None and not peer.link.session.closing:  # noqa: ASYNC110, nothing tells of it
            await asyncio.sleep(0.01)
        return "done"

    script = """
        const { enrol, Link } = await import("./client.mjs");
        const link = await Link.open(await enrol(process.argv[1], "here"));
        link.on("close", (reason) => console.log(reason));
        console.log(await link.call("wait"));
        await link.call("echo.upper", { text: "late" }).catch((error) => console.log(error.code));
    """
    async with server.serving("tcp://127.0.0.1:0"):
        told = asyncio.create_task(node("--input-type=module", "-e", script, await server.invite("ada"), cwd=folder))
        async with asyncio.timeout(60):
            await begun.wait()
    assert sorted((await told).splitlines()) == ["done", "the server is closing", "unavailable"]


async def test_its_messagepack_is_ours(folder: Path) -> None:
    script = """
        const { decode, encode } = await import("./msgpack.mjs");
        const lines = (await import("node:fs")).readFileSync(0, "utf8").trim().split("\\n");
        const values = lines.map((line) => decode(Buffer.from(line, "hex")));
        console.log(JSON.stringify([values, values.map((value) => encode(value).toString("hex"))]));
    """
    packed = "\n".join(msgspec.msgpack.encode(value).hex() for value in VALUES)
    told = await node("--input-type=module", "-e", script, stdin=packed.encode(), cwd=folder)
    values, again = json.loads(told)
    assert values == VALUES
    assert [msgspec.msgpack.decode(bytes.fromhex(text)) for text in again] == VALUES


async def test_its_bytes_are_ours(folder: Path) -> None:
    script = """
        const { decode, encode } = await import("./msgpack.mjs");
        for (const size of [0, 31, 255, 256, 65536]) {
          const bytes = encode(Buffer.alloc(size, 7));
          console.log(bytes.toString("hex"), decode(bytes).length);
        }
    """
    told = await node("--input-type=module", "-e", script, cwd=folder)
    expected = [f"{msgspec.msgpack.encode(bytes([7]) * size).hex()} {size}" for size in (0, 31, 255, 256, 65536)]
    assert told.splitlines() == expected
