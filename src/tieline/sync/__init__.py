"""The client for blocking programs: the same names as the asynchronous one, with the same meaning.

    with tieline.sync.connect("tcp://127.0.0.1:7788") as peer:
        peer.call("greet", name="Ada", timeout=2)
        for n in peer.stream("count", to=3): ...
        for event in peer.subscribe("room/lobby", after=position): ...

Fine to use from several threads at once. All clients of a process share one background thread (loop_thread.py).
"""

from tieline.sync.client import Client, connect
from tieline.sync.datagram import BlockingDatagrams, datagrams
from tieline.sync.link import BlockingLink, dial
from tieline.sync.streams import Events, Items

__all__ = ["BlockingDatagrams", "BlockingLink", "Client", "Events", "Items", "connect", "datagrams", "dial"]
