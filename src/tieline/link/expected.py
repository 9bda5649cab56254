"""An opening with nothing to find out: all callers are served alike, and may be spoken to before they say a word."""

import asyncio
import logging

from tieline.link.opening import Opening

log = logging.getLogger("tieline.listener")


class Expected(Opening):
    """What a raw listener gives its callers. Of the routes only `native` is used, for all of them."""

    def begin(self) -> None:
        self.tls = self._house.tls is not None
        self.allow(self._deadline - self._loop.time())
        try:
            protocol: asyncio.BaseProtocol = self._house.routes.native(self)
        except Exception:  # the protocol is the user's: this caller leaves, and the next is served
            log.exception("a caller from %s cannot be served", self.host or "this machine")
            self.drop()
        else:
            self._give(protocol)
