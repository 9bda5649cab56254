"""How a link ended, in words. Pure."""


def parting(error: Exception | None) -> str:
    """`error` is what the stream ended with; None when the peer closed it."""
    if error is None:
        return "the peer closed the link"
    if isinstance(error, ConnectionError):
        return f"the peer vanished ({(error.strerror or str(error) or 'connection lost').lower()})"
    return f"the link broke ({error})"
