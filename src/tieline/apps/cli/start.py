"""The first of the command line that is loaded: until the rest is, Ctrl-C ends it as it ends any program, silently."""

import signal


def main() -> None:
    """The `tieline` program."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is not signal.default_int_handler:
        from .main import main as program  # it is ignored, perhaps: then it stays so
    else:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        from .main import main as program

        signal.signal(signal.SIGINT, handler)
    program()
