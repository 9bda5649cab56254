"""For testing programs that use Tieline: a clock that jumps, and the checks every transport must pass."""

from tieline.testing.clock import Clock
from tieline.testing.transports import check_transport

__all__ = ["Clock", "check_transport"]
