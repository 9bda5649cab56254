"""A caller of it; `nc` is another."""

import tieline.sync

with tieline.sync.dial("tcp://127.0.0.1:7790", codec=tieline.Lines()) as link:
    link.send("hello")
    print(link.receive(timeout=5))
