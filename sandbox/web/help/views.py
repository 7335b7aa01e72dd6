"""Help: differences from Kafka, moving to a real cluster, settings, keys, and diagnostics."""

import platform
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path

from flask import Blueprint, Response, abort
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from sandbox.kafka.broker_config import BROKER_SETTINGS, GROUP_SETTING
from sandbox.kafka.topic_settings import TOPIC_SETTINGS
from sandbox.version import __version__
from sandbox.web.assets import asset_folder
from sandbox.web.responses import backend, data, overview, page

DOCUMENTS = {
    "differences": "What differs from Apache Kafka",
    "protocol": "APIs and versions of the Kafka port",
    "sql": "SQL, JSON values and lag",
    "security": "TLS, log-in and who may connect",
    "proxy": "The page behind nginx, Caddy or another reverse proxy",
    "schemas": "The schema registry: requests, error codes and clients",
    "formats": "Formats and framing: how keys and values are decoded",
    "data": "Data addresses, CSV, and conditions on messages",
}
"""The documents that Help shows, with their subjects."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a document.

    Attributes:
        anchor: its id in the page.
        level: 2 and up.
    """

    anchor: str
    text: str
    level: int


@dataclass(frozen=True, slots=True)
class Document:
    """A rendered document.

    Attributes:
        title: its first heading.
        body: the rest as HTML; HTML in the source is escaped.
        headings: the body's headings, in order.
    """

    name: str
    title: str
    body: Markup
    headings: tuple[Heading, ...]


def anchor_of(text: str) -> str:
    """Return a heading's id in the form that GitHub uses."""
    return re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")


@cache
def document(name: str) -> Document:
    """Return one of `DOCUMENTS`.

    Raises:
        KeyError: no document has this name.
    """
    source = (asset_folder("docs") / f"{name}.md").read_text(encoding="utf-8") if name in DOCUMENTS else None
    if source is None:
        raise KeyError(name)
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    pieces = parser.parse(source)
    title, headings = DOCUMENTS[name], []
    if len(pieces) > 2 and pieces[0].tag == "h1":
        title, pieces = pieces[1].content, pieces[3:]
    for at, piece in enumerate(pieces):
        if piece.type == "heading_open":
            text = re.sub(r"[`*]", "", pieces[at + 1].content)
            piece.attrSet("id", anchor_of(text))
            headings.append(Heading(anchor_of(text), text, int(piece.tag[1:])))
        elif piece.type == "inline":
            _link_here(piece.children or ())
    html = parser.renderer.render(pieces, parser.options, {})
    # A table may be wider than a phone's screen: it scrolls separately, also with the keyboard.
    numbers = count(1)
    opening = '<div class="scroll" tabindex="0" role="region" aria-label="Table {}"><table class="list">'
    html = re.sub("<table>", lambda _: opening.format(next(numbers)), html)
    html = html.replace("</table>", "</table></div>").replace("<th>", '<th scope="col">')
    return Document(name, title, Markup(html), tuple(headings))


def _link_here(pieces: Sequence[Token]) -> None:
    """Point links to other documents at their pages, or at /help if Help does not show them."""
    for piece in pieces:
        target = piece.attrGet("href") if piece.type == "link_open" else None
        if isinstance(target, str) and (found := re.fullmatch(r"(\w+)\.md(#.*)?", target)):
            piece.attrSet("href", f"/help/{found[1]}{found[2] or ''}" if found[1] in DOCUMENTS else "/help")


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
