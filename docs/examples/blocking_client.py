"""The same again, for a program without asyncio."""

import tieline.sync

with tieline.sync.connect("tcp://127.0.0.1:7789") as peer:
    print(peer.call("greet", name="Ada", timeout=2))
    for number in peer.stream("countdown", start=3):
        print(number)
    try:
        peer.call("greet", name=1)
    except tieline.InvalidArgument as error:
        print(error)
