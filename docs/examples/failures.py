"""What can go wrong, and what a program that runs for months does about it."""

import asyncio

import tieline


def what_now(error: tieline.TielineError) -> str:
    """The particular first, the root last: whatever is new one day falls to its kind."""
    match error:
        case tieline.TooManyAttempts():
            return f"wait {error.retry_after:g} s"
        case tieline.LoginFailed() | tieline.PinMismatch() | tieline.PlainRefused() | tieline.LoginError():
            return "ask a person: another try would end the same way"
        case tieline.AddressError() | tieline.ConfigError():
            return f"mend {error.setting}"
        case tieline.NotTieline():
            return f"check the port: what is there begins with {error.begun!r}"
        case tieline.ProtocolError():
            return "tell whoever wrote " + ("the other side" if error.remote else "this program")
        case tieline.DialFailed() | tieline.LinkClosed() | tieline.LinkError():
            return "dial again in a while"
        case tieline.Unavailable() | tieline.Overloaded() | tieline.Cancelled():
            return "call again in a while"
        case tieline.DeadlineExceeded():
            return "look whether it was done, then call again"
        case tieline.NotFound() | tieline.Conflict() | tieline.Denied() | tieline.InvalidArgument():
            return f"call otherwise: {error}"
        case tieline.TooLarge() | tieline.LimitExceeded():
            return "ask for less at a time"
        case tieline.InternalError():
            return "read the other side's log"
        case tieline.CallError():
            return f"the method's own: {error.code}"
        case _:
            return "log it and go on"


async def main() -> None:
    async with tieline.testing.server() as server:

        @server.method("shelf.take", scope="chat")
        async def take(item: str) -> str:
            if item == "ladder":
                raise tieline.Conflict("ada has the ladder", {"by": "ada"})
            await asyncio.sleep(3600)
            return item

        connect = tieline.testing.connect
        async with connect(server) as ada, connect(server, scopes=()) as guest:
            for call in (
                ada.call("shelf.take", item="ladder"),
                ada.call("shelf.take", item="saw", timeout=0.05),
                ada.call("shelf.take", item=7),
                ada.call("shelf.give"),
                guest.call("shelf.take", item="saw"),
            ):
                try:
                    await call
                except tieline.TielineError as error:
                    print(f"{type(error).__name__}: {what_now(error)}")


if __name__ == "__main__":
    asyncio.run(main())
