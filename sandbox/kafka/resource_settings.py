"""Settings of groups and of client metrics subscriptions, and broker settings that are topics' defaults.

Names, types and defaults are Kafka's (https://kafka.apache.org/documentation/#groupconfigs, #brokerconfigs, KIP-714).
"""

from sandbox.kafka.setting import BOOLEAN, DOUBLE, INT, LIST, LONG, STRING, Setting
from sandbox.kafka.share_settings import SHARE_GROUP_SETTINGS
from sandbox.kafka.topic_settings import TOPIC_SETTINGS

GROUP_SETTINGS = (
    Setting(
        "consumer.assignment.interval.ms",
        INT,
        "1000",
        "Shortest time between two assignments of the group, in ms. The sandbox assigns at once.",
        valid="[0,...]",
        broker_name="group.consumer.assignment.interval.ms",
        in_effect=False,
    ),
    Setting(
        "consumer.heartbeat.interval.ms",
        INT,
        "5000",
        "Time between a member's heartbeats, in ms.",
        valid="[1,...]",
        broker_name="group.consumer.heartbeat.interval.ms",
    ),
    Setting(
        "consumer.session.timeout.ms",
        INT,
        "45000",
        "Time without heartbeats after which a member is removed, in ms.",
        valid="[1,...]",
        broker_name="group.consumer.session.timeout.ms",
    ),
    *SHARE_GROUP_SETTINGS,
    Setting(
        "streams.assignment.interval.ms",
        INT,
        "1000",
        "Shortest time between two assignments of a streams group, in ms.",
        valid="[0,...]",
        broker_name="group.streams.assignment.interval.ms",
        in_effect=False,
    ),
    Setting(
        "streams.assignor.name",
        STRING,
        None,
        "Assignor of a streams group; the broker's first one if it is not set.",
        broker_name="group.streams.assignors",
        in_effect=False,
    ),
    Setting(
        "streams.heartbeat.interval.ms",
        INT,
        "5000",
        "Time between heartbeats of a streams group's members, in ms.",
        valid="[1,...]",
        broker_name="group.streams.heartbeat.interval.ms",
        in_effect=False,
    ),
    Setting(
        "streams.initial.rebalance.delay.ms",
        INT,
        "3000",
        "Time for which a new streams group waits for more members, in ms.",
        valid="[0,...]",
        broker_name="group.streams.initial.rebalance.delay.ms",
        in_effect=False,
    ),
    Setting(
        "streams.num.standby.replicas",
        INT,
        "0",
        "Standby replicas of each task of a streams group.",
        valid="[0,...]",
        broker_name="group.streams.num.standby.replicas",
        in_effect=False,
    ),
    Setting(
        "streams.rack.aware.assignment.tags",
        LIST,
        "",
        "Client tags over which standby replicas are spread.",
        broker_name="group.streams.rack.aware.assignment.tags",
        in_effect=False,
    ),
    Setting(
        "streams.session.timeout.ms",
        INT,
        "45000",
        "Time without heartbeats after which a member of a streams group is removed, in ms.",
        valid="[1,...]",
        broker_name="group.streams.session.timeout.ms",
        in_effect=False,
    ),
)

CLIENT_METRICS_SETTINGS = (
    Setting(
        "interval.ms",
        INT,
        "300000",
        "How often a client pushes its metrics, in ms. The sandbox asks no client for any.",
        in_effect=False,
    ),
    Setting("match", LIST, "", "Which clients push metrics.", in_effect=False),
    Setting(
        "metrics",
        LIST,
        "",
        "Prefixes of the names of the metrics that are pushed; empty for none, * for all.",
        in_effect=False,
    ),
)

NO_DEFAULT = {"log.retention.ms", "log.roll.ms", "log.roll.jitter.ms", "log.flush.interval.ms"}
"""Broker settings without their own default or range: a setting with a larger unit provides the default."""

TOPIC_DEFAULTS = tuple(
    Setting(
        setting.broker_name,
        setting.type,
        None if setting.broker_name in NO_DEFAULT else setting.default,
        setting.text,
        valid="" if setting.broker_name in NO_DEFAULT else setting.valid,
        limited_to=setting.valid if setting.broker_name in NO_DEFAULT else "",
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
"""The settings that apply if a setting is not set: name, and number of ms in its unit."""

OTHER_BROKER_SETTINGS = (
    Setting("log.retention.hours", INT, "168", "How long an event is kept, in hours."),
    Setting("log.retention.minutes", INT, None, "How long an event is kept, in minutes."),
    Setting(
        "log.roll.hours",
        INT,
        "168",
        "The age at which a segment is rolled, in hours.",
        valid="[1,...]",
        in_effect=False,
    ),
    Setting(
        "log.roll.jitter.hours", INT, "0", "Random time taken off log.roll.hours.", valid="[0,...]", in_effect=False
    ),
    Setting(
        "log.flush.scheduler.interval.ms",
        LONG,
        "9223372036854775807",
        "Interval at which the broker checks whether logs must be synced to disk, in ms.",
        in_effect=False,
    ),
    Setting("log.cleaner.enable", BOOLEAN, "true", "Whether logs are compacted.", in_effect=False),
    Setting(
        "log.cleaner.threads", INT, "1", "How many threads compact.", valid="[0,...]", in_effect=False, dynamic=True
    ),
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
        "max.request.partition.size.limit",
        INT,
        "2000",
        "Most partitions that one answer describes.",
        valid="[1,...]",
    ),
    Setting("node.id", INT, None, "The id of this broker.", valid="[0,...]", in_effect=False),
    Setting("broker.id", INT, "-1", "The id of this broker.", in_effect=False),
    Setting("broker.rack", STRING, None, "The rack of this broker.", in_effect=False),
    Setting("log.dirs", LIST, None, "Where the logs are: the sandbox file.", in_effect=False),
    Setting("listeners", LIST, "PLAINTEXT://:9092", "Where clients connect.", in_effect=False, dynamic=True),
    Setting("advertised.listeners", LIST, None, "Addresses that clients are given.", in_effect=False),
    Setting(
        "num.io.threads", INT, "8", "How many threads handle requests.", valid="[1,...]", in_effect=False, dynamic=True
    ),
    Setting(
        "num.network.threads",
        INT,
        "3",
        "How many threads read requests.",
        valid="[1,...]",
        in_effect=False,
        dynamic=True,
    ),
    Setting(
        "background.threads",
        INT,
        "10",
        "How many threads do other work.",
        valid="[1,...]",
        in_effect=False,
        dynamic=True,
    ),
    Setting("auto.leader.rebalance.enable", BOOLEAN, "true", "Whether preferred leaders are elected.", in_effect=False),
    Setting(
        "replica.lag.time.max.ms",
        LONG,
        "30000",
        "Longest time for which an in-sync replica may lag, in ms.",
        in_effect=False,
    ),
    Setting("connections.max.idle.ms", LONG, "600000", "How long a connection may be idle, in ms.", in_effect=False),
    Setting(
        "authorizer.class.name",
        STRING,
        "",
        "Class of the authorizer. The sandbox has none.",
        valid="non-null string",
        in_effect=False,
    ),
    Setting(
        "group.consumer.min.session.timeout.ms",
        INT,
        "45000",
        "The least that consumer.session.timeout.ms of a group may be.",
        valid="[1,...]",
    ),
    Setting(
        "group.consumer.max.session.timeout.ms",
        INT,
        "60000",
        "The most that consumer.session.timeout.ms of a group may be.",
        valid="[1,...]",
    ),
    Setting(
        "group.consumer.min.heartbeat.interval.ms",
        INT,
        "5000",
        "The least that consumer.heartbeat.interval.ms of a group may be.",
        valid="[1,...]",
    ),
    Setting(
        "group.consumer.max.heartbeat.interval.ms",
        INT,
        "15000",
        "The most that consumer.heartbeat.interval.ms of a group may be.",
        valid="[1,...]",
    ),
)
