"""The settings of groups and of client metrics subscriptions, and the broker settings that topics get defaults from.

Names, types and defaults are Kafka's (https://kafka.apache.org/documentation/#groupconfigs, #brokerconfigs, KIP-714).
"""

from sandbox.kafka.setting import BOOLEAN, DOUBLE, INT, LIST, LONG, STRING, Setting
from sandbox.kafka.topic_settings import TOPIC_SETTINGS

GROUP_SETTINGS = (
    Setting(
        "consumer.session.timeout.ms",
        INT,
        "45000",
        "How long a member may be silent, in ms.",
        broker_name="group.consumer.session.timeout.ms",
        least=1,
    ),
    Setting(
        "consumer.heartbeat.interval.ms",
        INT,
        "5000",
        "How often a member shall heartbeat, in ms.",
        broker_name="group.consumer.heartbeat.interval.ms",
        least=1,
    ),
    Setting("share.session.timeout.ms", INT, "45000", "The same for share groups.", least=1, in_effect=False),
    Setting("share.heartbeat.interval.ms", INT, "5000", "The same for share groups.", least=1, in_effect=False),
    Setting(
        "share.record.lock.duration.ms",
        INT,
        "30000",
        "How long a share group's member keeps an event, in ms.",
        least=1000,
        in_effect=False,
    ),
    Setting("share.auto.offset.reset", STRING, "latest", "Where a new share group begins.", in_effect=False),
    Setting(
        "share.isolation.level",
        STRING,
        "read_uncommitted",
        "Which events a share group reads.",
        choices=("read_uncommitted", "read_committed"),
        in_effect=False,
    ),
    Setting("streams.session.timeout.ms", INT, "45000", "The same for streams groups.", least=1, in_effect=False),
    Setting("streams.heartbeat.interval.ms", INT, "5000", "The same for streams groups.", least=1, in_effect=False),
    Setting("streams.num.standby.replicas", INT, "0", "The standby replicas of a task.", least=0, in_effect=False),
)

CLIENT_METRICS_SETTINGS = (
    Setting(
        "interval.ms",
        INT,
        "300000",
        "How often a client pushes its metrics, in ms. The sandbox asks no client for any.",
        least=100,
        most=3600000,
        in_effect=False,
    ),
    Setting("match", LIST, "", "Which clients push metrics.", in_effect=False),
    Setting("metrics", LIST, "", "Which metrics they push.", in_effect=False),
)

NO_DEFAULT = {"log.retention.ms", "log.roll.ms", "log.roll.jitter.ms", "log.flush.interval.ms"}
"""Broker settings without a default of their own: another one with a larger unit gives it."""

TOPIC_DEFAULTS = tuple(
    Setting(
        setting.broker_name,
        setting.type,
        None if setting.broker_name in NO_DEFAULT else setting.default,
        setting.text,
        least=setting.least,
        most=setting.most,
        choices=setting.choices,
        in_effect=setting.in_effect,
        dynamic=True,
    )
    for setting in TOPIC_SETTINGS
    if setting.broker_name is not None
)

LARGER_UNITS = {
    "log.retention.ms": (("log.retention.minutes", 60_000), ("log.retention.hours", 3_600_000)),
    "log.roll.ms": (("log.roll.hours", 3_600_000),),
    "log.roll.jitter.ms": (("log.roll.jitter.hours", 3_600_000),),
    "log.flush.interval.ms": (("log.flush.scheduler.interval.ms", 1),),
}
"""Where a setting is not set, one of these is looked at: its name, and how many ms its unit has."""

OTHER_BROKER_SETTINGS = (
    Setting("log.retention.hours", INT, "168", "How long an event is kept, in hours."),
    Setting("log.retention.minutes", INT, None, "How long an event is kept, in minutes."),
    Setting("log.roll.hours", INT, "168", "The age at which a segment is rolled, in hours.", least=1, in_effect=False),
    Setting("log.roll.jitter.hours", INT, "0", "Random time taken off log.roll.hours.", least=0, in_effect=False),
    Setting(
        "log.flush.scheduler.interval.ms",
        LONG,
        "9223372036854775807",
        "How often it is looked for what must be synced to disk, in ms.",
        in_effect=False,
    ),
    Setting("log.cleaner.enable", BOOLEAN, "true", "Whether logs are compacted.", in_effect=False),
    Setting("log.cleaner.threads", INT, "1", "How many threads compact.", least=0, in_effect=False, dynamic=True),
    Setting(
        "log.cleaner.dedupe.buffer.size",
        LONG,
        "134217728",
        "The memory that compaction may use for keys, in bytes.",
        in_effect=False,
        dynamic=True,
    ),
    Setting(
        "log.cleaner.io.max.bytes.per.second",
        DOUBLE,
        "1.7976931348623157E308",
        "How fast compaction may read and write.",
        in_effect=False,
        dynamic=True,
    ),
    Setting(
        "max.request.partition.size.limit", INT, "2000", "How many partitions one answer describes at most.", least=1
    ),
    Setting("node.id", INT, None, "The id of this broker.", in_effect=False),
    Setting("broker.id", INT, "-1", "The id of this broker.", in_effect=False),
    Setting("broker.rack", STRING, None, "The rack of this broker.", in_effect=False),
    Setting("log.dirs", STRING, None, "Where the logs are: the sandbox file.", in_effect=False),
    Setting("listeners", STRING, "PLAINTEXT://:9092", "Where clients connect.", in_effect=False, dynamic=True),
    Setting("advertised.listeners", STRING, None, "Which addresses clients are told.", in_effect=False),
    Setting("num.io.threads", INT, "8", "How many threads handle requests.", least=1, in_effect=False, dynamic=True),
    Setting("num.network.threads", INT, "3", "How many threads read requests.", least=1, in_effect=False, dynamic=True),
    Setting("background.threads", INT, "10", "How many threads do other work.", least=1, in_effect=False, dynamic=True),
    Setting("auto.leader.rebalance.enable", BOOLEAN, "true", "Whether preferred leaders are elected.", in_effect=False),
    Setting("replica.lag.time.max.ms", LONG, "30000", "How far a replica in sync may lag, in ms.", in_effect=False),
    Setting("connections.max.idle.ms", LONG, "600000", "How long a connection may be idle, in ms.", in_effect=False),
    Setting("authorizer.class.name", STRING, "", "The authorizer, of which there is none.", in_effect=False),
    Setting(
        "group.consumer.min.session.timeout.ms",
        INT,
        "45000",
        "The least that consumer.session.timeout.ms of a group may be.",
        least=1,
    ),
    Setting(
        "group.consumer.max.session.timeout.ms",
        INT,
        "60000",
        "The most that consumer.session.timeout.ms of a group may be.",
        least=1,
    ),
    Setting(
        "group.consumer.min.heartbeat.interval.ms",
        INT,
        "5000",
        "The least that consumer.heartbeat.interval.ms of a group may be.",
        least=1,
    ),
    Setting(
        "group.consumer.max.heartbeat.interval.ms",
        INT,
        "15000",
        "The most that consumer.heartbeat.interval.ms of a group may be.",
        least=1,
    ),
)
