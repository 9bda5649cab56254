"""For testing programs that use Tieline: a server in memory, a clock that jumps, and what every transport must do."""

from tieline.testing.clock import Clock
from tieline.testing.servers import connect, server
from tieline.testing.transports import check_transport

__all__ = ["Clock", "check_transport", "connect", "server"]
