"""Events as the sandbox stores them.

They are named tuples, because reading a topic creates one per row, and creating a frozen dataclass takes four times as
long.
"""

from typing import NamedTuple

EventAddress = tuple[str, int, int]
"""Topic, partition and offset."""
Headers = tuple[tuple[str, bytes | None], ...]

CREATE_TIME = 0
LOG_APPEND_TIME = 1
TIMESTAMP_TYPES = ("CreateTime", "LogAppendTime")


class Event(NamedTuple):
    """One immutable event of a partition.

    Attributes:
        topic: the topic's name.
        partition: 0 and up.
        offset: its offset in the partition's log, 0 and up.
        timestamp_ms: milliseconds since 1970-01-01 UTC; -1 if the producer sent none.
        timestamp_type: `CREATE_TIME` (0) or `LOG_APPEND_TIME` (1).
        key: the bytes, or None for no key.
        value: the bytes, or None for a tombstone.
        headers: (name, value) pairs in order; a name may repeat, a value may be None. A name that is not UTF-8 is
            decoded with the `surrogateescape` error handler, so that encoding it returns the same bytes.
        transactional: True if a transactional producer wrote it.
        control: True for a transaction marker, which consumers never see.
        aborted: True if its transaction was aborted.
        pending: True while its transaction is open: neither committed nor aborted.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    transactional: bool = False
    control: bool = False
    aborted: bool = False
    pending: bool = False


class NewEvent(NamedTuple):
    """An event to append.

    Attributes:
        value: the bytes, or None for a tombstone.
        key: the bytes, or None.
        headers: (name, value) pairs.
        timestamp_ms: milliseconds since 1970; None for now.
        partition: None if the key chooses (murmur2, like the Java clients).
    """

    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    timestamp_ms: int | None = None
    partition: int | None = None
