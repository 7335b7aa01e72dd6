"""The broker: topics, logs, and the commits that make their changes visible.

Everything here runs on one thread and in memory first: an append assigns offsets immediately and stages rows in the
single write transaction. `commit` ends that transaction and only then advances the high watermarks, so that no client
sees an event that a crash could remove. A caller that needs durability waits for `commit`; many requests share one.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from uuid import UUID, uuid4

from sandbox.broker.cluster import Cluster, LeaderChange
from sandbox.broker.credentials import Credentials
from sandbox.broker.happenings import note_moves
from sandbox.broker.logs.compaction import Compaction
from sandbox.broker.logs.log import Log
from sandbox.broker.logs.retention import AgeHold, Retention
from sandbox.broker.logs.topic import Partition, Topic, check_name, check_new_name
from sandbox.broker.logs.transactions import TransactionCoordinator
from sandbox.broker.logs.turn import Changes, Turn
from sandbox.broker.quotas import Quotas
from sandbox.broker.resources import Resources
from sandbox.kafka.broker_config import BrokerConfig, check_topic_setting
from sandbox.kafka.errors import BrokerError, EventsDamaged, shown_name
from sandbox.model.activity import Happening
from sandbox.model.process import bind_to_process
from sandbox.storage.deserializers import delete_deserializers
from sandbox.storage.file.database import Database, StorageFailed
from sandbox.storage.log import log, log_transactions, topics, transactions

logger = logging.getLogger("sandbox.broker")

PARTITIONS_MAX = 10_000
INTERNAL_TOPICS = frozenset(("__consumer_offsets", "__transaction_state", "__share_group_state"))
INTERNAL_REASON = (
    "groups and transactions are rows of the sandbox file. Use the tools for groups and transactions instead."
)
PURGE_ROWS = 5_000
PURGE_PAUSE_MS = 20


class Broker:
    """Applies Kafka's rules to one open file.

    Args:
        database: the file. The broker must be its only writer.
        config: the broker's settings.
        now_ms: the current time.
        brokers: number of simulated brokers.
    """

    def __init__(self, database: Database, config: BrokerConfig, now_ms: int, brokers: int = 1) -> None:
        self.database = database
        self.config = config
        self.cluster = Cluster(brokers)
        self.topics: dict[str, Topic] = {}
        self.topics_by_id: dict[UUID, Topic] = {}
        self.turn = Turn()
        self.log = Log(database, config, self.turn)
        self.cluster_id = ""
        self.record: Callable[[Sequence[Happening]], None] = lambda happenings: None
        bind_to_process(self)
        self.on_failure: Callable[[StorageFailed], None] = lambda error: None
        self.on_damage: Callable[[EventsDamaged], None] = lambda error: None
        self._stale: StorageFailed | None = None
        self._listeners: list[Callable[[Changes], None]] = []
        self._undo_listeners: list[Callable[[], None]] = []
        self._reload_listeners: list[Callable[[int], None]] = []
        self._replaced_ms: int | None = None
        self._purge_at_ms: int | None = now_ms
        self.age_hold = AgeHold()
        self._load()
        self.resources = Resources(database, config, self.topics, self.cluster.ids)
        self.quotas = Quotas(database)
        self.credentials = Credentials(database)
        self.retention = Retention(database, config, self.turn, self.topics, now_ms)
        self.compaction = Compaction(database, config, self.turn, self.topics, now_ms)
        self.transactions = TransactionCoordinator(self, now_ms)
        self._undo_listeners += (self.resources.reload, self.retention.reload, self.compaction.reload)
        self._undo_listeners.append(self.transactions.load)
        self._identify()

    def _identify(self) -> None:
        found = topics.load_setting(self.database, "cluster.id")
        if found is None:
            import base64

            found = base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
            topics.save_file_setting(self.database, "cluster.id", found)
            self.database.commit()
        self.cluster_id = found

    def _load(self) -> None:
        before = {partition.id: partition for topic in self.topics.values() for partition in topic.partitions}
        rows = topics.load_topics(self.database)
        self.topics.clear()
        self.topics_by_id.clear()
        for row in rows:
            for partition in self._remember(row).partitions:
                known = before.get(partition.id)
                if known is not None and known.leader_epoch == partition.leader_epoch:
                    partition.leader, partition.replicas, partition.isr = known.leader, known.replicas, known.isr
        self._choose_sync()

    def _remember(self, row: topics.TopicRow) -> Topic:
        topic = Topic(row.id, row.name, row.topic_id, row.created_ms, row.settings, row.replication_factor)
        for found in row.partitions:
            last = log.last_batch(self.database, found.id)
            end = max(found.log_start_offset, last.last_offset + 1 if last else 0)
            partition = Partition(
                found.id,
                topic,
                found.partition,
                found.log_start_offset,
                end,
                end,
                found.leader_epoch,
                last.bytes_before + last.size_bytes if last else found.log_start_bytes,
                last.max_timestamp if last else None,
                last.appended_ms if last else None,
            )
            replicas = tuple(map(int, found.replicas.split(","))) if found.replicas else None
            self.cluster.place(topic, partition, replicas)
            if last is not None:
                partition.open_transactions = log_transactions.open_transactions(self.database, found.id)
                partition.aborted_until = log_transactions.aborted_until(self.database, found.id)
            partition.settle()
            topic.partitions.append(partition)
        self.topics[topic.name] = topic
        self.topics_by_id[topic.topic_id] = topic
        return topic

    def _choose_sync(self) -> None:
        if not self.database.in_transaction:
            wanted = any(topic.settings.get("flush.messages") == "1" for topic in self.topics.values())
            self.database.sync_every_commit(wanted)

    # Turns

    @property
    def uncommitted(self) -> bool:
        """True if there are changes that `commit` has not written yet."""
        return self.database.in_transaction or bool(self.turn.changes) or bool(self.turn.happenings)

    def subscribe(self, listener: Callable[[Changes], None]) -> Callable[[], None]:
        """Call `listener` after each commit that changed something. Returns a function that unsubscribes it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def on_undo(self, listener: Callable[[], None]) -> None:
        """Call `listener` after a turn was undone, so that it reloads its state from the rows."""
        self._undo_listeners.append(listener)

    def group_changed(self, group: str, kind: str) -> None:
        """Record a change of a group: "commit" for its offsets, "deleted" for its deletion, "group" for others."""
        (self.turn.changes.commits if kind == "commit" else self.turn.changes.groups).add(group)
        if kind == "deleted":
            self.turn.note("deleted", {"resource": "group"}, group=group)

    def commit(self) -> BrokerError | None:
        """End the turn. Either all of it is durable and visible, or none of it happened.

        Returns:
            None, or KAFKA_STORAGE_ERROR if the file could not be written. The turn's waiters get the same error.
        """
        try:
            if self._stale is not None:
                raise self._stale
            if self.turn.happenings:
                self.record(self.turn.happenings)
            self.database.commit()
        except StorageFailed as error:
            return self.undo(error)
        changes, waiters = self.turn.take()
        for partition in changes.partitions:
            partition.settle()
        if changes.topics:
            self._choose_sync()
        for waiter in waiters:
            waiter(None)
        if changes:
            self.tell(changes)
        return None

    def tell(self, changes: Changes) -> None:
        """Call every subscribed listener with `changes`."""
        for listener in tuple(self._listeners):
            try:
                listener(changes)
            except Exception:
                # The commit stays valid even if a listener fails.
                logger.exception("a listener to changes failed")

    def undo(self, reason: BaseException) -> BrokerError:
        """Discard this turn's changes in the file and in memory, and report the error to its waiters."""
        outcome = "It may have been stored." if getattr(reason, "stored", False) else "Nothing was stored."
        error = BrokerError("KAFKA_STORAGE_ERROR", f"The file could not be written: {reason}. {outcome}")
        _, waiters = self.turn.take()
        if isinstance(reason, StorageFailed):
            self.on_failure(reason)
        try:
            self.database.rollback()
            if isinstance(reason, StorageFailed) and reason.unreadable:
                raise reason
            self._take_again()
            self._stale = None
        except StorageFailed as unreadable:
            # Memory may be ahead of the file, so nothing is written until the file could be read again.
            self._stale = unreadable
        for waiter in waiters:
            waiter(error)
        return error

    def reload(self, now_ms: int) -> StorageFailed | None:
        """Load everything from the file after its content was replaced. Call it between turns.

        Returns:
            Why the file cannot be read now; None if it was. Until it can be read, every turn is refused, and ends with
            another try.
        """
        self._replaced_ms = now_ms
        try:
            self._take_again()
        except StorageFailed as error:
            self.undo(error)
        return self._stale

    def on_reload(self, listener: Callable[[int], None]) -> None:
        """Call `listener` with the time in ms after the topics were loaded from a file with other content."""
        self._reload_listeners.append(listener)

    def _take_again(self) -> None:
        """Load the state again, after a turn was undone or the content was replaced."""
        self.database.reopen()
        if self._replaced_ms is not None:
            self.turn.changes.topics.update(self.topics)
            # Known partitions are dropped, because the same id may belong to another partition now.
            self.topics.clear()
        self.log.producers.forget()
        self._load()
        for listener in self._undo_listeners:
            listener()
        if self._replaced_ms is not None:
            self.transactions.believe(self._replaced_ms)
            self._purge_at_ms = self._replaced_ms
            for reloaded in self._reload_listeners:
                reloaded(self._replaced_ms)
            self._replaced_ms = None
            self.turn.changes.topics.update(self.topics)
            self.turn.changes.cluster = True

    def new_producer_id(self, now_ms: int) -> int:
        """Return a producer id that was never used before. Its first epoch is 0."""
        return transactions.new_producer_id(self.database, now_ms)

    # Topics

    def topic(self, name: str) -> Topic:
        """Return a topic. Raises BrokerError UNKNOWN_TOPIC_OR_PARTITION if it doesn't exist."""
        topic = self.topics.get(name)
        if topic is None:
            raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no topic {shown_name(name)}.")
        return topic

    def create_topic(
        self,
        name: str,
        now_ms: int,
        *,
        partitions: int = -1,
        replication_factor: int = -1,
        settings: Mapping[str, str | None] | None = None,
        validate_only: bool = False,
    ) -> Topic | None:
        """Create a topic.

        Args:
            partitions: 1 or more; -1 for `num.partitions`.
            replication_factor: 1 to the number of brokers; -1 for `default.replication.factor`.
            validate_only: check the request without creating the topic.

        Raises:
            BrokerError: INVALID_TOPIC_EXCEPTION, TOPIC_ALREADY_EXISTS, INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR,
            INVALID_CONFIG.
        """
        check_new_name(name, self.topics)
        if name in INTERNAL_TOPICS:
            raise BrokerError(
                "INVALID_TOPIC_EXCEPTION", f"{name} is an internal topic, and can't be created: {INTERNAL_REASON}"
            )
        count = self.config.number("num.partitions") if partitions == -1 else partitions
        if count < 1:
            raise BrokerError("INVALID_PARTITIONS", "Number of partitions was set to an invalid non-positive value.")
        if count > PARTITIONS_MAX:
            raise BrokerError("INVALID_PARTITIONS", f"The sandbox takes at most {PARTITIONS_MAX} partitions a topic.")
        replicas = self.cluster.replication_factor(replication_factor, self.config.number("default.replication.factor"))
        checked = {key: check_topic_setting(key, value) for key, value in (settings or {}).items()}
        if validate_only:
            return None
        row = topics.insert_topic(self.database, name, uuid4(), count, replicas, checked, now_ms)
        self.turn.changes.topics.add(name)
        self.turn.note("created", {"partitions": count}, topic=name)
        return self._remember(row)

    def topic_for_use(self, name: str, now_ms: int, *, create: bool = True) -> Topic:
        """Return a topic; create it first if `auto.create.topics.enable` and `create` allow it.

        Kafka's internal topics are never created: groups and transactions are rows here, so they would stay empty.
        """
        topic = self.topics.get(name)
        if topic is not None:
            return topic
        if name in INTERNAL_TOPICS:
            raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no topic {name} here: {INTERNAL_REASON}")
        if create and self.config.flag("auto.create.topics.enable") and not self.database.read_only:
            created = self.create_topic(name, now_ms)
            if created is not None:
                return created
        check_name(name)
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no topic {shown_name(name)}.")

    def delete_topic(self, name: str, now_ms: int) -> None:
        """Delete a topic with its deserializers and saved filters, which would else apply to a later topic of its name.

        It disappears immediately; `tick` removes its rows in pieces.
        """
        topic = self.topic(name)
        if not self.config.flag("delete.topic.enable"):
            raise BrokerError("TOPIC_DELETION_DISABLED")
        topics.mark_deleted(self.database, topic.id, now_ms)
        topics.save_filters(self.database, name, {})
        delete_deserializers(self.database, name)
        self.turn.note("deleted", {"resource": "topic", "partitions": len(topic.partitions)}, topic=name)
        del self.topics[name]
        del self.topics_by_id[topic.topic_id]
        self.turn.changes.topics.add(name)
        self.turn.changes.partitions.update(topic.partitions)
        self._purge_at_ms = now_ms

    def create_partitions(self, name: str, count: int, *, validate_only: bool = False) -> None:
        """Increase a topic's partitions to a total of `count`. The number can't decrease (KIP-195)."""
        topic = self.topic(name)
        current = len(topic.partitions)
        if count == current:
            raise BrokerError("INVALID_PARTITIONS", f"Topic already has {current} partition(s).")
        if count < current:
            raise BrokerError(
                "INVALID_PARTITIONS",
                f"The topic {name} currently has {current} partition(s); {count} would not be an increase.",
            )
        if count > PARTITIONS_MAX:
            raise BrokerError("INVALID_PARTITIONS", f"The sandbox takes at most {PARTITIONS_MAX} partitions a topic.")
        if validate_only:
            return
        for row in topics.insert_partitions(self.database, topic.id, current, count):
            partition = Partition(row.id, topic, row.partition)
            self.cluster.place(topic, partition, None)
            topic.partitions.append(partition)
        self.turn.changes.topics.add(name)
        self.turn.note("altered", {"partitions": count, "before": current}, topic=name)

    def alter_topic(
        self, name: str, changes: Mapping[str, str | None], *, replace: bool = False, validate_only: bool = False
    ) -> None:
        """Set settings of a topic; None resets one to its default.

        Args:
            replace: True resets every setting that `changes` doesn't name (AlterConfigs).
        """
        topic = self.topic(name)
        settings = {} if replace else dict(topic.settings)
        for key, value in changes.items():
            if value is None:
                settings.pop(key, None)
            else:
                settings[key] = check_topic_setting(key, value)
        if validate_only:
            return
        for key in sorted(topic.settings.keys() | settings.keys()):
            if topic.settings.get(key) != settings.get(key):
                self.turn.note("altered", {"setting": key, "value": settings.get(key)}, topic=name)
                topics.save_setting(self.database, topic.id, key, settings.get(key))
        topic.set(settings)
        self.turn.changes.topics.add(name)

    # The cluster

    def assign(self, partitions: Iterable[Partition], assignments: Iterable[tuple[int, ...]]) -> None:
        """Give new partitions manually assigned replicas. Call `Cluster.check_assignment` first."""
        for partition, replicas in zip(partitions, assignments, strict=True):
            self.cluster.place(partition.topic, partition, replicas)
            topics.save_leadership(self.database, partition.id, partition.leader_epoch, ",".join(map(str, replicas)))

    def led(self, moves: Iterable[LeaderChange]) -> None:
        """Store leader changes and notify the subscribers."""
        moves = tuple(moves)
        note_moves(self.turn, moves)
        for move in moves:
            partition = move.partition
            topics.save_leadership(self.database, partition.id, partition.leader_epoch, None)
            self.turn.changes.topics.add(partition.topic.name)
        self.cluster_changed()

    def switched(self, broker: int, *, up: bool) -> None:
        """Start or stop a broker. Raises BrokerError BROKER_NOT_AVAILABLE if it doesn't exist or is in that state
        already.
        """
        moves = (self.cluster.start if up else self.cluster.stop)(broker, self.topics.values())
        self.turn.note("started" if up else "stopped", {"broker": broker})
        self.led(moves)

    def cluster_changed(self) -> None:
        """Record that brokers, in-sync replicas or faults changed."""
        self.turn.changes.cluster = True

    def reassign(self, partition: Partition, replicas: tuple[int, ...]) -> None:
        """Replace a partition's replicas. Raises BrokerError INVALID_REPLICA_ASSIGNMENT if a broker doesn't exist."""
        self.cluster.reassign(partition, replicas)
        topics.save_leadership(self.database, partition.id, partition.leader_epoch, ",".join(map(str, replicas)))
        self.turn.changes.topics.add(partition.topic.name)
        name, number = partition.topic.name, partition.partition
        self.turn.note("altered", {"replicas": list(replicas)}, topic=name, partition=number)

    # Time

    def clock_moved(self, by_ms: int, set_ms: int, now_ms: int) -> None:
        """Move every deadline along with the clock.

        Args:
            by_ms: how far the clock moved beyond the elapsed running time; negative if it was set back.
            set_ms: the part of `by_ms` by which the clock was set; the machine slept for the rest.
            now_ms: the current time.
        """
        self.age_hold.clock_moved(by_ms, set_ms, now_ms)
        self.transactions.clock_moved(by_ms, now_ms)
        self.retention.clock_moved(by_ms)
        self.compaction.clock_moved(by_ms)
        if self._purge_at_ms is not None:
            self._purge_at_ms += by_ms
        if set_ms:
            self.cluster_changed()

    def tick(self, now_ms: int) -> None:
        """Run due tasks in pieces: transaction timeouts, retention, compaction, rows of deleted topics."""
        if self.age_hold.end_if_over(now_ms):
            self.cluster_changed()
        aged_ms = self.age_hold.time_ms(now_ms)
        self.transactions.tick(now_ms, aged_ms)
        self.retention.tick(now_ms, aged_ms)
        self.compaction.tick(now_ms, aged_ms)
        if self._purge_at_ms is not None and now_ms >= self._purge_at_ms:
            more = topics.purge(self.database, PURGE_ROWS)
            self._purge_at_ms = now_ms + PURGE_PAUSE_MS if more else None

    def next_deadline_ms(self) -> int:
        """Return when `tick` must be called next."""
        due_ms = min(
            self.transactions.next_deadline_ms(), self.retention.next_deadline_ms(), self.compaction.next_deadline_ms()
        )
        if self.age_hold.jump_ms:
            due_ms = min(due_ms, self.age_hold.until_ms)
        return due_ms if self._purge_at_ms is None else min(due_ms, self._purge_at_ms)

    def unfinished_ms(self) -> int | None:
        """Return when `tick` continues work that it started and left for later; None if there is none."""
        parts = (self.retention.unfinished_ms(), self.compaction.unfinished_ms(), self._purge_at_ms)
        return min((due_ms for due_ms in parts if due_ms is not None), default=None)
