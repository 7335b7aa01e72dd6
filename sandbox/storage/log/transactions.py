"""Stores transactional ids, the partitions and groups of their transactions, and offsets that wait for a commit.

The coordinator decides; this module only stores. A transaction's effects on the logs are in
`sandbox.storage.log.log_transactions`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from sandbox.model.topics import PartitionName
from sandbox.storage.file.database import Database, Reader
from sandbox.storage.groups.groups import CommittedOffset, GroupStore


def new_producer_id(database: Database, now_ms: int) -> int:
    """Return a producer id that was never assigned before."""
    cursor = database.execute("INSERT INTO producers(created_ms) VALUES(?)", (now_ms,))
    return cursor.lastrowid or 0


@dataclass(frozen=True, slots=True)
class TransactionRow:
    """A transactional id.

    Attributes:
        producer_epoch: -1 before the first producer gets its response.
        last_producer_id: the one before `producer_id`, -1 for none.
        last_producer_epoch: the epoch before `producer_epoch`, -1 for none.
        timeout_ms: how long a transaction may be open.
        state: Kafka's name of the state.
        version: the protocol version with which its last transaction ended: 2 if each one raises the epoch (KIP-890).
        started_ms: when the open or the last transaction began; None for none since the producer connected.
        partitions: the open transaction's partitions.
        groups: the groups whose offsets it commits.
    """

    transactional_id: str
    producer_id: int
    producer_epoch: int
    last_producer_id: int
    last_producer_epoch: int
    timeout_ms: int
    state: str
    version: int
    started_ms: int | None
    updated_ms: int
    partitions: frozenset[PartitionName] = field(default_factory=frozenset)
    groups: frozenset[str] = field(default_factory=frozenset)


def load(reader: Reader) -> list[TransactionRow]:
    """Return every transactional id."""
    partitions: dict[str, set[PartitionName]] = {}
    for name, topic, partition in reader.query("SELECT transactional_id, topic, partition FROM transaction_partitions"):
        partitions.setdefault(name, set()).add((topic, partition))
    groups: dict[str, set[str]] = {}
    for name, group in reader.query("SELECT transactional_id, group_id FROM transaction_groups"):
        groups.setdefault(name, set()).add(group)
    return [
        replace(
            TransactionRow(*row),
            partitions=frozenset(partitions.get(row[0], ())),
            groups=frozenset(groups.get(row[0], ())),
        )
        for row in reader.query(
            "SELECT transactional_id, producer_id, producer_epoch, last_producer_id, last_producer_epoch, timeout_ms, "
            "state, version, started_ms, updated_ms FROM transactions"
        )
    ]


def save(database: Database, row: TransactionRow) -> None:
    """Write a transactional id, without the partitions and groups of its transaction."""
    database.execute(
        "INSERT INTO transactions(transactional_id, producer_id, producer_epoch, last_producer_id, "
        "last_producer_epoch, timeout_ms, state, version, started_ms, updated_ms) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT(transactional_id) DO UPDATE SET producer_id = excluded.producer_id, "
        "producer_epoch = excluded.producer_epoch, last_producer_id = excluded.last_producer_id, "
        "last_producer_epoch = excluded.last_producer_epoch, timeout_ms = excluded.timeout_ms, "
        "state = excluded.state, version = excluded.version, started_ms = excluded.started_ms, "
        "updated_ms = excluded.updated_ms",
        (
            row.transactional_id,
            row.producer_id,
            row.producer_epoch,
            row.last_producer_id,
            row.last_producer_epoch,
            row.timeout_ms,
            row.state,
            row.version,
            row.started_ms,
            row.updated_ms,
        ),
    )


def add_partitions(database: Database, transactional_id: str, places: Iterable[PartitionName]) -> None:
    """Add partitions to the open transaction."""
    database.executemany(
        "INSERT OR IGNORE INTO transaction_partitions(transactional_id, topic, partition) VALUES(?, ?, ?)",
        [(transactional_id, topic, partition) for topic, partition in places],
    )


def add_group(database: Database, transactional_id: str, group_id: str) -> None:
    """Add a group to the open transaction, which commits offsets of it."""
    database.execute(
        "INSERT OR IGNORE INTO transaction_groups(transactional_id, group_id) VALUES(?, ?)",
        (transactional_id, group_id),
    )


def clear(database: Database, transactional_id: str) -> None:
    """Delete the ended transaction's partitions and groups."""
    for table in ("transaction_partitions", "transaction_groups"):
        database.execute(f"DELETE FROM {table} WHERE transactional_id = ?", (transactional_id,))


def delete(database: Database, transactional_id: str) -> None:
    """Delete a transactional id with its partitions and groups."""
    clear(database, transactional_id)
    database.execute("DELETE FROM transactions WHERE transactional_id = ?", (transactional_id,))


def stage_offsets(
    database: Database,
    producer_id: int,
    group_id: str,
    offsets: Iterable[CommittedOffset],
    generation: int,
    member_id: str,
) -> None:
    """Store offsets that a producer's transaction commits when it ends."""
    place = "WHERE group_id = ?2 AND topic = ?3 AND partition = ?4"
    database.executemany(
        "INSERT OR REPLACE INTO pending_offsets(producer_id, group_id, topic, partition, offset, leader_epoch, "
        "metadata, generation, member_id, position) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, 1 + max("
        f"coalesce((SELECT max(position) FROM pending_offsets {place}), 0), "
        f"coalesce((SELECT position FROM committed_offsets {place}), 0)))",
        [
            (
                producer_id,
                group_id,
                one.topic,
                one.partition,
                one.offset,
                one.leader_epoch,
                one.metadata,
                generation,
                member_id,
            )
            for one in offsets
        ],
    )


def commit_offsets(database: Database, producer_id: int, now_ms: int) -> set[str]:
    """Commit the offsets that waited for the end of a producer's transaction.

    An offset that was committed after the transaction's offset was staged is not overwritten, as in Kafka.

    Returns:
        The groups that they belong to.
    """
    pending = database.query(
        "SELECT group_id, topic, partition, offset, leader_epoch, metadata, generation, member_id, position "
        "FROM pending_offsets p WHERE producer_id = ? AND NOT EXISTS (SELECT 1 FROM committed_offsets c WHERE "
        "c.group_id = p.group_id AND c.topic = p.topic AND c.partition = p.partition AND c.position >= p.position) "
        "ORDER BY group_id, topic, partition",
        (producer_id,),
    )
    store = GroupStore(database)
    for group_id, topic, partition, offset, leader_epoch, metadata, generation, member_id, position in pending:
        committed = CommittedOffset(topic, partition, offset, leader_epoch, metadata, now_ms)
        store.commit(group_id, [committed], generation, member_id)
        database.execute(
            "UPDATE committed_offsets SET position = ? WHERE group_id = ? AND topic = ? AND partition = ?",
            (position, group_id, topic, partition),
        )
    drop_offsets(database, producer_id)
    return {row[0] for row in pending}


def pending_places(reader: Reader, group_id: str) -> set[PartitionName]:
    """Return the partitions in which an open transaction has uncommitted offsets of the group."""
    rows = reader.query("SELECT DISTINCT topic, partition FROM pending_offsets WHERE group_id = ?", (group_id,))
    return {(topic, partition) for topic, partition in rows}


def drop_offsets(database: Database, producer_id: int) -> None:
    """Delete the offsets that waited for the end of a producer's transaction."""
    database.execute("DELETE FROM pending_offsets WHERE producer_id = ?", (producer_id,))
