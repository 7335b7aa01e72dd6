"""Defines the file format: its tables, the triggers that guard them, and the changes between versions.

One database in WAL mode. Every event is one row of `events`, written once:

* `events.id` is `partition_id * 2**40 + offset`, so that one B-tree holds every partition in offset order, a range of a
  partition is a range of keys, and an insert touches one tree only. `partition_id` and `offset` are generated columns.
* `key` and `value` are TEXT if the bytes are valid UTF-8, BLOB if they are not, and NULL for Kafka's null. The bytes
  are the same either way (`CAST(value AS BLOB)`), and people and SQLite's JSON functions can read them.
* `headers` is NULL for none, otherwise a JSON array of `[name, value]`; a name or value that is not UTF-8 is
  `{"base64": "..."}`.
* `batches` has one row per produced record batch: the fields that the protocol must return (producer id, epoch,
  sequence, transaction and control flags, timestamp type), and the largest and smallest timestamp, for look-ups by
  time. `bytes_before` is the running total of `size_bytes`, so that the size of a log is one subtraction.
* A transaction marker is a batch with `control` and one row of `events`, as in Kafka's log. `log_transactions` has one
  row per transaction and partition that it wrote to: from its first event to its marker (`last_offset`, NULL while it
  is open). So an aborted transaction's events stay in the log and are known to be aborted, and the last stable offset
  is one look-up. The view `messages` leaves the markers out, and shows the state of each event's transaction.
  `transactions` has one row per transactional id, `pending_offsets` the offsets that wait for the end of a transaction;
  `position` numbers the commits of a group in a partition in the order in which they were sent.
* The end of a log is the end of its last batch, or its log start offset if retention deleted every batch. It is not
  stored anywhere else.
* Triggers refuse to change an event, a batch, a commit or a rebalance, and to delete an event that the log still has:
  one at or above `partitions.log_start_offset` and at or above `partitions.cleaner_offset`. The latter is 0 in every
  committed state: compaction raises it and resets it within one transaction, and only in between may it delete events
  from the middle of a log. `INSERT OR REPLACE` bypasses triggers unless the connection sets `recursive_triggers`, as
  the sandbox's own does. A guard for other programs cost 14 to 30 % of the insert rate; the limit was 10 %.
* What compaction deleted is counted: `batches.removed_events` for one batch (whose `size_bytes` and timestamps then
  describe the remaining events), `partitions.compacted_events` and `compacted_bytes` for the log from its start.
  `log_start_bytes` is `bytes_before` of the batch at the log start. So the number of a log's events and its size are
  known without counting rows. `first_dirty_offset` is the start of the part that was never compacted;
  `batches.delete_horizon_ms` is the time from which a batch's tombstones may be deleted (KIP-534).
* `share_partitions` has a share group's window in each partition: its start offset, and the end offset from which no
  record was ever acquired (both NULL before the first fetch). `share_records` has one row per record in that window:
  its state, its delivery count, and the member that has it. Rows below the start offset are deleted.
* `activity` records events outside the log: something was created, deleted, altered, reset, stopped, injected, or saved
  as a snapshot. Batches, commits and rebalances have their own tables and are not repeated. Old rows are deleted.
  `details` has the fields of the row's kind as a JSON object (`sandbox.model.activity`), as it has in `rebalances`
  (`sandbox.model.rebalance`): `details ->> '$.partitions'`. No sentence is stored.
* `event_templates` are the templates of the page's generator that were saved under a name.
* The schema registry is in six tables. `schemas` has one row per schema and context (the registry's namespaces; "." is
  the default one), `schema_references` what it refers to, as written and as resolved. `schema_versions` has one row per
  version of a subject. `schema_contexts` has the largest id of each context, so that no id is assigned twice, even
  after its schema was deleted. `schema_configs` and `schema_modes` have what was set for a subject; the subject "" is
  the context itself. A schema is deleted with the last version that has its id.

* `deserializers` has what was chosen to decode a topic's keys or values: a format, its schema, and the files that the
  schema uses as a JSON object of name and text. A topic without a row is decoded automatically.

* `batches.checksum` covers a batch and its events; `checksum` of every other table covers its row. `checksums` and
  `row_checksums` describe how. NULL is the checksum of a row that was written before version 3.

`PRAGMA application_id` distinguishes a sandbox file from other programs' databases. `PRAGMA user_version` is its
version: 2 added `activity` and `event_templates`, 3 the checksums, 4 commits outside their log in the view `lag`, 5
`details` instead of sentences, 6 the schema registry, 7 share groups, 8 partitions without a commit in the view `lag`,
9 `deserializers`.
"""

APPLICATION_ID = 0x4B534258
VERSION = 9
OFFSET_BITS = 40
OFFSET_LIMIT = 1 << OFFSET_BITS

# The checksum columns are written as ALTER TABLE adds them to an older file: both files have the same schema.
TABLES = """
CREATE TABLE settings(
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
, checksum INTEGER) WITHOUT ROWID;

CREATE TABLE topics(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  topic_id TEXT NOT NULL UNIQUE,
  created_ms INTEGER NOT NULL,
  replication_factor INTEGER NOT NULL DEFAULT 1,
  deleted_ms INTEGER
, checksum INTEGER);
CREATE UNIQUE INDEX topics_by_name ON topics(name) WHERE deleted_ms IS NULL;

CREATE TABLE topic_settings(
  topic INTEGER NOT NULL REFERENCES topics(id),
  name TEXT NOT NULL,
  value TEXT NOT NULL, checksum INTEGER,
  PRIMARY KEY(topic, name)
) WITHOUT ROWID;

CREATE TABLE resource_settings(
  resource_type TEXT NOT NULL,
  resource TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL, checksum INTEGER,
  PRIMARY KEY(resource_type, resource, name)
) WITHOUT ROWID;

CREATE TABLE client_quotas(
  entity TEXT NOT NULL,
  name TEXT NOT NULL,
  value REAL NOT NULL, checksum INTEGER,
  PRIMARY KEY(entity, name)
) WITHOUT ROWID;

CREATE TABLE scram_credentials(
  user TEXT NOT NULL,
  mechanism TEXT NOT NULL,
  iterations INTEGER NOT NULL,
  salt BLOB NOT NULL,
  stored_key BLOB NOT NULL,
  server_key BLOB NOT NULL, checksum INTEGER,
  PRIMARY KEY(user, mechanism)
) WITHOUT ROWID;

CREATE TABLE partitions(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  topic INTEGER NOT NULL REFERENCES topics(id),
  partition INTEGER NOT NULL,
  log_start_offset INTEGER NOT NULL DEFAULT 0,
  log_start_bytes INTEGER NOT NULL DEFAULT 0,
  cleaner_offset INTEGER NOT NULL DEFAULT 0,
  first_dirty_offset INTEGER NOT NULL DEFAULT 0,
  compacted_events INTEGER NOT NULL DEFAULT 0,
  compacted_bytes INTEGER NOT NULL DEFAULT 0,
  leader_epoch INTEGER NOT NULL DEFAULT 0,
  replicas TEXT, checksum INTEGER,
  UNIQUE(topic, partition)
);

CREATE TABLE events(
  id INTEGER PRIMARY KEY,
  timestamp INTEGER NOT NULL,
  key,
  value,
  headers TEXT,
  partition_id INTEGER GENERATED ALWAYS AS (id >> 40) VIRTUAL,
  offset INTEGER GENERATED ALWAYS AS (id & 1099511627775) VIRTUAL
);

CREATE TABLE batches(
  partition_id INTEGER NOT NULL,
  base_offset INTEGER NOT NULL,
  last_offset INTEGER NOT NULL,
  min_timestamp INTEGER NOT NULL,
  max_timestamp INTEGER NOT NULL,
  timestamp_type INTEGER NOT NULL,
  appended_ms INTEGER NOT NULL,
  producer_id INTEGER NOT NULL,
  producer_epoch INTEGER NOT NULL,
  base_sequence INTEGER NOT NULL,
  transactional INTEGER NOT NULL,
  control INTEGER NOT NULL,
  compression INTEGER NOT NULL,
  leader_epoch INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  bytes_before INTEGER NOT NULL,
  removed_events INTEGER NOT NULL DEFAULT 0,
  delete_horizon_ms INTEGER, checksum INTEGER,
  PRIMARY KEY(partition_id, base_offset)
) WITHOUT ROWID;
CREATE INDEX batches_by_time ON batches(partition_id, max_timestamp, min_timestamp, last_offset);
CREATE INDEX batches_by_first_time ON batches(partition_id, min_timestamp, max_timestamp, last_offset);
CREATE INDEX batches_by_producer ON batches(producer_id, partition_id) WHERE producer_id >= 0;
CREATE INDEX batches_by_horizon ON batches(partition_id, delete_horizon_ms) WHERE delete_horizon_ms IS NOT NULL;

CREATE TABLE producers(
  producer_id INTEGER PRIMARY KEY AUTOINCREMENT,
  created_ms INTEGER NOT NULL
, checksum INTEGER);

CREATE TABLE transactions(
  transactional_id TEXT PRIMARY KEY,
  producer_id INTEGER NOT NULL,
  producer_epoch INTEGER NOT NULL,
  last_producer_id INTEGER NOT NULL,
  last_producer_epoch INTEGER NOT NULL,
  timeout_ms INTEGER NOT NULL,
  state TEXT NOT NULL,
  version INTEGER NOT NULL,
  started_ms INTEGER,
  updated_ms INTEGER NOT NULL
, checksum INTEGER) WITHOUT ROWID;

CREATE TABLE transaction_partitions(
  transactional_id TEXT NOT NULL REFERENCES transactions(transactional_id),
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL, checksum INTEGER,
  PRIMARY KEY(transactional_id, topic, partition)
) WITHOUT ROWID;

CREATE TABLE transaction_groups(
  transactional_id TEXT NOT NULL REFERENCES transactions(transactional_id),
  group_id TEXT NOT NULL, checksum INTEGER,
  PRIMARY KEY(transactional_id, group_id)
) WITHOUT ROWID;

CREATE TABLE pending_offsets(
  producer_id INTEGER NOT NULL,
  group_id TEXT NOT NULL,
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  leader_epoch INTEGER NOT NULL,
  metadata TEXT,
  generation INTEGER NOT NULL,
  member_id TEXT NOT NULL,
  position INTEGER NOT NULL, checksum INTEGER,
  PRIMARY KEY(producer_id, group_id, topic, partition)
) WITHOUT ROWID;
CREATE INDEX pending_offsets_by_group ON pending_offsets(group_id, topic, partition);

CREATE TABLE log_transactions(
  partition_id INTEGER NOT NULL,
  producer_id INTEGER NOT NULL,
  first_offset INTEGER NOT NULL,
  last_offset INTEGER,
  aborted INTEGER, checksum INTEGER,
  PRIMARY KEY(partition_id, producer_id, first_offset)
) WITHOUT ROWID;
CREATE INDEX log_transactions_by_end ON log_transactions(partition_id, last_offset);
CREATE INDEX log_transactions_aborted ON log_transactions(partition_id, last_offset, first_offset, producer_id)
  WHERE aborted = 1;
CREATE INDEX log_transactions_open ON log_transactions(partition_id) WHERE last_offset IS NULL;

CREATE TABLE groups(
  group_id TEXT PRIMARY KEY,
  state TEXT NOT NULL,
  protocol_type TEXT NOT NULL DEFAULT '',
  protocol TEXT NOT NULL DEFAULT '',
  generation INTEGER NOT NULL DEFAULT 0,
  leader TEXT,
  updated_ms INTEGER NOT NULL,
  type TEXT NOT NULL DEFAULT 'classic',
  assignment_epoch INTEGER NOT NULL DEFAULT 0
, checksum INTEGER) WITHOUT ROWID;

CREATE TABLE group_members(
  group_id TEXT NOT NULL REFERENCES groups(group_id),
  member_id TEXT NOT NULL,
  instance_id TEXT,
  client_id TEXT NOT NULL,
  client_host TEXT NOT NULL,
  session_timeout_ms INTEGER NOT NULL,
  rebalance_timeout_ms INTEGER NOT NULL,
  protocols TEXT NOT NULL,
  assignment BLOB NOT NULL,
  assigned TEXT NOT NULL DEFAULT '{}',
  consumer TEXT, checksum INTEGER,
  PRIMARY KEY(group_id, member_id)
) WITHOUT ROWID;

CREATE TABLE committed_offsets(
  group_id TEXT NOT NULL,
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  leader_epoch INTEGER NOT NULL,
  metadata TEXT,
  committed_ms INTEGER NOT NULL,
  position INTEGER NOT NULL DEFAULT 0, checksum INTEGER,
  PRIMARY KEY(group_id, topic, partition)
) WITHOUT ROWID;
CREATE INDEX committed_offsets_by_topic ON committed_offsets(topic, partition);

CREATE TABLE commits(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  group_id TEXT NOT NULL,
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  metadata TEXT,
  committed_ms INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  member_id TEXT NOT NULL
, checksum INTEGER);
CREATE INDEX commits_by_group ON commits(group_id, topic, partition, committed_ms);

CREATE TABLE rebalances(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  group_id TEXT NOT NULL,
  generation INTEGER NOT NULL,
  started_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL,
  details TEXT NOT NULL,
  members INTEGER NOT NULL,
  assignment TEXT NOT NULL
, checksum INTEGER);
CREATE INDEX rebalances_by_group ON rebalances(group_id, id);
"""

GUARDS = """
CREATE TRIGGER events_are_immutable BEFORE UPDATE ON events BEGIN
  SELECT RAISE(ABORT, 'events are immutable: append a new one instead');
END;
CREATE TRIGGER events_stay_in_the_log BEFORE DELETE ON events
WHEN OLD.offset >= (SELECT max(log_start_offset, cleaner_offset) FROM partitions WHERE id = OLD.partition_id) BEGIN
  SELECT RAISE(ABORT, 'the log is append-only: events leave it by retention, compaction or delete records alone');
END;
CREATE TRIGGER batches_are_immutable BEFORE UPDATE ON batches
WHEN OLD.last_offset >= (SELECT cleaner_offset FROM partitions WHERE id = OLD.partition_id) BEGIN
  SELECT RAISE(ABORT, 'record batches are immutable');
END;
CREATE TRIGGER batches_stay_in_the_log BEFORE DELETE ON batches
WHEN OLD.last_offset >= (SELECT max(log_start_offset, cleaner_offset) FROM partitions WHERE id = OLD.partition_id) BEGIN
  SELECT RAISE(ABORT, 'the log is append-only: record batches leave it with their last event');
END;
CREATE TRIGGER ended_transactions_are_immutable BEFORE UPDATE ON log_transactions WHEN OLD.last_offset IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'a transaction that was committed or aborted stays so');
END;
CREATE TRIGGER log_start_offset_never_falls BEFORE UPDATE OF log_start_offset ON partitions
WHEN NEW.log_start_offset < OLD.log_start_offset BEGIN
  SELECT RAISE(ABORT, 'a log start offset never falls');
END;
CREATE TRIGGER commits_are_immutable BEFORE UPDATE ON commits BEGIN
  SELECT RAISE(ABORT, 'the history of commits is immutable: commit again instead');
END;
CREATE TRIGGER rebalances_are_immutable BEFORE UPDATE ON rebalances BEGIN
  SELECT RAISE(ABORT, 'the history of rebalances is immutable');
END;
"""

VIEWS = """
CREATE VIEW messages AS
SELECT t.name AS topic,
  p.partition AS partition,
  e.id - (p.id << 40) AS offset,
  CASE WHEN e.timestamp <> -1 THEN
    coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', e.timestamp / 1000.0, 'unixepoch'), e.timestamp) END AS timestamp,
  CASE typeof(e.key) WHEN 'blob' THEN 'x''' || hex(e.key) || '''' ELSE e.key END AS key,
  CASE typeof(e.value) WHEN 'blob' THEN 'x''' || hex(e.value) || '''' ELSE e.value END AS value,
  coalesce(e.headers, '[]') AS headers,
  (SELECT CASE b.transactional WHEN 1 THEN (
      SELECT CASE x.aborted WHEN 0 THEN 'committed' WHEN 1 THEN 'aborted' ELSE 'open' END
      FROM log_transactions x
      WHERE x.partition_id = p.id AND x.producer_id = b.producer_id AND x.first_offset <= b.base_offset
      ORDER BY x.first_offset DESC LIMIT 1) END
    FROM batches b WHERE b.partition_id = p.id AND b.base_offset <= e.id - (p.id << 40)
    ORDER BY b.base_offset DESC LIMIT 1) AS "transaction"
FROM topics t
JOIN partitions p ON p.topic = t.id
JOIN events e ON e.id BETWEEN (p.id << 40) + p.log_start_offset AND (p.id << 40) + 1099511627775
WHERE t.deleted_ms IS NULL
AND NOT EXISTS (
  SELECT 1 FROM log_transactions x WHERE x.partition_id = p.id AND x.last_offset = e.id - (p.id << 40)
);

CREATE VIEW log_ends AS
SELECT p.id AS partition_id, t.name AS topic, p.partition AS partition, p.log_start_offset AS log_start_offset,
  max(p.log_start_offset, coalesce((
    SELECT b.last_offset + 1 FROM batches b WHERE b.partition_id = p.id ORDER BY b.base_offset DESC LIMIT 1
  ), 0)) AS end_offset
FROM partitions p JOIN topics t ON t.id = p.topic
WHERE t.deleted_ms IS NULL;

CREATE VIEW lag AS
SELECT c.group_id AS group_id, c.topic AS topic, c.partition AS partition, c.offset AS committed,
  l.end_offset AS end_offset, max(0, l.end_offset - c.offset) AS lag
FROM committed_offsets c JOIN log_ends l ON l.topic = c.topic AND l.partition = c.partition;
"""

LAG_WITH_RANGE = """
DROP VIEW lag;
CREATE VIEW lag AS
SELECT c.group_id AS group_id, c.topic AS topic, c.partition AS partition, c.offset AS committed,
  l.end_offset AS end_offset,
  l.end_offset - CASE WHEN c.offset BETWEEN l.log_start_offset AND l.end_offset THEN c.offset
    ELSE l.log_start_offset END AS lag,
  l.log_start_offset AS log_start_offset,
  CASE WHEN c.offset > l.end_offset THEN 'beyond end' WHEN c.offset < l.log_start_offset THEN 'below start' END
    AS out_of_range,
  max(0, l.log_start_offset - c.offset) AS deleted_unread
FROM committed_offsets c JOIN log_ends l ON l.topic = c.topic AND l.partition = c.partition;
"""

LAG_WITHOUT_COMMIT = """
DROP VIEW lag;
CREATE VIEW lag AS
SELECT c.group_id AS group_id, c.topic AS topic, c.partition AS partition, c.offset AS committed,
  l.end_offset AS end_offset,
  l.end_offset - CASE WHEN c.offset BETWEEN l.log_start_offset AND l.end_offset THEN c.offset
    ELSE l.log_start_offset END AS lag,
  l.log_start_offset AS log_start_offset,
  CASE WHEN c.offset > l.end_offset THEN 'beyond end' WHEN c.offset < l.log_start_offset THEN 'below start' END
    AS out_of_range,
  max(0, l.log_start_offset - c.offset) AS deleted_unread,
  0 AS uncommitted_lag
FROM committed_offsets c JOIN log_ends l ON l.topic = c.topic AND l.partition = c.partition
UNION ALL
SELECT g.group_id, l.topic, l.partition, NULL, l.end_offset, NULL, l.log_start_offset, NULL, 0,
  l.end_offset - l.log_start_offset
FROM (SELECT DISTINCT group_id, topic FROM committed_offsets) g JOIN log_ends l ON l.topic = g.topic
WHERE NOT EXISTS (SELECT 1 FROM committed_offsets c
  WHERE c.group_id = g.group_id AND c.topic = l.topic AND c.partition = l.partition);
"""

BESIDE_THE_LOG = """
CREATE TABLE activity(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ms INTEGER NOT NULL,
  kind TEXT NOT NULL,
  topic TEXT,
  partition INTEGER,
  group_id TEXT,
  details TEXT NOT NULL
, checksum INTEGER);
CREATE INDEX activity_by_topic ON activity(topic, id) WHERE topic IS NOT NULL;
CREATE INDEX activity_by_group ON activity(group_id, id) WHERE group_id IS NOT NULL;
CREATE TRIGGER activity_is_immutable BEFORE UPDATE ON activity BEGIN
  SELECT RAISE(ABORT, 'what happened is immutable');
END;

CREATE TABLE event_templates(
  name TEXT PRIMARY KEY,
  template TEXT NOT NULL,
  updated_ms INTEGER NOT NULL
, checksum INTEGER) WITHOUT ROWID;
"""

CHECKSUM_GUARDS = """
DROP TRIGGER batches_are_immutable;
CREATE TRIGGER batches_are_immutable BEFORE UPDATE OF partition_id, base_offset, last_offset, min_timestamp,
  max_timestamp, timestamp_type, appended_ms, producer_id, producer_epoch, base_sequence, transactional, control,
  compression, leader_epoch, size_bytes, bytes_before, removed_events, delete_horizon_ms ON batches
WHEN OLD.last_offset >= (SELECT cleaner_offset FROM partitions WHERE id = OLD.partition_id) BEGIN
  SELECT RAISE(ABORT, 'record batches are immutable');
END;
DROP TRIGGER ended_transactions_are_immutable;
CREATE TRIGGER ended_transactions_are_immutable BEFORE UPDATE OF partition_id, producer_id, first_offset, last_offset,
  aborted ON log_transactions WHEN OLD.last_offset IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'a transaction that was committed or aborted stays so');
END;
DROP TRIGGER commits_are_immutable;
CREATE TRIGGER commits_are_immutable BEFORE UPDATE OF id, group_id, topic, partition, offset, metadata, committed_ms,
  generation, member_id ON commits BEGIN
  SELECT RAISE(ABORT, 'the history of commits is immutable: commit again instead');
END;
"""

DROP_HISTORY_GUARDS = """
DROP TRIGGER rebalances_are_immutable;
DROP TRIGGER activity_is_immutable;
"""
HISTORY_GUARDS = """
CREATE TRIGGER rebalances_are_immutable BEFORE UPDATE OF id, group_id, generation, started_ms, ended_ms, details,
  members, assignment ON rebalances BEGIN
  SELECT RAISE(ABORT, 'the history of rebalances is immutable');
END;
CREATE TRIGGER activity_is_immutable BEFORE UPDATE OF id, at_ms, kind, topic, partition, group_id, details ON activity
BEGIN
  SELECT RAISE(ABORT, 'what happened is immutable');
END;
"""

SCHEMA_REGISTRY = """
CREATE TABLE schema_contexts(
  context TEXT PRIMARY KEY,
  last_id INTEGER NOT NULL, checksum INTEGER
) WITHOUT ROWID;

CREATE TABLE schemas(
  context TEXT NOT NULL,
  schema_id INTEGER NOT NULL,
  guid TEXT NOT NULL,
  schema_type TEXT NOT NULL,
  schema TEXT NOT NULL,
  metadata TEXT,
  rule_set TEXT,
  registered_ms INTEGER NOT NULL, checksum INTEGER,
  PRIMARY KEY(context, schema_id)
) WITHOUT ROWID;
CREATE INDEX schemas_by_guid ON schemas(guid, context);

CREATE TABLE schema_references(
  context TEXT NOT NULL,
  schema_id INTEGER NOT NULL,
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  subject TEXT NOT NULL,
  version INTEGER NOT NULL,
  target_context TEXT NOT NULL,
  target_subject TEXT NOT NULL, checksum INTEGER,
  PRIMARY KEY(context, schema_id, position)
) WITHOUT ROWID;
CREATE INDEX schema_references_by_target ON schema_references(target_context, target_subject, version);

CREATE TABLE schema_versions(
  context TEXT NOT NULL,
  subject TEXT NOT NULL,
  version INTEGER NOT NULL,
  schema_id INTEGER NOT NULL,
  registered_ms INTEGER NOT NULL,
  deleted INTEGER NOT NULL DEFAULT 0, checksum INTEGER,
  PRIMARY KEY(context, subject, version)
) WITHOUT ROWID;
CREATE INDEX schema_versions_by_id ON schema_versions(context, schema_id);

CREATE TABLE schema_configs(
  context TEXT NOT NULL,
  subject TEXT NOT NULL,
  config TEXT NOT NULL, checksum INTEGER,
  PRIMARY KEY(context, subject)
) WITHOUT ROWID;

CREATE TABLE schema_modes(
  context TEXT NOT NULL,
  subject TEXT NOT NULL,
  mode TEXT NOT NULL, checksum INTEGER,
  PRIMARY KEY(context, subject)
) WITHOUT ROWID;

CREATE TRIGGER schemas_are_immutable BEFORE UPDATE OF context, schema_id, guid, schema_type, schema, metadata, rule_set,
  registered_ms ON schemas BEGIN
  SELECT RAISE(ABORT, 'schemas are immutable: register a new version instead');
END;
CREATE TRIGGER schemas_stay_with_their_versions BEFORE DELETE ON schemas
WHEN EXISTS (SELECT 1 FROM schema_versions v WHERE v.context = OLD.context AND v.schema_id = OLD.schema_id) BEGIN
  SELECT RAISE(ABORT, 'a schema is deleted after its last version');
END;
CREATE TRIGGER schema_references_are_immutable BEFORE UPDATE OF context, schema_id, position, name, subject, version,
  target_context, target_subject ON schema_references BEGIN
  SELECT RAISE(ABORT, 'the references of a schema are immutable: register a new version instead');
END;
CREATE TRIGGER schema_references_stay_with_their_schema BEFORE DELETE ON schema_references
WHEN EXISTS (SELECT 1 FROM schemas s WHERE s.context = OLD.context AND s.schema_id = OLD.schema_id) BEGIN
  SELECT RAISE(ABORT, 'references are deleted after their schema');
END;
CREATE TRIGGER schema_versions_are_immutable BEFORE UPDATE OF context, subject, version, schema_id, registered_ms
  ON schema_versions BEGIN
  SELECT RAISE(ABORT, 'a version of a subject is immutable: register a new one instead');
END;
CREATE TRIGGER schema_versions_stay_deleted BEFORE UPDATE OF deleted ON schema_versions
WHEN NEW.deleted < OLD.deleted BEGIN
  SELECT RAISE(ABORT, 'a version that was soft-deleted stays so: register the schema again');
END;
CREATE TRIGGER schema_ids_never_fall BEFORE UPDATE OF last_id ON schema_contexts WHEN NEW.last_id < OLD.last_id BEGIN
  SELECT RAISE(ABORT, 'schema ids are never assigned twice');
END;
"""

SHARE_GROUPS = """
CREATE TABLE share_partitions(
  group_id TEXT NOT NULL,
  partition_id INTEGER NOT NULL,
  start_offset INTEGER,
  end_offset INTEGER, checksum INTEGER,
  PRIMARY KEY(group_id, partition_id)
) WITHOUT ROWID;

CREATE TABLE share_records(
  group_id TEXT NOT NULL,
  partition_id INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  state TEXT NOT NULL,
  deliveries INTEGER NOT NULL,
  member_id TEXT NOT NULL,
  acquired_ms INTEGER NOT NULL,
  locked_until_ms INTEGER, checksum INTEGER,
  PRIMARY KEY(group_id, partition_id, offset)
) WITHOUT ROWID;
"""

DESERIALIZERS = """
CREATE TABLE deserializers(
  topic TEXT NOT NULL,
  part TEXT NOT NULL,
  format TEXT NOT NULL,
  schema TEXT,
  files TEXT,
  message TEXT,
  updated_ms INTEGER NOT NULL, checksum INTEGER,
  PRIMARY KEY(topic, part)
) WITHOUT ROWID;
"""
