"""Every number a peer can push against, with its unit and its reason. Pure data; change one with `Limits(frame=…)`."""

import msgspec

KiB = 1024
MiB = 1024 * KiB


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """One object, handed down from the server or client to every floor of the house."""

    frame: int = 1 * MiB
    "Bytes. Largest frame payload accepted. Files travel in chunks, so this bounds memory per link, not file size."

    login_frame: int = 8 * KiB
    "Bytes. The same before login: nobody unverified makes us hold more."

    window: int = 256 * KiB
    "Bytes. Credit each stream direction starts with: at most this much waits for a reader that stalls."

    send_buffer: int = 64 * KiB
    "Bytes. High mark of what waits to be written on one link; above it a subscriber is read on from the log later."

    calls: int = 1024
    "Calls one peer may have open at once; one more is answered `overloaded`."

    answers: int = 16 * MiB
    "Bytes. Finished answers that wait on a link whose peer does not read; one more is `overloaded` instead."

    topics: int = 256
    "Topics one link may be subscribed to."

    event_queue: int = 1 * MiB
    "Bytes. Events a client holds for one slow `async for`; above it the topic is left and read on from its position."

    topic_tail: int = 1 * MiB
    "Bytes. Newest events a topic keeps encoded in memory, so that subscribers a little behind need no disk."

    ping: float = 20.0
    "Seconds. A link that was silent so long is pinged; after twice this it is closed."

    opening: float = 10.0
    "Seconds. From accept to login done, TLS handshake included: an absolute deadline, not one per read."

    greeting: float = 0.3
    "Seconds. A caller silent for so long is taken for a person and greeted by the lines door."

    person_login: float = 60.0
    "Seconds. The same as `opening` for a person typing name and password at the lines door."

    openings: int = 1024
    "Connections not yet logged in, in all; one more closes the oldest of them."

    links: int = 20_000
    "Connections in all; one more is refused."

    links_per_address: int = 10_000
    "Connections from one remote address. High, because a whole lab may sit behind one."

    drain: float = 10.0
    "Seconds. What a closing server gives open calls to finish."

    line: int = 64 * KiB
    "Bytes. Longest line at the lines door."

    text: int = 64 * KiB
    "Bytes. Longest chat message, UTF-8."

    name: int = 64
    "Characters. Longest account, device or room name."

    page: int = 1000
    "Messages in one page of history at most."

    subscribe_page: int = 512
    "Events read from the log at once for a subscriber that is behind."

    message_id: int = 64
    "Characters. Longest id a client gives its message, by which a retry is known."

    topic_line: int = 512
    "Bytes. Longest topic line of a room; small, because a page of rooms carries one for each."

    page_bytes: int = 512 * KiB
    "Bytes. Text in one page of history at most, so that a page of long messages still fits a frame."

    commit_rows: int = 1024
    "Messages in one transaction at most: the first of them need not wait for the last of a flood."

    commit_queue: int = 64 * MiB
    "Bytes. What waits to be made durable, 256 bytes for each message on top; beyond it a post is `overloaded`."

    here: int = 500
    "Names listed in a room's presence at most; the count is always right."

    presence_pause: float = 0.2
    "Seconds. A room's presence is published at most this often, however many come and go."

    idle: float = 0.0
    "Seconds. A raw link on which nothing came or went for so long is cut; 0 never does."

    accept_batch: int = 64
    "Connections accepted per wake-up, so that a flood cannot starve those who are in."

    datagram: int = 65_507
    "Bytes. Longest datagram message; IPv4 carries no longer one. Sealing takes 33 bytes of that."

    datagram_batch: int = 64
    "Datagrams read per wake-up, so that a flood of them leaves the loop its time for everything else."

    datagram_answers: int = 256
    "Answers to datagrams that may be worked on at once; what comes meanwhile is dropped and counted."

    datagram_queue: int = 1 * MiB
    "Bytes. Datagrams kept for a slow `async for`, 256 bytes for each on top; what comes then is dropped and counted."


DEFAULT = Limits()
