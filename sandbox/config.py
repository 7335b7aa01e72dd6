"""Every setting of a topic and of the broker, as data.

Names, types, defaults and meanings are Kafka's (https://kafka.apache.org/documentation/#topicconfigs and
#brokerconfigs). DescribeConfigs, CreateTopics, the page, the command line and the docs read these two tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.errors import BrokerError
from sandbox.setting import BOOLEAN, INT, INT_MAX, LONG, Setting
from sandbox.topic_settings import TOPIC_SETTINGS

BROKER_SETTINGS = (
    Setting("auto.create.topics.enable", BOOLEAN, "true", "Whether a topic is created on first use."),
    Setting("num.partitions", INT, "1", "The partitions of a topic created without a number.", least=1),
    Setting("default.replication.factor", INT, "1", "The replicas of a topic created without a number.", least=1),
    Setting("delete.topic.enable", BOOLEAN, "true", "Whether topics can be deleted."),
    Setting("message.max.bytes", INT, "1048588", "The largest record batch that is accepted, in bytes.", least=0),
    Setting("socket.request.max.bytes", INT, "104857600", "The largest request that is accepted, in bytes.", least=1),
    Setting("fetch.max.bytes", INT, "57671680", "The largest answer to one Fetch, in bytes.", least=1024),
    Setting("max.incremental.fetch.session.cache.slots", INT, "1000", "How many fetch sessions are kept.", least=0),
    Setting(
        "group.initial.rebalance.delay.ms",
        INT,
        "0",
        "How long an empty group waits for more members, in ms. Kafka's default is 3000; the sandbox does not wait.",
        least=0,
    ),
    Setting("group.min.session.timeout.ms", INT, "6000", "The shortest session timeout allowed, in ms.", least=0),
    Setting("group.max.session.timeout.ms", INT, "1800000", "The longest session timeout allowed, in ms.", least=0),
    Setting("group.max.size", INT, str(INT_MAX), "How many members a group may have.", least=1),
    Setting("offset.metadata.max.bytes", INT, "4096", "The longest metadata of a committed offset, in bytes.", least=0),
    Setting(
        "offsets.retention.minutes", INT, "10080", "How long offsets of a group without members are kept.", least=1
    ),
    Setting("log.retention.check.interval.ms", LONG, "300000", "How often retention is applied, in ms.", least=1),
    Setting("transaction.max.timeout.ms", INT, "900000", "The longest transaction timeout allowed, in ms.", least=1),
    Setting(
        "producer.id.expiration.ms", INT, "86400000", "How long an idle producer id is remembered, in ms.", least=1
    ),
)

TOPIC_SETTING = {setting.name: setting for setting in TOPIC_SETTINGS}
BROKER_SETTING = {setting.name: setting for setting in BROKER_SETTINGS}


def check_topic_setting(name: str, value: str | None) -> str:
    """Return `value` in Kafka's spelling, or raise BrokerError INVALID_CONFIG for an unknown name or a bad value."""
    setting = TOPIC_SETTING.get(name)
    if setting is None:
        raise BrokerError("INVALID_CONFIG", f"Unknown topic config name: {name}")
    if value is None:
        raise BrokerError("INVALID_CONFIG", f"Null value not supported for topic configs: {name}")
    return setting.check(value)


@dataclass(slots=True)
class BrokerConfig:
    """The broker's settings: Kafka's defaults, and what was set otherwise.

    Args:
        overrides: name to value as text; checked, BrokerError INVALID_CONFIG for a name or value that is not valid.
    """

    overrides: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.overrides.items():
            if name not in BROKER_SETTING:
                raise BrokerError("INVALID_CONFIG", f"Unknown broker config name: {name}")
            self.overrides[name] = BROKER_SETTING[name].check(value)

    def get(self, name: str) -> str:
        """The value in effect, as text."""
        return self.overrides.get(name) or BROKER_SETTING[name].default or ""

    def number(self, name: str) -> int:
        """The value in effect of a setting that is a number."""
        return int(self.get(name))

    def flag(self, name: str) -> bool:
        """The value in effect of a setting that is true or false."""
        return self.get(name) == "true"


def topic_value(name: str, overrides: Mapping[str, str], broker: BrokerConfig) -> str:
    """The value in effect of a topic setting: the topic's own, else the broker's, else Kafka's default."""
    if name in overrides:
        return overrides[name]
    setting = TOPIC_SETTING[name]
    if setting.broker_name is not None and setting.broker_name in broker.overrides:
        return broker.overrides[setting.broker_name]
    return setting.default or ""
