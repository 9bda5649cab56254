"""Every number a peer can push against, with its unit and its reason. Pure data; change one with `Limits(frame=…)`."""

import msgspec

KiB = 1024
MiB = 1024 * KiB


class Limits(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """One object, handed down from the server or client to every floor of the house."""

    frame: int = 1 * MiB
    "Bytes. Largest frame payload accepted. Files travel in chunks, so this bounds memory per link, not file size."

    login_frame: int = 8 * KiB
    "Bytes. The same before login: nobody unverified makes us hold more."

    window: int = 256 * KiB
    "Bytes. Credit each stream direction starts with: at most this much waits for a reader that stalls."

    send_buffer: int = 64 * KiB
    "Bytes. High mark of what waits to be written on one link; above it a subscriber is read on from the log later."

    busy_poll: float = 0.0001
    """Seconds. While messages keep coming faster than this, the event loop looks again so long rather than sleep, for
    which small calls take half the time, and a core is busy. A round trip between two loops that sleep takes 30 to 80
    microseconds, by the machine; 0 for never."""

    calls: int = 1024
    "Calls one peer may have open at once; one more is answered `overloaded`."

    machines: int = 4096
    "Machines that offer methods to others at once."

    offering_links: int = 16
    "Links of one device that offer methods at once: programs, each of which may offer its own."

    offered: int = 256
    "Methods one link may offer to others."

    offered_name: int = 128
    "Characters. Longest name of such a method."

    offered_text: int = 1 * KiB
    "Characters. Longest signature or summary of such a method."

    relay_backlog: int = 8 * MiB
    "Bytes. What waits to be sent to a machine that does not read; above it new calls to it are `overloaded`."

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

    machine_ping: float = 5.0
    "Seconds. The same for a link that offers methods to others or calls theirs: who is lost is noticed in twice this."

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

    routes: int = 10_000
    "Ways to methods of machines that a server remembers: callers make up the names. Beyond it all are looked up anew."

    command_line: int = 128 * KiB
    "Bytes. Arguments and environment of one command together; the kernel takes no single one that is longer."

    commands: int = 512
    "Commands and sessions that run on one machine at once."

    commands_per_account: int = 128
    "The same of one account: a runaway loop of one person leaves room for the others."

    audit: int = 200_000
    "Commands remembered by the audit; the oldest go first."

    session_detached: float = 7 * 86_400.0
    "Seconds. A terminal session nobody has looked at for so long is ended."

    command_grace: float = 3.0
    "Seconds. Between interrupting a command that nobody waits for and killing all it started; it is asked twice."

    path: int = 4096
    "Bytes. Longest path of a file, UTF-8; longer ones cannot be opened on most systems."

    path_part: int = 255
    "Bytes. Longest name of a file or folder, UTF-8; file systems take no longer one."

    path_depth: int = 64
    "Folders within one another at most; a walk through a tree holds as many."

    files_per_account: int = 1_000_000
    "Files one account may have; each costs the server's disk an entry of its own, however small it is."

    http_requests: int = 64
    "Requests for files that one account may have going on over HTTP; one more is answered 503."

    http_stall: float = 120.0
    "Seconds a client may take for one MiB of a file over HTTP, either way: one slower than 9 KB/s is cut."

    listing: int = 1000
    "Entries in one page of a folder's listing at most, so that it fits a frame."

    folder_entries: int = 200_000
    "Entries one folder takes; their names are held in memory while files are put into it, to find clashes."

    lanes: int = 128
    "Lanes (connections for files) served at once, a thread each, and at most some 3 MiB; one more is `overloaded`."

    lanes_per_account: int = 16
    "The same for one account, so that nobody takes them all."

    lane_told: int = 5_000_000
    "Files that one side of a lane says it has already, so that they need not come again; what is beyond comes again."

    lanes_seen: int = 300_000
    "Files the server remembers for all its lanes of what their callers have already; some 100 bytes each."

    lane_wait: float = 10.0
    "Seconds. A lane that waits for its next transfer is cut after so long, so that others can have one."

    lane_queue: float = 600.0
    "Seconds. How long a client tries to get a lane from a server that serves no more at the moment."

    staged: int = 64 * 1024 * MiB
    "Bytes. Interrupted uploads kept for one account; beyond it the oldest give way."

    lane_token: float = 30.0
    "Seconds. A token for a lane is good once, for so long."

    lane_idle: float = 60.0
    "Seconds. A lane on which nothing new comes for so long is cut."

    lane_progress: float = 60.0
    "Seconds. A message or piece of a file (256 KiB) that was begun must be here or gone in that time."

    lane_repeats: int = 100
    "Damaged blocks of one file that are sent again; then something is wrong that sending again does not mend."

    lane_commit: float = 600.0
    "Seconds. What the other side of a lane may take to say that files are kept: a disk with much to write is slow."

    staging_age: float = 604_800.0
    "Seconds. What came of an interrupted upload is kept so long for whoever goes on with it."


DEFAULT = Limits()
