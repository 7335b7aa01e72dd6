"""Checks whether a sandbox file is intact. It never repairs anything.

It checks SQLite's own structures (`PRAGMA integrity_check`); compares tables, indexes, triggers and views with a new
file's; verifies the checksum of every record batch with its events, and of every row outside the log; and compares what
is stored twice: the ends of a log and the number of its events, committed offsets and their history, SQLite's
AUTOINCREMENT counters. Rows that no client can have written are findings too (`row_rules`).
"""

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sandbox.kafka.errors import EventsDamaged, FileRefused, NoSandboxFile
from sandbox.model import cancellation
from sandbox.model.sql_tokens import quoted_name
from sandbox.storage.file import row_checksums, snapshots
from sandbox.storage.file.database import Reader, check_file, refuse_no_regular_file
from sandbox.storage.file.failure import StorageFailed
from sandbox.storage.file.lock import read_owner
from sandbox.storage.file.readers import interrupting
from sandbox.storage.file.row_rules import breaches
from sandbox.storage.file.schema import OFFSET_BITS, OFFSET_LIMIT, VERSION
from sandbox.storage.log import log
from sandbox.storage.log.log import BATCH_COLUMNS, BatchRow

SQLITE_FINDINGS_MAX = 20
BACK = "Go back to a snapshot or a copy; topics that are whole can be exported."
FINDINGS_MAX = 100
"""The maximum number of findings reported per place; the rest are counted."""
WAYS_OUT = {
    "committed_offsets": "Reset the group to where it should be, or go back to a snapshot or a copy.",
    "pending_offsets": "Commit again, or go back to a snapshot or a copy.",
} | dict.fromkeys(
    ("settings", "topic_settings", "resource_settings", "client_quotas"),
    "Set it again, or go back to a snapshot or a copy.",
)
"""What to do about a damaged row of a table; `BACK` for the others."""
_UNREADABLE = (sqlite3.Error, StorageFailed, FileRefused, OverflowError, UnicodeError)


@dataclass(frozen=True, slots=True)
class Finding:
    """A part of the file that is damaged.

    Attributes:
        place: "file", "schema", a partition such as "orders-0", or the name of a table.
        text: what is damaged, and what to do about it, in whole sentences.
    """

    place: str
    text: str


@dataclass(slots=True)
class CheckReport:
    """The result of a check.

    Attributes:
        findings: in the order in which they were found; empty if the file is intact.
        batches, events: how many record batches, and events in them, were checked.
        rows: how many rows outside the log were checked.
        without_checksum: how many batches and rows have no checksum, because an earlier version wrote them.
        recognized: False if it is no SQLite database, or another program's.
    """

    file: str
    findings: list[Finding] = field(default_factory=list)
    batches: int = 0
    events: int = 0
    rows: int = 0
    without_checksum: int = 0
    recognized: bool = True

    @property
    def whole(self) -> bool:
        """True if there are no findings."""
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        """Return the report as a JSON-compatible dictionary."""
        return {"whole": self.whole, **asdict(self)}


Advance = Callable[[int], None]


def check(path: Path, advance: Advance = lambda done: None) -> CheckReport:
    """Check a file, whether it is open elsewhere or not. The check sees one consistent state, however long it takes.

    Args:
        advance: called with the number of record batches that were checked since the last call.

    Raises:
        FileRefused: the file cannot be read at its place.
    """
    _refuse_what_cannot_be_read(path)
    before = _seen(path)
    report = _look_through(path, advance, in_use=before[0])
    if not before[0] and _seen(path) != before:
        # A sandbox opened the file meanwhile, and it may have changed during the unlocked check.
        report = _look_through(path, lambda done: None, in_use=True)
    return report


def _seen(path: Path) -> tuple[bool, list[tuple[int, int] | None]]:
    """Return whether the file is open elsewhere, and modification times and sizes that change when it is written."""
    files = (path, path.with_name(path.name + "-wal"))
    stats = [file.stat() if file.exists() else None for file in files]
    return read_owner(path) is not None, [one and (one.st_mtime_ns, one.st_size) for one in stats]


def _look_through(path: Path, advance: Advance, *, in_use: bool) -> CheckReport:
    report = CheckReport(str(path))
    try:
        check_file(path, to_write=False)
        with closing(sqlite3.connect(snapshots.address(path, in_use), uri=True, isolation_level=None)) as connection:
            # Text that is not UTF-8 any more is reported by its checksum, with its place.
            connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            with interrupting(connection):
                _Check(connection, report, advance).run()
    except FileRefused as error:
        report.recognized = not isinstance(error, NoSandboxFile)
        report.findings.append(Finding("file", str(error)))
    except _UNREADABLE as error:
        cancellation.check()
        report.findings.append(Finding("file", f"The file cannot be read: {error}. {BACK}"))
    return report


def _refuse_what_cannot_be_read(path: Path) -> None:
    refuse_no_regular_file(path)
    recent, index = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    if recent.exists() and recent.stat().st_size and not index.exists() and not os.access(path.parent, os.W_OK):
        raise FileRefused(
            f"{path} cannot be read where it is: what was written last is in {recent.name}, and reading it takes a "
            f"file beside it, which {path.parent} refuses. Copy both files to a folder of yours and check the copy."
        )


def count_batches(path: Path) -> int | None:
    """Return the number of record batches in a file, None if it cannot be read."""
    try:
        _refuse_what_cannot_be_read(path)
        with snapshots.opened(path, in_use=read_owner(path) is not None) as reader:
            row = reader.one("SELECT count(*) FROM batches")
    except FileRefused:
        return None
    return int(row[0]) if row else None


class _Check:
    """One check of a file.

    Args:
        connection: a connection in a read transaction.
        report: findings are added to it.
    """

    def __init__(self, connection: sqlite3.Connection, report: CheckReport, advance: Advance) -> None:
        self._connection = connection
        self._reader = Reader(connection)
        self._report = report
        self._advance = advance
        self._told: dict[str, set[str]] = {}
        self._more: Counter[str] = Counter()

    def run(self) -> None:
        """Check everything; a part that cannot be read does not prevent the others."""
        parts: list[tuple[str, Callable[[], None]]] = [("file", self._integrity)]
        if not self._reader.query("SELECT 1 FROM sqlite_master LIMIT 1"):
            return
        # Not from the file's first page: the write-ahead log may have a newer one.
        current = self._reader.query("PRAGMA user_version") == [(VERSION,)]
        if current:
            parts.append(("schema", self._schema))
            parts += [(table, self._rows_of(table)) for table in row_checksums.TABLES]
            parts.append(("file", self._breaches))
        parts += [("partitions", self._logs), ("committed_offsets", self._commits), ("file", self._sequences)]
        for place, part in parts:
            self._try(place, part)
        for place, count in self._more.items():
            self._report.findings.append(Finding(place, f"{place}: {count:,} more are not as written."))
        if not current and self._has_checksums():
            self._find("file", f"The file's version number differs from its tables' version, {VERSION}. {BACK}")

    def _find(self, place: str, text: str) -> None:
        # A damaged name may not be UTF-8 any more: escape it, so that it can be printed.
        finding = Finding(*(words.encode("utf-8", "backslashreplace").decode() for words in (place, text)))
        told = self._told.setdefault(finding.place, set())
        if len(told) == FINDINGS_MAX:
            self._more[finding.place] += 1
        elif finding.text not in told:
            told.add(finding.text)
            self._report.findings.append(finding)

    def _try(self, place: str, part: Callable[[], None]) -> None:
        cancellation.check()
        try:
            part()
        except _UNREADABLE as error:
            cancellation.check()
            self._find(place, f"{place} cannot be read: {error}. {BACK}")

    def _integrity(self) -> None:
        for (line,) in self._connection.execute(f"PRAGMA integrity_check({SQLITE_FINDINGS_MAX})"):
            if line != "ok":
                self._find("file", f"SQLite finds the file damaged: {' '.join(line.split())}. {BACK}")

    def _schema(self) -> None:
        try:
            snapshots.check_schema(snapshots.schema_of(self._connection), VERSION)
        except FileRefused as error:
            self._find("schema", f"{error} {BACK}")

    def _breaches(self) -> None:
        for breach in breaches(self._connection):
            self._find(breach.table, f"{breach.text()} {BACK}")

    def _rows_of(self, table: str) -> Callable[[], None]:
        def look() -> None:
            names, key = row_checksums.columns(self._connection)[table]
            places = [names.index(name) for name in key]
            for *values, crc in self._connection.execute(f"SELECT {', '.join(names)}, checksum FROM {table}"):
                self._report.rows += 1
                if crc is None:
                    self._report.without_checksum += 1
                elif crc != row_checksums.checksum(*values):
                    which = ", ".join(f"{names[at]} {values[at]!r}" for at in places)
                    self._find(
                        table,
                        f"{table}, {which}: this row is not as the sandbox wrote it. {WAYS_OUT.get(table, BACK)}",
                    )

        return look

    # The logs

    def _logs(self) -> None:
        for partition_id, topic, number, start, compacted in self._reader.query(
            "SELECT p.id, t.name, p.partition, p.log_start_offset, p.compacted_events FROM partitions p "
            "JOIN topics t ON t.id = p.topic WHERE t.deleted_ms IS NULL ORDER BY t.name, p.partition"
        ):
            place = f"{topic}-{number}"
            self._try(place, lambda at=(partition_id, start, compacted), place=place: self._log(place, *at))  # type: ignore[misc]

    def _log(self, place: str, partition_id: int, start: int, compacted: int) -> None:
        before, found, expected = -1, len(self._report.findings), 0
        for batch in self._batches(partition_id):
            if batch.base_offset <= before or batch.last_offset < batch.base_offset:
                self._find(
                    place,
                    f"{place}: the record batch at offset {batch.base_offset} ends at {batch.last_offset}, the one "
                    f"before it at {before}. {BACK}",
                )
                break
            before = batch.last_offset
            if batch.last_offset >= start:
                expected += self._batch(place, batch, start)
            self._report.batches += 1
            self._advance(1)
            cancellation.check()
        base = partition_id << OFFSET_BITS
        row = self._reader.one(
            "SELECT count(*) FROM events WHERE id BETWEEN ? AND ?", (base + start, base + OFFSET_LIMIT - 1)
        )
        count = row[0] if row else 0
        self._report.events += count
        end = max(start, before + 1)
        if found == len(self._report.findings) and not expected == count == end - start - compacted:
            self._find(
                place,
                f"{place}: the log has {count:,} events from offset {start} to {end}, compaction took "
                f"{compacted:,}, and its record batches have {expected:,}: these do not agree. {BACK}",
            )

    def _batches(self, partition_id: int) -> Iterator[BatchRow]:
        columns = BATCH_COLUMNS if self._has_checksums() else BATCH_COLUMNS.replace("checksum", "NULL")
        for row in self._reader.rows(
            f"SELECT {columns} FROM batches WHERE partition_id = ? ORDER BY base_offset", (partition_id,)
        ):
            yield BatchRow._make(row)

    def _has_checksums(self) -> bool:
        """Return whether the file has the checksum column, which earlier versions lack."""
        return any(row[1] == "checksum" for row in self._connection.execute("PRAGMA table_info(batches)"))

    def _batch(self, place: str, batch: BatchRow, start: int) -> int:
        """Compare one batch with its events; return the number of its events in the log."""
        rows = log.read_rows(self._reader, batch.partition_id, max(batch.base_offset, start), batch.last_offset)
        self._report.without_checksum += batch.checksum is None
        try:
            log.compare(self._reader, batch, rows)
        except EventsDamaged as error:
            self._find(place, error.detail)
        return len(rows)

    # Data that is stored twice

    def _commits(self) -> None:
        for group, topic, partition, offset, last in self._reader.query(
            "SELECT c.group_id, c.topic, c.partition, c.offset, h.offset FROM committed_offsets c LEFT JOIN commits h "
            "ON h.id = (SELECT max(id) FROM commits n WHERE n.group_id = c.group_id AND n.topic = c.topic "
            "AND n.partition = c.partition) WHERE h.offset IS NOT c.offset"
        ):
            self._find(
                "committed_offsets",
                f"The group {group} committed {last} in {topic}-{partition} last, and {offset} is written down. "
                f"{WAYS_OUT['committed_offsets']}",
            )

    def _sequences(self) -> None:
        given = dict(self._connection.execute("SELECT name, seq FROM sqlite_sequence"))
        for (table,) in self._connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'"
        ).fetchall():
            # The key's name differs between tables (a user's table may have any), but `rowid` works for all.
            quoted = quoted_name(table)
            (last,) = self._connection.execute(f"SELECT max(rowid) FROM {quoted}").fetchone()
            if last is not None and not (isinstance(given.get(table), int) and given[table] >= last):
                self._find("file", f"The number that {table} gave out last is not {last} or more. {BACK}")
