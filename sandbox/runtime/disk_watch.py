"""Monitors whether the sandbox file can be used, and describes what is wrong from the first failure until it is over.

Problem: a full disk refuses every write of every client, many times per second, and may be fine a minute later.
Trade: each request is refused separately, but the trouble is reported once, in the log and on every page.
Consequence: it is over when a small write of our own succeeds, some time after the last failure.

Damaged events are different: they stay damaged, but the rest of the file can be used. Each damaged batch is reported
once in the log, and on every page until it is gone.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from sandbox.broker.broker import Broker
from sandbox.broker.logs.turn import Changes
from sandbox.kafka.errors import BrokerError, EventsDamaged
from sandbox.storage.file import trial
from sandbox.storage.file.failure import BROKEN, StorageFailed
from sandbox.storage.log import message_rows

QUIET_S = 2.0
"""Seconds without a failure after which the file is tried again."""
LOOK_S = 5.0
"""Seconds between checks that the file still exists, while no rows are written."""
SLOW_S = 2.0
"""A commit that takes this long blocks everybody, and is reported as trouble."""
SLOW_TOLD_S = 30.0
LOG_GROWN_BYTES = 256_000_000
"""A write-ahead log of this size is reported. It is 4 MB unless a reader prevents the checkpoint."""
GROWN = (
    "Nothing is lost or refused, but the log takes room on the disk. This message goes away by itself when the log "
    "has been emptied."
)
PROCESSES = Path("/proc")
SLOW = "Nothing was lost or refused, but programs may run into their timeouts. This message goes away by itself."

logger = logging.getLogger("sandbox")


class StorageWatch:
    """Detects and describes trouble with a broker's file.

    Args:
        broker: the owner of the file.
        soon: schedules a call of `look` after a time in seconds, and replaces the call that was scheduled before.
        steady_s: a monotonic clock in seconds.

    Attributes:
        trouble: one or two sentences with what is wrong and what to do; None if nothing is wrong.
        means: the effect on users of the file; empty if nothing is wrong.
        failures: number of turns that failed since the trouble began.
    """

    def __init__(
        self, broker: Broker, soon: Callable[[float], None], steady_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._broker = broker
        self._soon = soon
        self._steady_s = steady_s
        self._since_s = 0.0
        self._slow = False
        self._grown = False
        self._log_looked_s = 0.0
        self.trouble: str | None = None
        self.means = ""
        self.failures = 0
        self._damaged: dict[str, EventsDamaged] = {}
        broker.on_failure = self.failed
        broker.on_damage = self.damaged

    def failed(self, error: StorageFailed) -> None:
        """Record that the file could not be read or written."""
        self.failures += 1
        self._since_s = self._steady_s()
        self._slow = self._grown = False
        self._begin(error.words, str(error), error.effect)

    def damaged(self, error: EventsDamaged) -> None:
        """Record that events are damaged."""
        if error.detail not in self._damaged:
            self._damaged[error.detail] = error
            logger.error("%s: %s", self._broker.database.path, error.detail)
            self._tell_damage()

    def _tell_damage(self) -> None:
        """Show the first damaged batch, unless there is other trouble."""
        if self.trouble is None and self._damaged:
            self.trouble = next(iter(self._damaged))
            self.means = BROKEN
            self._broker.tell(Changes(cluster=True))

    def _look_at_damage(self, error: EventsDamaged) -> None:
        """Stop reporting a damaged batch if it was deleted, or a snapshot was restored."""
        try:
            with self._broker.database.reader() as reader:
                message_rows.read_places(reader, error.topic, {error.partition: [error.last_offset]})
        except EventsDamaged:
            return
        except StorageFailed as failure:
            self.failed(failure)
            return
        except BrokerError:
            # The topic was deleted, and the batch with it.
            pass
        self._end()
        del self._damaged[error.detail]
        self._tell_damage()

    def _end(self) -> None:
        self.trouble, self.means, self.failures, self._slow, self._grown = None, "", 0, False, False
        self._broker.tell(Changes(cluster=True))

    def _begin(self, words: str, cause: str, means: str) -> None:
        if words == self.trouble:
            return
        self.trouble, self.means = words, means
        logger.error("%s: %s (%s) %s", self._broker.database.path, words, cause, means)
        self._broker.tell(Changes(cluster=True))
        self._soon(QUIET_S)

    def look(self) -> None:
        """Check whether the file exists and trouble is over. Schedules the next check. Call it between turns."""
        self._look_at_log()
        damage = self._damaged.get(self.trouble or "")
        if damage is not None:
            self._look_at_damage(damage)
        if self.trouble is None or damage is not None or self._grown:
            self._look_for_trouble()
        elif self._steady_s() - self._since_s >= (SLOW_TOLD_S if self._slow else QUIET_S):
            self.look_again()
        self._soon(LOOK_S if self.trouble is None or self.trouble in self._damaged else QUIET_S)

    def _look_for_trouble(self) -> None:
        database = self._broker.database
        try:
            database.check_or_rescue()
        except StorageFailed as error:
            self.failed(error)
            return
        took_s, database.slowest_commit_s = database.slowest_commit_s, 0.0
        if took_s >= SLOW_S and not self._grown:
            self._slow = True
            self._since_s = self._steady_s()
            self._begin(
                f"The disk is slow: a commit took {took_s:.1f} s, and everybody waited for it.", "slow disk", SLOW
            )

    def after_call(self) -> None:
        """Check after each call if no ports are open, because then no timer does. Cheap if nothing is wrong."""
        if self.trouble is not None and not self._grown:
            self.look_again()
            return
        large = self._grown or self._broker.database.log_bytes >= LOG_GROWN_BYTES
        if large and self._steady_s() - self._log_looked_s >= QUIET_S:
            self._look_at_log()

    def _look_at_log(self) -> None:
        """Report a write-ahead log that a reader prevents from being emptied. Empty it as soon as that is possible."""
        database = self._broker.database
        other_trouble = self.trouble is not None and not self._grown
        if other_trouble or database.writes_back or not (self._grown or database.log_bytes >= LOG_GROWN_BYTES):
            return
        self._log_looked_s = self._steady_s()
        self._broker.commit()
        readers = database.log_readers()
        try:
            if not readers and database.shrink_log():
                if self._grown:
                    logger.warning("The write-ahead log of %s has been emptied.", database.path)
                    self._end()
                    self._tell_damage()
                return
        except StorageFailed as error:
            self.failed(error)
            return
        self._grown = True
        self._begin(_grown_by(readers), f"{database.log_bytes:,} bytes", GROWN)

    def look_again(self) -> None:
        """If something is wrong with the file, try whether it can be used again."""
        if self.trouble is None or self.trouble in self._damaged:
            return
        # The trial is a separate turn without rows of other requests.
        self._broker.commit()
        failures = self.failures
        try:
            trial.use(self._broker.database)
        except StorageFailed as error:
            self._broker.undo(error)
        if self.failures == failures and self._broker.commit() is None:
            logger.warning("%s can be used again; %d turns were refused.", self._broker.database.path, failures)
            self._end()
            self._tell_damage()


def _grown_by(readers: Iterable[int]) -> str:
    """Return the message about what prevents the log from being emptied, with what to do."""
    who = " and ".join(_named(pid) for pid in sorted(readers)) or "another program"
    if set(readers) == {os.getpid()}:
        who, way_out = "an export, a snapshot or a query of this sandbox", "Wait until that is done, or stop it."
    else:
        way_out = "End that transaction, or close that program."
    return (
        f"The write-ahead log has grown beyond {LOG_GROWN_BYTES / 1e6:,.0f} MB, because {who} holds a read "
        f"transaction. {way_out}"
    )


def _named(pid: int) -> str:
    if pid == os.getpid():
        return "this sandbox itself"
    try:
        return f"process {pid} ({(PROCESSES / str(pid) / 'comm').read_text().strip()})"
    except OSError:
        return f"process {pid}"
