"""The frame around the pages: search, theme, and the demo's switch."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.broker_config import BROKER_SETTINGS, GROUP_SETTING
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.topic_settings import TOPIC_SETTINGS
from sandbox.web import zone
from sandbox.web.capabilities import changes_nothing, page_reason
from sandbox.web.help.views import DOCUMENTS, document
from sandbox.web.notices import Notice
from sandbox.web.proxied import outer_path, the_proxy
from sandbox.web.responses import backend, by_htmx, data, demo, fragment, group_address, page, see, undo_point

KIND_MAX = 20
LEAST_FOR_HELP = 3
"""The minimum number of characters to search settings and help: shorter texts would match half of them."""
PLACE = re.compile(r"\s*([A-Za-z0-9._-]{1,249})\s*[/: ]\s*(\d{1,9})\s*[/: @]\s*(\d{1,18})\s*")
PAGES = {
    "Topics": "/",
    "Groups": "/groups",
    "Map": "/map",
    "Schemas": "/schemas",
    "Produce": "/produce",
    "Playground": "/playground",
    "Cluster": "/cluster",
    "SQL": "/sql",
    "Snapshots": "/snapshots",
    "Activity": "/activity",
    "Help": "/help",
}
SUBJECTS = {
    "How a key picks its partition: partitioner, murmur2, CRC-32": "/produce",
    "Dead letters: let a consumer refuse poison events, retry them, set them aside": "/playground",
    "Replay and redrive: open an event of a dead-letter topic, then “Edit and send”": "/",
    "Generator: events from templates, at a rate": "/produce",
    "Reset the offsets of a group, with a preview": "/groups",
    "Faults: make requests fail or wait": "/cluster",
    "Undo: the snapshots that are taken before what destroys": "/snapshots",
}
"""Other terms that people search for, with their pages."""


@dataclass(frozen=True, slots=True)
class NameMatch:
    """A search result.

    Attributes:
        kind: "event", "topic", "group", "member", "client", "broker", "page", "setting" or "help".
        name: the displayed name.
        address: its page.
    """

    kind: str
    name: str
    address: str


def find(wanted: str) -> list[NameMatch]:
    """Return what contains a text in its name, best matches first, at most `KIND_MAX` per kind.

    `orders/2/41` and `orders:2:41` find the event at this address.
    """
    wanted = wanted.strip()
    if not wanted:
        return []
    found: list[NameMatch] = []
    counts: dict[str, int] = {}
    for one in _all(wanted, wanted.lower()):
        counts[one.kind] = counts.get(one.kind, 0) + 1
        if counts[one.kind] <= KIND_MAX:
            found.append(one)
    return found


def _all(wanted: str, low: str) -> Iterator[NameMatch]:
    place = PLACE.fullmatch(wanted)
    topics = backend().topics()
    if place is not None and any(topic.topic == place[1] for topic in topics):
        topic, partition, offset = place.groups()
        name = f"{topic} · partition {int(partition)} · offset {int(offset)}"
        yield NameMatch("event", name, f"/topics/{quote(topic, safe='')}/{int(partition)}/{int(offset)}")
    for topic in sorted((one.topic for one in topics if low in one.topic.lower()), key=lambda name: _rank(name, low)):
        yield NameMatch("topic", topic, f"/topics/{quote(topic, safe='')}")
    groups = backend().groups()
    for group in sorted((one.group for one in groups if low in one.group.lower()), key=lambda name: _rank(name, low)):
        yield NameMatch("group", group or "(empty id)", group_address(group))
    for described in groups:
        for member in described.members:
            if low in member.client_id.lower() or low in member.member_id.lower():
                yield NameMatch("member", f"{member.member_id} of {described.group}", group_address(described.group))
    yield from _cluster(low)
    for name, address in PAGES.items():
        if low in name.lower() and page_reason(address.strip("/")) is None:
            yield NameMatch("page", name, address)
    if len(low) >= LEAST_FOR_HELP:
        for name, address in SUBJECTS.items():
            if low in name.lower() and page_reason(address.strip("/")) is None:
                yield NameMatch("page", name, address)
        yield from _help(low)


def _rank(name: str, low: str) -> tuple[bool, bool, str]:
    return name.lower() != low, not name.lower().startswith(low), name


def _cluster(low: str) -> Iterator[NameMatch]:
    try:
        brokers, clients = backend().brokers.list(), backend().brokers.clients()
    except BrokerError:
        return
    names = sorted({client.client_id for client in clients if client.client_id and low in client.client_id.lower()})
    yield from (NameMatch("client", name, "/cluster#live-clients") for name in names)
    for broker in brokers:
        if low in f"broker {broker.broker}" or low in (broker.address or ""):
            yield NameMatch("broker", f"broker {broker.broker} {broker.address or ''}".strip(), "/cluster")


def _help(low: str) -> Iterator[NameMatch]:
    for kind, settings in (
        ("topic", TOPIC_SETTINGS),
        ("group", tuple(GROUP_SETTING.values())),
        ("broker", BROKER_SETTINGS),
    ):
        for setting in settings:
            if setting.in_effect and low in setting.name:
                yield NameMatch("setting", f"{setting.name} of a {kind}", f"/help/settings#{kind}-{setting.name}")
    for name, text in DOCUMENTS.items():
        if low in text.lower() or low in name:
            yield NameMatch("help", text, f"/help/{name}")
        for heading in document(name).headings:
            if low in heading.text.lower():
                yield NameMatch("help", heading.text, f"/help/{name}#{heading.anchor}")


blueprint = Blueprint("shell", __name__)

THEMES = ("auto", "light", "dark")
FOUND_MAX = 50


def theme() -> str:
    """Return this browser's theme: auto, light or dark."""
    chosen = request.cookies.get("theme", "auto")
    return chosen if chosen in THEMES else "auto"


def _here() -> str:
    """Return the path of the page that sent a form, on this server."""
    address = urlsplit(request.referrer or "/")
    path = the_proxy().local_path("/" + address.path.lstrip("/\\"))
    return path + (f"?{address.query}" if address.query else "")


@blueprint.post("/theme")
@changes_nothing
def choose_theme() -> AnyResponse:
    """Store this browser's theme."""
    chosen = request.form.get("theme", "auto")
    answer = see(_here())
    answer.set_cookie("theme", chosen if chosen in THEMES else "auto", max_age=31_536_000, samesite="Strict")
    return answer


@blueprint.post("/zone")
@changes_nothing
def choose_zone() -> AnyResponse:
    """Store in which time zone this browser shows times: its own by its IANA name, or UTC."""
    answer = see(_here())
    answer.set_cookie(zone.COOKIE, request.form.get("zone", "")[:64], max_age=31_536_000, samesite="Strict")
    return answer


@blueprint.get("/search")
def search() -> AnyResponse:
    """The search page; the address of an event redirects to the event."""
    wanted = request.args.get("q", "").strip()
    found = find(wanted)
    if by_htmx():
        return fragment("shell/_found.html", wanted=wanted, found=found[:FOUND_MAX], more=len(found) - FOUND_MAX)
    if found and found[0].kind == "event":
        return redirect(found[0].address)
    return page("shell/search", wanted=wanted, found=found[:FOUND_MAX], more=len(found) - FOUND_MAX)


@blueprint.get("/search.json")
def search_json() -> Response:
    """The search results as JSON."""
    found = find(request.args.get("q", ""))
    return data(
        {
            "topics": [one.name for one in found if one.kind == "topic"],
            "groups": [one.name for one in found if one.kind == "group"],
            "found": [{"kind": one.kind, "name": one.name, "address": outer_path(one.address)} for one in found],
        }
    )


@blueprint.post("/demo/<any(on, off, remove):what>")
def switch_demo(what: str) -> AnyResponse:
    """Switch the demo on or off, or remove its topics and groups."""
    switch = demo()
    if switch is None:
        raise BrokerError("RESOURCE_NOT_FOUND", "There is no demo here: start with `sandbox up --demo`.")
    if what == "remove":
        point = undo_point("remove the demo")
        switch.remove()
        return see("/", Notice("the demo's topics and groups are removed", undo=point.name))
    if what == "on":
        switch.switch_on()
    else:
        switch.switch_off()
    return see(_here())
