"""Sealed datagrams whose key was handed out over a logged-in link: who sends is known, and forgotten with the link."""

import asyncio

import pytest

import tieline


async def test_a_logged_in_caller_sends_sealed_datagrams_until_its_link_ends() -> None:
    keys = tieline.Keyring()
    server = tieline.Server(data=":memory:", guests=True)

    def answer(message: bytes, sender: object) -> bytes:
        return endpoint.owner(sender).account.encode()[:5]

    async with tieline.datagrams("udp://127.0.0.1:0", answer, key=keys) as endpoint:
        server.hand_out_keys(keys, lambda: endpoint.address)
        async with server.serving("tcp://127.0.0.1:0") as addresses, tieline.connect(addresses[0]) as peer:
            key = await peer.call("datagram.key", returns=tieline.Key)
            async with tieline.datagrams(to=key.address, key=key) as client:
                assert await client.request(b"who am I?", timeout=5, tries=5) == b"guest"
                await peer.close()
                async with asyncio.timeout(5):
                    while len(keys):  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                with pytest.raises(tieline.DeadlineExceeded):
                    await client.request(b"and now?", timeout=0.3)
