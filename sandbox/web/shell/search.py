"""Searches names: topics, groups, members, clients, brokers, settings, help and pages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from sandbox.kafka.broker_config import BROKER_SETTINGS, GROUP_SETTING
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.topic_settings import TOPIC_SETTINGS
from sandbox.web.capabilities import page_reason
from sandbox.web.help.documents import DOCUMENTS, document
from sandbox.web.responses import backend, group_address

KIND_MAX = 20
LEAST_FOR_HELP = 3
"""The minimum number of characters to search settings and help: shorter texts would match half of them."""
PLACE = re.compile(r"\s*([A-Za-z0-9._-]{1,249})\s*[/: ]\s*(\d{1,9})\s*[/: @]\s*(\d{1,18})\s*")
PAGES = {
    "Topics": "/",
    "Groups": "/groups",
    "Map": "/map",
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
