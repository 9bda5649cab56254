"""Who may send what, when: the whole of `tieline/1` as two tables. The diagram in the docs is drawn from them.

`LINK` is the state both sides of a link share, whoever sends. `CHANNEL` is the state of one call. A frame that stands
in neither is illegal and closes the link. PING, PONG and GOAWAY are legal in any open link and change nothing.
`compiled` is what a session works with.
"""

from enum import Enum
from typing import Final

from tieline.errors import ProtocolError
from tieline.wire.frames import Kind


class Side(Enum):
    """Of a link: who dialled, and who was called upon."""

    CLIENT = "client"
    SERVER = "server"


class Role(Enum):
    """Of a channel: who made the call, and who answers it."""

    CALLER = "caller"
    CALLEE = "callee"


class LinkState(Enum):
    """Where a link is; strictly in turns until it is open."""

    CLIENT_HELLO = "client says hello"
    SERVER_HELLO = "server says hello"
    CLIENT_AUTH = "client proves itself"
    SERVER_AUTH = "server answers"
    OPEN = "open"
    CLOSED = "closed"


class ChannelState(Enum):
    """Where a call is."""

    WAITING = "waiting"
    "The call is made, its answer has not begun."
    SENDING = "sending"
    "The caller's stream is open, the answer has not begun."
    ANSWERING = "answering"
    "The callee's stream is open."
    BOTH = "both"
    "Both streams are open."
    CLOSED = "closed"
    "The answer is complete, or the caller gave up."


# Either side may leave at any point of the opening, whoever's turn it is.
_LEAVE = {(Side.CLIENT, Kind.GOAWAY): LinkState.CLOSED, (Side.SERVER, Kind.GOAWAY): LinkState.CLOSED}

LINK: Final[dict[LinkState, dict[tuple[Side, Kind], LinkState]]] = {
    LinkState.CLIENT_HELLO: {**_LEAVE, (Side.CLIENT, Kind.HELLO): LinkState.SERVER_HELLO},
    LinkState.SERVER_HELLO: {**_LEAVE, (Side.SERVER, Kind.HELLO): LinkState.CLIENT_AUTH},
    LinkState.CLIENT_AUTH: {**_LEAVE, (Side.CLIENT, Kind.AUTH): LinkState.SERVER_AUTH},
    LinkState.SERVER_AUTH: {
        **_LEAVE,
        (Side.SERVER, Kind.AUTH): LinkState.CLIENT_AUTH,
        (Side.SERVER, Kind.WELCOME): LinkState.OPEN,
    },
    LinkState.OPEN: {},  # from here on the channels decide
    LinkState.CLOSED: {},
}

_CALLER, _CALLEE = Role.CALLER, Role.CALLEE
_ENDED = {
    (_CALLEE, Kind.RESULT): ChannelState.CLOSED,
    (_CALLEE, Kind.ERROR): ChannelState.CLOSED,
    (_CALLEE, Kind.END): ChannelState.CLOSED,
    (_CALLER, Kind.CANCEL): ChannelState.CLOSED,
}
_FAILED = {key: state for key, state in _ENDED.items() if key != (_CALLEE, Kind.RESULT)}

CHANNEL: Final[dict[ChannelState, dict[tuple[Role, Kind], ChannelState]]] = {
    ChannelState.WAITING: {
        **_ENDED,
        (_CALLEE, Kind.ITEM): ChannelState.ANSWERING,
        (_CALLEE, Kind.DATA): ChannelState.ANSWERING,
        # Credit for the caller's stream may still be on its way when that stream has ended.
        (_CALLEE, Kind.CREDIT): ChannelState.WAITING,
        (_CALLER, Kind.CREDIT): ChannelState.WAITING,
    },
    ChannelState.SENDING: {
        **_ENDED,
        (_CALLER, Kind.ITEM): ChannelState.SENDING,
        (_CALLER, Kind.DATA): ChannelState.SENDING,
        (_CALLER, Kind.END): ChannelState.WAITING,
        (_CALLER, Kind.CREDIT): ChannelState.SENDING,
        (_CALLEE, Kind.CREDIT): ChannelState.SENDING,
        (_CALLEE, Kind.ITEM): ChannelState.BOTH,
        (_CALLEE, Kind.DATA): ChannelState.BOTH,
    },
    ChannelState.ANSWERING: {
        **_FAILED,
        (_CALLEE, Kind.ITEM): ChannelState.ANSWERING,
        (_CALLEE, Kind.DATA): ChannelState.ANSWERING,
        (_CALLEE, Kind.CREDIT): ChannelState.ANSWERING,
        (_CALLER, Kind.CREDIT): ChannelState.ANSWERING,
    },
    ChannelState.BOTH: {
        **_FAILED,
        (_CALLER, Kind.ITEM): ChannelState.BOTH,
        (_CALLER, Kind.DATA): ChannelState.BOTH,
        (_CALLER, Kind.END): ChannelState.ANSWERING,
        (_CALLER, Kind.CREDIT): ChannelState.BOTH,
        (_CALLEE, Kind.ITEM): ChannelState.BOTH,
        (_CALLEE, Kind.DATA): ChannelState.BOTH,
        (_CALLEE, Kind.CREDIT): ChannelState.BOTH,
    },
    ChannelState.CLOSED: {},
}

CHANNEL_KINDS: Final = frozenset(int(kind) for moves in CHANNEL.values() for _, kind in moves)
"Kinds that may come late, when their channel is over already."


class Moves:
    """A channel state as one side sees it, with plain-integer tables; None: the channel is over."""

    __slots__ = ("last", "local", "name", "remote")

    def __init__(self, name: str) -> None:
        self.name = name
        self.local: dict[int, Moves | None] = {}
        self.remote: dict[int, Moves | None] = {}
        self.last: set[int] = set()
        "Kinds from the other side after which the channel is over."


def compiled(mine: Role) -> dict[ChannelState, Moves]:
    """`CHANNEL` for the side that has this role."""
    states = {state: Moves(state.name) for state in ChannelState}
    for state, moves in CHANNEL.items():
        for (role, kind), following in moves.items():
            table = states[state].local if role is mine else states[state].remote
            table[int(kind)] = None if following is ChannelState.CLOSED else states[following]
    for each in states.values():
        each.last.update(kind for kind, following in each.remote.items() if following is None)
    return states


def illegal(kind: int, when: str) -> ProtocolError:
    """What a peer is told of a frame that stands in neither table."""
    known = kind in set(Kind)
    return ProtocolError(f"{Kind(kind).name if known else f'unknown frame kind {kind}'} {when}")


def mermaid() -> str:
    """Both tables as one Mermaid state diagram, for docs/design.md."""
    lines = ["stateDiagram-v2", "    state link {"]
    for state, moves in LINK.items():
        lines += [f"        {state.name} --> {new.name}: {who.value} {kind.name}" for (who, kind), new in moves.items()]
    lines += ["    }", "    state channel {"]
    for at, steps in CHANNEL.items():
        label: dict[ChannelState, list[str]] = {}
        for (role, kind), following in steps.items():
            if following is not at:
                label.setdefault(following, []).append(f"{role.value} {kind.name}")
        lines += [f"        {at.name} --> {to.name}: {', '.join(names)}" for to, names in label.items()]
    return "\n".join([*lines, "    }"])
