"""Help: differences from Kafka, moving to a real cluster, settings, keys, and diagnostics."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from flask import Blueprint, Response, abort

from sandbox.kafka.broker_config import BROKER_SETTINGS, GROUP_SETTING
from sandbox.kafka.topic_settings import TOPIC_SETTINGS
from sandbox.version import __version__
from sandbox.web.help.documents import DOCUMENTS, document
from sandbox.web.responses import backend, data, overview, page

blueprint = Blueprint("help", __name__)

PACKAGES = ("confluent-kafka", "flask", "uvicorn", "websockets", "a2wsgi", "cramjam")


@blueprint.get("/help")
def index() -> Response:
    """The page: what works as in Kafka, what doesn't, keyboard keys, and how to connect."""
    return page("help/index", documents=DOCUMENTS, diagnostics=_lines(diagnostics()))


@blueprint.get("/help/<name>")
def one(name: str) -> Response:
    """One of the project's documents."""
    if name not in DOCUMENTS:
        abort(404)
    return page("help/document", document=document(name), documents=DOCUMENTS)


@blueprint.get("/help/settings")
def settings() -> Response:
    """Every setting that has an effect here."""
    groups = tuple(GROUP_SETTING.values())
    return page(
        "help/settings",
        documents=DOCUMENTS,
        tables=[
            ("topic", "Settings of a topic", [one for one in TOPIC_SETTINGS if one.in_effect]),
            ("group", "Settings of a group", [one for one in groups if one.in_effect]),
            ("broker", "Settings of the broker", [one for one in BROKER_SETTINGS if one.in_effect]),
        ],
        idle=sum(not one.in_effect for one in (*TOPIC_SETTINGS, *groups, *BROKER_SETTINGS)),
    )


@blueprint.get("/help/diagnostics.json")
def diagnostics_json() -> Response:
    """Diagnostics to attach to a bug report, as JSON."""
    return data(diagnostics())


def diagnostics() -> dict[str, object]:
    """Return versions and counts, without events, topic names, folders or secrets."""
    shown = overview()
    faults = sum(not fault.used_up for fault in backend().faults.list())
    return {
        "sandbox": __version__,
        "python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        **{package: _version(package) for package in PACKAGES},
        "file": Path(shown.file).name if shown.file else None,
        "file_bytes": shown.size_bytes,
        "kafka": shown.kafka,
        "web": shown.web,
        "up_s": max(0, (shown.as_of_ms - shown.started_ms) // 1000),
        "topics": shown.topics,
        "events": shown.events,
        "groups": shown.groups,
        "brokers": len(backend().brokers.list()),
        "clients": len(backend().brokers.clients()),
        "faults": faults,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _lines(found: dict[str, object]) -> str:
    return "".join(f"{name}: {value}\n" for name, value in found.items())
