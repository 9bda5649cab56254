"""What both sides of a SCRAM login hold to: the longest message, the least and the most rounds of hashing."""

from tieline.errors import LoginFailed

MESSAGE = 4096
"Bytes of the longest SCRAM message. Ours stay far below; a name in percent-encoding may take 1.5 KiB."
NONCE = 24
"Random bytes of each side."
LEAST_SALT = 12
"Bytes. A false server that chose short salts could have hashed many passwords with each of them beforehand."

KEY_ITERATIONS = 4096
"For random keys, which no number of guesses finds: the least that RFC 7677 allows."
PASSWORD_ITERATIONS = 600_000
"For passwords: what OWASP asks of PBKDF2-SHA256, about half a second."
MAX_ITERATIONS = 1_000_000
"The most a server may ask of a client; 10^9 would keep it busy for a quarter of an hour."

END_POINT = "tls-server-end-point"
"How a login is bound to the certificate that was shown (RFC 5929, 4)."


def received(message: bytes) -> str:
    """A message as text. Raises LoginFailed."""
    if len(message) > MESSAGE:
        raise LoginFailed(f"a login message of {len(message):,} bytes came, the limit is {MESSAGE:,}")
    try:
        return message.decode()
    except UnicodeDecodeError:
        raise LoginFailed("a login message is not text") from None
