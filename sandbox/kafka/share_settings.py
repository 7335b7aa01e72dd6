"""Settings of share groups (KIP-932) and of their dead-letter topics (KIP-1191)."""

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.setting import BOOLEAN, INT, STRING, Setting, iso_duration

OFFSET_RESET = "share.auto.offset.reset"
BY_DURATION = "by_duration:"

SHARE_GROUP_SETTINGS = (
    Setting(
        "errors.deadletterqueue.copy.record.enable",
        BOOLEAN,
        "false",
        "Whether the dead-letter topic of a share group gets key and value of the record.",
    ),
    Setting("errors.deadletterqueue.topic.name", STRING, "", "Dead-letter topic of a share group."),
    Setting(
        "share.assignment.interval.ms",
        INT,
        "1000",
        "Shortest time between two assignments of a share group, in ms.",
        valid="[0,...]",
        broker_name="group.share.assignment.interval.ms",
        in_effect=False,
    ),
    Setting(
        "share.auto.offset.reset",
        STRING,
        "latest",
        "Where a new share group starts: earliest, latest, or by_duration.",
        valid="[latest, earliest, by_duration:PnDTnHnMn.nS]",
    ),
    Setting(
        "share.delivery.count.limit",
        INT,
        "5",
        "Most delivery attempts of a record in a share group.",
        valid="[2,...]",
        broker_name="group.share.delivery.count.limit",
    ),
    Setting(
        "share.heartbeat.interval.ms",
        INT,
        "5000",
        "Time between heartbeats of a share group's members, in ms.",
        valid="[1,...]",
        broker_name="group.share.heartbeat.interval.ms",
    ),
    Setting(
        "share.isolation.level",
        STRING,
        "read_uncommitted",
        "Whether a share group reads records of open and aborted transactions.",
        valid="[read_committed, read_uncommitted]",
    ),
    Setting(
        "share.partition.max.record.locks",
        INT,
        "2000",
        "Most records of a partition that a share group may hold at a time.",
        valid="[100,...]",
        broker_name="group.share.partition.max.record.locks",
    ),
    Setting(
        "share.record.lock.duration.ms",
        INT,
        "30000",
        "Time for which a member of a share group holds a record, in ms.",
        valid="[1000,...]",
        broker_name="group.share.record.lock.duration.ms",
    ),
    Setting(
        "share.renew.acknowledge.enable",
        BOOLEAN,
        "true",
        "Whether a member of a share group may prolong its hold of a record.",
    ),
    Setting(
        "share.session.timeout.ms",
        INT,
        "45000",
        "Time without heartbeats after which a member of a share group is removed, in ms.",
        valid="[1,...]",
        broker_name="group.share.session.timeout.ms",
    ),
)
"""The settings of one group."""

SHARE_BROKER_SETTINGS = (
    Setting(
        "errors.deadletterqueue.auto.create.topics.enable",
        BOOLEAN,
        "false",
        "Whether the dead-letter topic of a share group is created automatically.",
        dynamic=True,
    ),
    Setting(
        "errors.deadletterqueue.topic.name.prefix",
        STRING,
        "dlq.",
        "Prefix that the name of a share group's dead-letter topic must have.",
        dynamic=True,
    ),
    Setting(
        "group.share.delivery.count.limit",
        INT,
        "5",
        "Most delivery attempts of a record in a share group.",
        valid="[2,...,10]",
    ),
    Setting(
        "group.share.heartbeat.interval.ms",
        INT,
        "5000",
        "Heartbeat interval of members of share groups, in ms.",
        valid="[1,...]",
    ),
    Setting(
        "group.share.max.delivery.count.limit",
        INT,
        "10",
        "Largest share.delivery.count.limit that a group may have.",
        valid="[5,...,25]",
    ),
    Setting(
        "group.share.max.heartbeat.interval.ms",
        INT,
        "15000",
        "Largest share.heartbeat.interval.ms that a group may have.",
        valid="[1,...]",
    ),
    Setting(
        "group.share.max.partition.max.record.locks",
        INT,
        "4000",
        "Largest share.partition.max.record.locks that a group may have.",
        valid="[2000,...,10000]",
    ),
    Setting(
        "group.share.max.record.lock.duration.ms",
        INT,
        "60000",
        "Largest share.record.lock.duration.ms that a group may have.",
        valid="[30000,...,3600000]",
    ),
    Setting(
        "group.share.max.session.timeout.ms",
        INT,
        "60000",
        "Largest share.session.timeout.ms that a group may have.",
        valid="[1,...]",
    ),
    Setting(
        "group.share.max.share.sessions",
        INT,
        "2000",
        "Most share sessions per broker.",
        valid="[1,...]",
    ),
    Setting(
        "group.share.max.size",
        INT,
        "200",
        "Most members of a share group.",
        valid="[1,...,1000]",
    ),
    Setting(
        "group.share.min.delivery.count.limit",
        INT,
        "2",
        "Smallest share.delivery.count.limit that a group may have.",
        valid="[2,...,5]",
    ),
    Setting(
        "group.share.min.heartbeat.interval.ms",
        INT,
        "5000",
        "Smallest share.heartbeat.interval.ms that a group may have.",
        valid="[1,...]",
    ),
    Setting(
        "group.share.min.partition.max.record.locks",
        INT,
        "100",
        "Smallest share.partition.max.record.locks that a group may have.",
        valid="[100,...,2000]",
    ),
    Setting(
        "group.share.min.record.lock.duration.ms",
        INT,
        "15000",
        "Smallest share.record.lock.duration.ms that a group may have.",
        valid="[1000,...,30000]",
    ),
    Setting(
        "group.share.min.session.timeout.ms",
        INT,
        "45000",
        "Smallest share.session.timeout.ms that a group may have.",
        valid="[1,...]",
    ),
    Setting(
        "group.share.partition.max.record.locks",
        INT,
        "2000",
        "Most records of a partition that a share group may hold at a time.",
        valid="[100,...,10000]",
    ),
    Setting(
        "group.share.record.lock.duration.ms",
        INT,
        "30000",
        "Time for which a member of a share group holds a record, in ms.",
        valid="[1000,...,3600000]",
    ),
    Setting(
        "group.share.session.timeout.ms",
        INT,
        "45000",
        "Time without heartbeats after which a member of a share group is removed, in ms.",
        valid="[1,...]",
    ),
)
"""The broker's defaults and limits for them."""


def check_share_setting(name: str, value: str) -> None:
    """Check what a setting's notation of valid values doesn't express. Raises BrokerError INVALID_CONFIG."""
    if name != OFFSET_RESET or value in ("earliest", "latest"):
        return
    if value.startswith(BY_DURATION):
        try:
            iso_duration(value.removeprefix(BY_DURATION))
        except ValueError:
            pass
        else:
            return
    raise BrokerError(
        "INVALID_CONFIG",
        f"Invalid value {value} for configuration {name}: Invalid value `{value}` for configuration {name}. The value "
        "must be either 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS.>'.",
    )
