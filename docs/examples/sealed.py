"""Datagrams that nobody else can read or forge: the key comes over a link that is logged in, and ends with it."""

import asyncio

import tieline


async def main() -> None:
    server, keys = tieline.Server(guests=True), tieline.Keyring()
    endpoint: tieline.Datagrams
    async with (
        tieline.datagrams("udp://127.0.0.1:0", lambda message, sender: message.upper(), key=keys) as endpoint,
        server.serving("tcp://127.0.0.1:0") as addresses,
    ):
        server.hand_out_keys(keys, where=lambda: endpoint.address)
        async with tieline.connect(addresses[0]) as peer:
            key = await peer.call("datagram.key", returns=tieline.Key)
            async with tieline.datagrams(to=key.address, key=key) as ours:
                print(await ours.request(b"hello", timeout=10))


if __name__ == "__main__":
    asyncio.run(main())
