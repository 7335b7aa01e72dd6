"""Alerts of consumer groups, kept in the file, and the webhook's URL, kept beside it.

sandbox.alerts.set("billing", lag=1000, age_ms=300_000)
for alert in sandbox.alerts.firing():
    print(alert.group, alert.text)

While ports are open, the groups are looked at every two seconds. Open pages show what fires. If a webhook is set, each
change is posted to it, at most one per alert and minute. The URL may contain a secret, so it is stored beside the
file: SQL, snapshots, forks and copies of the file don't contain it. A restored snapshot doesn't change the alerts.
"""

import json
import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox.broker.logs.turn import Changes
from sandbox.kafka.errors import BrokerError, SandboxError
from sandbox.model.alerts import (
    ALERTS_MAX,
    ALERTS_SETTING,
    TOO_MANY,
    FiringAlert,
    GroupAlert,
    alerts_from_text,
    alerts_to_text,
    checked_alert,
    firing_alerts,
)
from sandbox.model.groups import GroupSummary
from sandbox.runtime.clock import running_s
from sandbox.runtime.runtime import Runtime
from sandbox.storage.log import topics

if TYPE_CHECKING:
    from sandbox.runtime.webhook import WebhookPoster

EVERY_S = 2.0
POST_AGAIN_S = 60.0
"""The least time between two posts of one alert. If it changes more often, its state after this time is posted."""
FIRING, RESOLVED = "firing", "resolved"

logger = logging.getLogger("sandbox")

Name = tuple[str, str]
"""The group and the figure of an alert."""


class Posted(NamedTuple):
    """The last post of an alert: its state, the monotonic time in seconds, and the alert."""

    state: str
    at_s: float
    alert: FiringAlert


class SandboxAlerts:
    """The alerts of a file.

    Args:
        runtime: the owner of the file.
        summaries: returns all groups.
    """

    def __init__(self, runtime: Runtime, summaries: Callable[[], tuple[GroupSummary, ...]]) -> None:
        self._runtime = runtime
        self._summaries = summaries
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None
        self._firing: tuple[FiringAlert, ...] | None = None
        self._posted: dict[Name, Posted] = {}
        self._looking = threading.Lock()
        self._poster: WebhookPoster | None = None

    def set(self, group: str, *, lag: int | None = None, age_ms: int | None = None) -> GroupAlert:
        """Set the thresholds of a group, which need not exist yet, in place of its earlier ones.

        Args:
            lag: fires above this many offsets, over the partitions with a commit; 0 and up.
            age_ms: fires if the oldest unread event is older; 0 and up.

        Raises:
            BrokerError: INVALID_REQUEST without a threshold, or with one below 0, or with too many alerts.
        """
        alert = checked_alert(group, lag, age_ms)
        with self._lock:
            alerts = {**self._load(), group: alert}
            if len(alerts) > ALERTS_MAX:
                raise BrokerError("INVALID_REQUEST", TOO_MANY)
            self._save(alerts)
        self.look()
        self.watch()
        return alert

    def remove(self, group: str) -> bool:
        """Remove the thresholds of a group. Returns False if it had none."""
        with self._lock:
            alerts = self._load()
            if alerts.pop(group, None) is None:
                return False
            self._save(alerts)
        self.look()
        return True

    def list(self) -> tuple[GroupAlert, ...]:
        """Return the alerts, by group."""
        return tuple(alert for _, alert in sorted(self._load().items()))

    def firing(self) -> tuple[FiringAlert, ...]:
        """Return what is above its threshold: now without ports, else as seen up to two seconds ago."""
        self.watch()
        known = self._firing if self._watcher is not None else None
        return self._look() if known is None else known

    @property
    def webhook(self) -> str | None:
        """The URL that alerts are posted to; None if none is set for this file at this place."""
        try:
            told = json.loads(self._webhook_path().read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(told, dict) or told.get("cluster_id") != self._runtime.broker.cluster_id:
            # Another file was at this place before.
            return None
        url = told.get("url")
        return url if isinstance(url, str) else None

    @property
    def webhook_error(self) -> str | None:
        """Why the last post failed; None if it did not."""
        return self._poster.last_error if self._poster is not None else None

    def set_webhook(self, url: str | None) -> None:
        """Set the URL that alerts are posted to, for this file at this place; None for none.

        Raises:
            BrokerError: INVALID_REQUEST if the URL is refused, KAFKA_STORAGE_ERROR if it cannot be stored.
        """
        self._runtime.check_open()
        self._runtime.check_writable()
        if url is not None:
            from sandbox.runtime.webhook import checked_url

            checked_url(url)
        path = self._webhook_path()
        part = path.with_name(f"{path.name}-part")
        try:
            if url is None:
                path.unlink(missing_ok=True)
            else:
                # Only its owner may read it.
                with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                    json.dump({"url": url, "cluster_id": self._runtime.broker.cluster_id}, file)
                part.replace(path)
        except OSError as error:
            raise BrokerError(
                "KAFKA_STORAGE_ERROR", f"The webhook cannot be stored in {path}: {error.strerror or error}."
            ) from error
        with self._looking:
            # The new receiver knows of no alert.
            self._posted.clear()
        self.watch()

    def _webhook_path(self) -> Path:
        path = self._runtime.database.path
        return path.with_name(f"{path.name}.webhook")

    def _load(self) -> dict[str, GroupAlert]:
        with self._runtime.database.reader() as reader:
            found = topics.load_setting(reader, ALERTS_SETTING)
        try:
            return alerts_from_text(found or "{}")
        except BrokerError:
            # Another program wrote it.
            return {}

    def _save(self, alerts: Mapping[str, GroupAlert]) -> None:
        value, database = alerts_to_text(alerts), self._runtime.database
        self._runtime.call(lambda now_ms: topics.save_file_setting(database, ALERTS_SETTING, value))

    # Watching

    def watch(self) -> None:
        """Look at the groups every two seconds, if ports are open and there are alerts."""
        with self._lock:
            served = self._runtime.kafka_address is not None or self._runtime.web_address is not None
            if self._watcher is None and served and not self._closed.is_set() and self._load():
                self._watcher = threading.Thread(target=self._run, name="alerts", daemon=True)
                self._watcher.start()

    def close(self) -> None:
        """Stop watching, and wait until that has ended."""
        self._closed.set()
        if self._watcher is not None:
            self._watcher.join(EVERY_S)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self.look()
            except SandboxError:
                # The file cannot be read now, or is being closed: look again later.
                pass
            except Exception:
                logger.exception("Alerts could not be checked, and will be again.")
            self._closed.wait(EVERY_S)

    def _look(self) -> tuple[FiringAlert, ...]:
        alerts = self._load()
        return firing_alerts(alerts, self._summaries(), self._runtime.clock()) if alerts else ()

    def look(self) -> None:
        """Check all alerts now. Open pages and the webhook get what has changed."""
        with self._looking:
            found = self._look()
            before, self._firing = self._firing or (), found
            now = {(one.group, one.figure): one for one in found}
            if now.keys() != {(one.group, one.figure) for one in before}:
                broker = self._runtime.broker
                self._runtime.call(lambda now_ms: broker.tell(Changes(cluster=True)), changes=False)
            self._post(now)

    def _post(self, firing: Mapping[Name, FiringAlert]) -> None:
        """Post each alert whose state has changed since its last post, if that was at least a minute ago."""
        now_s = running_s()
        due: dict[Name, Posted] = {}
        for name in sorted(firing.keys() | self._posted.keys()):
            last, alert = self._posted.get(name), firing.get(name)
            if last is not None and now_s - last.at_s < POST_AGAIN_S:
                continue
            if alert is not None and (last is None or last.state == RESOLVED):
                due[name] = Posted(FIRING, now_s, alert)
            elif alert is None and last is not None and last.state == FIRING:
                due[name] = Posted(RESOLVED, now_s, last.alert)
            elif alert is None:
                del self._posted[name]
        url = self.webhook if due else None
        if url is None:
            return
        from sandbox.runtime.webhook import WebhookPoster

        if self._poster is None:
            self._poster = WebhookPoster(self._closed.wait)
        now_ms = self._runtime.clock()
        for name, one in due.items():
            self._posted[name] = one
            self._poster.send(url, _message(one.alert, one.state, now_ms))


def _message(alert: FiringAlert, state: str, now_ms: int) -> dict[str, Any]:
    """Return the posted object. `text` is what Slack and its like show."""
    said = alert.text if state == FIRING else f"{alert.figure} is no longer above its threshold"
    return {
        "state": state,
        "group": alert.group,
        "figure": alert.figure,
        "value": alert.value,
        "threshold": alert.threshold,
        "at_ms": now_ms,
        "text": f"Group {alert.group}: {said}",
    }
