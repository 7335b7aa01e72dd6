"""Settings that can be altered while the broker runs, except topic settings: brokers, groups and client metrics.

As in Kafka, only some broker settings can be altered (KIP-226), an unknown broker setting is stored unchecked, and a
group or a client metrics subscription exists once it has settings.
"""

import re
from collections.abc import Iterable, Mapping

from sandbox.broker.logs.topic import Topic
from sandbox.kafka.broker_config import (
    BROKER,
    BROKER_SETTING,
    CLIENT_METRICS,
    CLUSTER_WIDE,
    GROUP,
    GROUP_SETTING,
    BrokerConfig,
)
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.resource_settings import CLIENT_METRICS_SETTINGS
from sandbox.kafka.setting import Setting
from sandbox.kafka.share_settings import check_share_setting
from sandbox.storage import resources
from sandbox.storage.file.database import Database

CLIENT_METRICS_SETTING = {setting.name: setting for setting in CLIENT_METRICS_SETTINGS}
MIN_INSYNC_REPLICAS = "min.insync.replicas"
GROUP_FEATURES = {"streams.": "streams"}
BOUNDED = ("consumer", "share")
"""Prefixes of group settings for which the broker has limits."""
"""Unsupported group types, by the prefixes of their settings."""
INTERVAL_MS = (100, 3_600_000)
CLIENT_MATCHES = (
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
)


def _check_min_insync_replicas(name: str, changes: Mapping[str, str | None], *, replace: bool) -> None:
    """With eligible leader replicas (KIP-966), the setting has one cluster-wide value, which is always set."""
    if name != CLUSTER_WIDE and MIN_INSYNC_REPLICAS in changes:
        raise BrokerError(
            "INVALID_CONFIG", f"Broker-level {MIN_INSYNC_REPLICAS} cannot be altered while ELR is enabled."
        )
    removed = replace if MIN_INSYNC_REPLICAS not in changes else changes[MIN_INSYNC_REPLICAS] is None
    if name == CLUSTER_WIDE and removed:
        raise BrokerError(
            "INVALID_CONFIG", f"Cluster-level {MIN_INSYNC_REPLICAS} cannot be removed while ELR is enabled."
        )


class Resources:
    """The altered settings.

    Args:
        database: the file that stores them.
        config: the broker's settings, through which altered settings take effect.
        topics: every topic by name; their defaults may change.
        brokers: the ids of the brokers.
    """

    def __init__(
        self, database: Database, config: BrokerConfig, topics: Mapping[str, Topic], brokers: Iterable[int]
    ) -> None:
        self._database = database
        self._config = config
        self._topics = topics
        self._brokers = {str(broker) for broker in brokers}
        self.reload()

    def reload(self) -> None:
        """Reload the settings from the rows."""
        self._set(resources.load_settings(self._database))

    def _set(self, found: Mapping[tuple[str, str], Mapping[str, str]]) -> None:
        self._config.set_resources(found)
        for topic in self._topics.values():
            topic.set(topic.settings)

    def settings(self, kind: str, name: str) -> dict[str, str]:
        """Return the altered settings of a resource."""
        return dict(self._config.resources.get((kind, name), {}))

    def cluster_wide(self) -> dict[str, str]:
        """Return the settings of all brokers: the altered ones, and `min.insync.replicas`, which is always set."""
        known = BROKER_SETTING[MIN_INSYNC_REPLICAS].default or ""
        at_start = self._config.overrides.get(MIN_INSYNC_REPLICAS, known)
        return {MIN_INSYNC_REPLICAS: at_start, **self.settings(BROKER, CLUSTER_WIDE)}

    def names(self, kind: str) -> list[str]:
        """Return the names of a type's resources that have settings, without the cluster-wide default."""
        return sorted(name for found, name in self._config.resources if found == kind and name != CLUSTER_WIDE)

    def alter(
        self,
        kind: str,
        name: str,
        changes: Mapping[str, str | None],
        *,
        replace: bool = False,
        validate_only: bool = False,
    ) -> None:
        """Set settings of a resource; None removes one.

        Args:
            kind: BROKER, GROUP or CLIENT_METRICS of `sandbox.kafka.broker_config`.
            replace: True removes every setting that `changes` doesn't name.

        Raises:
            BrokerError: INVALID_REQUEST, INVALID_CONFIG.
        """
        check = {BROKER: self._check_broker, GROUP: self._check_group, CLIENT_METRICS: _check_client_metrics}[kind]
        settings = {} if replace else self.settings(kind, name)
        check(name, changes)
        if kind == BROKER:
            _check_min_insync_replicas(name, changes, replace=replace)
        for setting, value in changes.items():
            if value is None:
                settings.pop(setting, None)
            else:
                settings[setting] = value
        if validate_only:
            return
        resources.save_settings(self._database, (kind, name), settings)
        self._set({**self._config.resources, (kind, name): settings})

    def _check_broker(self, name: str, changes: Mapping[str, str | None]) -> None:
        if name != CLUSTER_WIDE:
            if not re.fullmatch(r"-?\d+", name):
                raise BrokerError("INVALID_REQUEST", f"Node id must be an integer, but it is: {name}")
            if name not in self._brokers:
                raise BrokerError(
                    "INVALID_REQUEST", f"There is no broker {name}: there are {self._brokers_in_words()}."
                )
        fixed = [one for one in changes if one in BROKER_SETTING and not BROKER_SETTING[one].dynamic]
        if fixed:
            raise BrokerError("INVALID_REQUEST", f"Cannot update these configs dynamically: [{', '.join(fixed)}]")
        for setting, value in changes.items():
            if value is not None and setting in BROKER_SETTING:
                _check(BROKER_SETTING[setting], value)
        single = [one for one in changes if one in BROKER_SETTING and BROKER_SETTING[one].per_broker]
        if single and name == CLUSTER_WIDE:
            raise BrokerError(
                "INVALID_REQUEST",
                "Cannot update these configs at default cluster level, broker id must be specified: "
                f"[{', '.join(single)}]",
            )

    def _brokers_in_words(self) -> str:
        return ", ".join(sorted(self._brokers))

    def _check_group(self, name: str, changes: Mapping[str, str | None]) -> None:
        if not name:
            raise BrokerError("INVALID_REQUEST", "Default group resources are not allowed.")
        for setting, value in changes.items():
            if setting not in GROUP_SETTING:
                raise BrokerError("INVALID_CONFIG", f"Unknown group config name: {setting}")
            if value is not None:
                _check_feature(setting)
                self._check_bounds(setting, GROUP_SETTING[setting].check(value))
                check_share_setting(setting, value)
        after = {**self.settings(GROUP, name), **{key: value for key, value in changes.items() if value is not None}}
        for kind in BOUNDED:
            session, heartbeat = f"{kind}.session.timeout.ms", f"{kind}.heartbeat.interval.ms"
            if self._group_number(after, session) <= self._group_number(after, heartbeat):
                raise BrokerError("INVALID_CONFIG", f"{session} must be greater than {heartbeat}")

    def _group_number(self, settings: Mapping[str, str], name: str) -> int:
        return int(settings.get(name) or self._config.get(GROUP_SETTING[name].broker_name or ""))

    def _check_bounds(self, name: str, value: str) -> None:
        """Check a group's setting against the broker's limits for it."""
        kind, _, what = name.partition(".")
        least, most = f"group.{kind}.min.{what}", f"group.{kind}.max.{what}"
        if kind not in BOUNDED or least not in BROKER_SETTING:
            return
        lowest, highest = self._config.number(least), self._config.number(most)
        if not lowest <= int(value) <= highest:
            raise BrokerError("INVALID_CONFIG", f"{name} must be in the range {lowest} to {highest} inclusive.")


def _check_feature(name: str) -> None:
    """Refuse settings of group types that the sandbox doesn't support; they would have no effect."""
    feature = next((feature for start, feature in GROUP_FEATURES.items() if name.startswith(start)), None)
    if feature is not None:
        raise BrokerError(
            "INVALID_CONFIG",
            f"{name} cannot be set: this broker has no {feature} groups, the {feature}.version feature is 0.",
        )


def _check(setting: Setting, value: str) -> None:
    try:
        setting.check(value)
    except BrokerError as error:
        raise BrokerError("INVALID_REQUEST", error.detail) from error


def _check_client_metrics(name: str, changes: Mapping[str, str | None]) -> None:
    if not name:
        raise BrokerError("INVALID_REQUEST", "Subscription name can't be empty")
    for setting, value in changes.items():
        if setting not in CLIENT_METRICS_SETTING:
            raise BrokerError("INVALID_REQUEST", f"Unknown client metrics configuration: {setting}")
        if value is None:
            continue
        checked = CLIENT_METRICS_SETTING[setting].check(value)
        if setting == "interval.ms":
            _check_interval(int(checked))
        elif setting == "match":
            for pattern in filter(None, checked.split(",")):
                _check_match(pattern)


def _check_interval(interval_ms: int) -> None:
    if not INTERVAL_MS[0] <= interval_ms <= INTERVAL_MS[1]:
        raise BrokerError(
            "INVALID_REQUEST",
            f"Invalid value {interval_ms} for interval.ms, interval must be between 100 and 3600000 (1 hour)",
        )


def _check_match(pattern: str) -> None:
    name, _, expression = pattern.partition("=")
    try:
        known = name.strip() in CLIENT_MATCHES and bool(re.compile(expression))
    except (re.error, OverflowError, RecursionError):
        # Python reports a very large repeat count, and groups that are nested too deeply, in these ways.
        known = False
    if not known:
        raise BrokerError("INVALID_CONFIG", f"Illegal client matching pattern: {pattern}")
