"""Alerts of groups: their thresholds, what fires now, and the webhook. Forms of the page, and JSON for programs."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError
from sandbox.model.alerts import FiringAlert, GroupAlert
from sandbox.model.times import duration, duration_in_ms
from sandbox.web.groups.one_group import back, integer
from sandbox.web.notices import Notice
from sandbox.web.responses import Interest, backend, data, is_live, overview, page, see

blueprint = Blueprint("groups_alerts", __name__)

Fields = Mapping[str, Any]


def _fields() -> Fields:
    if not request.path.endswith(".json"):
        return request.form
    found = request.get_json(silent=True)
    if not isinstance(found, dict):
        raise BrokerError("INVALID_REQUEST", "The body must be one JSON object, sent as application/json.")
    return found


def _typed(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return "" if value is None else str(value).strip()


def _set(group: str, fields: Fields) -> str:
    """Set or remove the thresholds of a group, and return what was done."""
    lag, age = _typed(fields, "lag").replace(",", ""), _typed(fields, "age")
    if not lag and not age:
        there = backend().alerts.remove(group)
        return f"the alert of {group} is removed" if there else f"{group} has no alert"
    try:
        age_ms = duration_in_ms(age) if age else None
    except ValueError as error:
        raise BrokerError("INVALID_REQUEST", str(error)) from None
    alert = backend().alerts.set(group, lag=integer(lag, "the lag") if lag else None, age_ms=age_ms)
    return f"{group} has an alert: {threshold_text(alert)}"


def threshold_text(alert: GroupAlert) -> str:
    """Return the thresholds of an alert in words."""
    parts = [] if alert.lag is None else [f"lag above {alert.lag:,}"]
    if alert.age_ms is not None:
        parts.append(f"oldest unread event older than {duration(alert.age_ms)}")
    return " or ".join(parts)


def _firing_json(one: FiringAlert) -> dict[str, Any]:
    return {**asdict(one), "text": one.text}


def _everything() -> dict[str, Any]:
    alerts = backend().alerts
    return {
        "as_of_ms": overview().as_of_ms,
        "alerts": [asdict(one) for one in alerts.list()],
        "firing": [_firing_json(one) for one in alerts.firing()],
        "webhook": alerts.webhook,
        "webhook_error": alerts.webhook_error,
    }


@blueprint.get("/groups/~alerts.json")
def index_json() -> Response:
    """The alerts, what fires, and the webhook, as JSON."""
    return data(_everything())


@blueprint.get("/groups/~alerts")
def index() -> Response:
    """The alerts, what fires, and the webhook."""
    return _show()


def _show(error: str | None = None, typed: str | None = None) -> Response:
    alerts = backend().alerts
    firing: dict[str, list[FiringAlert]] = {}
    for one in alerts.firing():
        firing.setdefault(one.group, []).append(one)
    return page(
        "groups/alerts",
        Interest(frozenset(), frozenset(), 2),
        400 if error else 200,
        alerts=alerts.list(),
        known=[] if is_live() else [one.group for one in backend().group_summaries()],
        firing=firing,
        threshold_text=threshold_text,
        webhook=typed if typed is not None else alerts.webhook,
        webhook_host=urlsplit(alerts.webhook).hostname if alerts.webhook else None,
        webhook_error=alerts.webhook_error,
        error=error,
    )


@blueprint.post("/groups/<group>/alert")
@blueprint.post("/group/alert")
def change(group: str | None = None) -> AnyResponse:
    """Set or remove the alert of a group."""
    name = group if group is not None else request.args.get("id", request.form.get("group", "").strip())
    try:
        said = _set(name, request.form)
        notice = Notice(said)
    except BrokerError as error:
        notice = Notice(refused=error.detail)
    return see("/groups/~alerts", notice) if request.form.get("from") == "alerts" else back(name, notice)


@blueprint.post("/groups/~alerts.json")
def change_data() -> Response:
    """Set or remove the alert of a group (`group`, `lag`, `age`), or set the webhook (`webhook`, "" for none)."""
    fields = _fields()
    said = _set_webhook(_typed(fields, "webhook")) if "webhook" in fields else _set(_typed(fields, "group"), fields)
    return data({"message": said, **_everything()})


def _set_webhook(url: str) -> str:
    backend().alerts.set_webhook(url or None)
    return f"alerts are posted to {urlsplit(url).hostname}" if url else "alerts are not posted anywhere"


@blueprint.post("/groups/~alerts")
def webhook() -> AnyResponse:
    """Set the webhook."""
    url = request.form.get("webhook", "").strip()
    try:
        said = _set_webhook(url)
    except BrokerError as error:
        return _show(error.detail, url)
    return see("/groups/~alerts", Notice(said))
