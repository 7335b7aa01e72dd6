"""Topic and broker settings as data.

Names, types, defaults and meanings are Kafka's (https://kafka.apache.org/documentation/#topicconfigs and
#brokerconfigs). DescribeConfigs, CreateTopics, the page, the command line and the docs read these tables.
"""

import json
import os.path
from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.resource_settings import GROUP_SETTINGS, LARGER_UNITS, OTHER_BROKER_SETTINGS, TOPIC_DEFAULTS
from sandbox.kafka.setting import BOOLEAN, INT, INT_MAX, LIST, LONG, STRING, TYPE_NAMES, Setting
from sandbox.kafka.share_settings import SHARE_BROKER_SETTINGS
from sandbox.kafka.topic_settings import TOPIC_SETTINGS

_TYPES = {name: number for number, name in TYPE_NAMES.items()}


def _load() -> tuple[Setting, ...]:
    with open(os.path.join(os.path.dirname(__file__), "idle_broker_settings.json"), encoding="utf-8") as file:
        rows = json.load(file)
    return tuple(
        Setting(name, _TYPES[kind], default, text, valid=valid, in_effect=False, dynamic=dynamic)
        for name, kind, default, valid, dynamic, text in rows
    )


IDLE_BROKER_SETTINGS = _load()


_BROKER_SETTINGS = (
    Setting("auto.create.topics.enable", BOOLEAN, "true", "Whether a topic is created on first use."),
    Setting("num.partitions", INT, "1", "The partitions of a topic created without a number.", valid="[1,...]"),
    Setting(
        "default.replication.factor",
        INT,
        "1",
        "The replicas of a topic created without a number.",
        limited_to="[1,...]",
    ),
    Setting("delete.topic.enable", BOOLEAN, "true", "Whether topics can be deleted."),
    Setting(
        "max.connections",
        INT,
        str(INT_MAX),
        "How many connections the Kafka ports take; the sandbox also stays below its limit of open files.",
        valid="[0,...]",
        dynamic=True,
    ),
    Setting(
        "max.connections.per.ip",
        INT,
        str(INT_MAX),
        "How many connections the Kafka ports take from one address.",
        valid="[0,...]",
        dynamic=True,
    ),
    Setting(
        "connection.failed.authentication.delay.ms",
        INT,
        "100",
        "How long the answer to a failed log-in is delayed, in ms.",
        valid="[0,...]",
    ),
    Setting(
        "socket.request.max.bytes", INT, "104857600", "The largest request that is accepted, in bytes.", valid="[1,...]"
    ),
    Setting("fetch.max.bytes", INT, "57671680", "The largest answer to one Fetch, in bytes.", valid="[1024,...]"),
    Setting(
        "max.incremental.fetch.session.cache.slots", INT, "1000", "How many fetch sessions are kept.", valid="[0,...]"
    ),
    Setting(
        "group.initial.rebalance.delay.ms",
        INT,
        "0",
        "How long an empty group waits for more members, in ms. Kafka's default is 3000; the sandbox does not wait.",
    ),
    Setting("group.min.session.timeout.ms", INT, "6000", "The shortest session timeout allowed, in ms."),
    Setting("group.max.session.timeout.ms", INT, "1800000", "The longest session timeout allowed, in ms."),
    Setting("group.max.size", INT, str(INT_MAX), "Most members of a group of the classic protocol.", valid="[1,...]"),
    Setting(
        "group.consumer.session.timeout.ms",
        INT,
        "45000",
        "Time without heartbeats after which a member of the consumer protocol is removed, in ms.",
        valid="[1,...]",
    ),
    Setting(
        "group.consumer.heartbeat.interval.ms",
        INT,
        "5000",
        "Time between heartbeats of a member of the consumer protocol, in ms. The answers carry its assignment.",
        valid="[1,...]",
    ),
    Setting(
        "group.consumer.max.size",
        INT,
        str(INT_MAX),
        "Most members of a group of the consumer protocol.",
        valid="[1,...]",
    ),
    Setting(
        "group.consumer.assignors",
        LIST,
        "uniform,range",
        "The assignors of the consumer protocol; the first is the default.",
        limited_to="[uniform, range]",
    ),
    Setting(
        "group.consumer.migration.policy",
        STRING,
        "bidirectional",
        "Which conversions between classic and consumer groups with members are allowed.",
        valid="(case insensitive) [DISABLED, DOWNGRADE, UPGRADE, BIDIRECTIONAL]",
    ),
    Setting(
        "group.coordinator.rebalance.protocols",
        LIST,
        "classic,consumer",
        "Group protocols that are enabled; classic always is. Kafka's default also has streams, which is not there.",
        valid="[consumer, classic, share, streams]",
    ),
    Setting("offset.metadata.max.bytes", INT, "4096", "The longest metadata of a committed offset, in bytes."),
    Setting(
        "offsets.retention.minutes",
        INT,
        "10080",
        "Minutes for which the offsets of a group without members are kept.",
        valid="[1,...]",
    ),
    Setting(
        "log.retention.check.interval.ms", LONG, "300000", "How often retention is applied, in ms.", valid="[1,...]"
    ),
    Setting(
        "log.cleaner.backoff.ms",
        LONG,
        "15000",
        "Interval at which logs are checked for compaction, in ms.",
        valid="[0,...]",
        dynamic=True,
    ),
    Setting(
        "transaction.max.timeout.ms", INT, "900000", "The longest transaction timeout allowed, in ms.", valid="[1,...]"
    ),
    Setting(
        "transactional.id.expiration.ms",
        INT,
        "604800000",
        "Time after which an unused transactional id expires, in ms.",
        valid="[1,...]",
    ),
    Setting(
        "producer.id.expiration.ms",
        INT,
        "86400000",
        "Time after which an idle producer id expires, in ms.",
        valid="[1,...]",
        dynamic=True,
    ),
)

BROKER_SETTINGS = tuple(
    sorted(
        (*_BROKER_SETTINGS, *TOPIC_DEFAULTS, *OTHER_BROKER_SETTINGS, *SHARE_BROKER_SETTINGS, *IDLE_BROKER_SETTINGS),
        key=lambda setting: setting.name,
    )
)

TOPIC_SETTING = {setting.name: setting for setting in TOPIC_SETTINGS}
BROKER_SETTING = {setting.name: setting for setting in BROKER_SETTINGS}
GROUP_SETTING = {setting.name: setting for setting in GROUP_SETTINGS}

BROKER, GROUP, CLIENT_METRICS = "broker", "group", "client-metrics"
"""The resource types that have settings, besides topics."""
CLUSTER_WIDE = ""
"""The resource name that stands for all brokers."""


def check_topic_setting(name: str, value: str | None) -> str:
    """Return `value` in Kafka's spelling, or raise BrokerError INVALID_CONFIG for an unknown name or a bad value."""
    setting = TOPIC_SETTING.get(name)
    if setting is None:
        raise BrokerError("INVALID_CONFIG", f"Unknown topic config name: {name}")
    if value is None:
        raise BrokerError("INVALID_CONFIG", f"Null value not supported for topic configs: {name}")
    checked = setting.check(value)
    if name == "remote.storage.enable" and checked == "true":
        raise BrokerError(
            "INVALID_CONFIG",
            "Tiered Storage functionality is disabled in the broker. "
            "Topic cannot be configured with remote log storage.",
        )
    return checked


def check_broker_setting(name: str, value: str) -> str:
    """Return `value` in Kafka's spelling, or raise BrokerError INVALID_CONFIG with a hint."""
    setting = BROKER_SETTING.get(name)
    if setting is not None:
        return setting.check(value)
    of_topic = TOPIC_SETTING.get(name)
    if of_topic is not None:
        hint = f" It is a topic's setting; the broker's default for it is {of_topic.broker_name}."
        hint = hint if of_topic.broker_name else " It is a topic's setting."
    else:
        # Imported here, because only invalid settings need it.
        from difflib import get_close_matches

        near = get_close_matches(name, BROKER_SETTING, 1, 0.8)
        hint = f" Did you mean {near[0]}?" if near else ""
    raise BrokerError("INVALID_CONFIG", f"Unknown broker config name: {name}.{hint}")


@dataclass(slots=True)
class BrokerConfig:
    """The broker's settings: Kafka's defaults, overridden at the start and by later alterations.

    Args:
        overrides: name to value as text. Raises BrokerError INVALID_CONFIG for an invalid name or value.

    Attributes:
        resources: settings that were altered at run time: (type, name) of a resource to its settings.
    """

    overrides: dict[str, str] = field(default_factory=dict)
    resources: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    _altered: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.overrides.items():
            self.overrides[name] = check_broker_setting(name, value)

    def set_resources(self, resources: Mapping[tuple[str, str], Mapping[str, str]]) -> None:
        """Replace all settings that were altered at run time.

        All brokers share one file, so a setting that was altered for one broker applies to all.
        """
        self.resources = {place: dict(settings) for place, settings in resources.items() if settings}
        self._altered = dict(self.resources.get((BROKER, CLUSTER_WIDE), {}))
        for (kind, name), settings in sorted(self.resources.items(), reverse=True):
            if kind == BROKER and name != CLUSTER_WIDE:
                self._altered |= settings

    def own(self, name: str) -> str | None:
        """Return the value that was set for a setting, or None if it has its default."""
        altered = self._altered.get(name)
        return self.overrides.get(name) if altered is None else altered

    def get(self, name: str) -> str:
        """Return the effective value, as text."""
        return self.own(name) or BROKER_SETTING[name].default or ""

    def number(self, name: str) -> int:
        """Return the effective value of a numeric setting."""
        return int(self.get(name))

    def flag(self, name: str) -> bool:
        """Return the effective value of a boolean setting."""
        return self.get(name) == "true"

    def group_number(self, group_id: str, name: str) -> int:
        """Return the effective value of a group's numeric setting: the group's, else the broker's."""
        return int(self.group_value(group_id, name))

    def group_value(self, group_id: str, name: str) -> str:
        """Return the effective value of a group's setting, as text: the group's, else the broker's, else Kafka's."""
        own = self.resources.get((GROUP, group_id), {}).get(name)
        setting = GROUP_SETTING[name]
        if own is None and setting.broker_name is not None:
            own = self.get(setting.broker_name)
        return own if own is not None else setting.default or ""

    def topic_default(self, name: str) -> str | None:
        """Return a broker setting's value for topics, also from the setting with a larger unit; None if not set."""
        own = self.own(name)
        for larger, unit_ms in LARGER_UNITS.get(name, ()):
            if own is None:
                own = self.own(larger)
                if own is not None and int(own) >= 0:
                    own = str(int(own) * unit_ms)
        return own


def topic_value(name: str, overrides: Mapping[str, str], broker: BrokerConfig) -> str:
    """Return the effective value of a topic setting: the topic's, else the broker's, else Kafka's default."""
    if name in overrides:
        return overrides[name]
    setting = TOPIC_SETTING[name]
    own = broker.topic_default(setting.broker_name) if setting.broker_name is not None else None
    return own if own is not None else setting.default or ""
