"""A sandbox in which all that may have any name has one that is markup, and what it would look like when it is run."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser

from confluent_kafka import Consumer, Producer
from flask import Flask

from sandbox.api.groups import commit_offsets
from sandbox.api.sandbox import Sandbox
from sandbox.broker.groups.calls import OffsetCommit
from sandbox.generator.examples import EXAMPLES
from tests.waiting import eventually

HOSTILE = """'"><img src=x onerror=alert(1)></textarea></title><script>alert(1)</script>{{7*7}}"""
SLASHLESS = """'"><img src=x onerror=alert(1)><script>alert(1)"""
"""A group id of this kind stands in a path; one with a slash, in a query string."""
TOPIC, SNAPSHOT = "orders", "before"
WITHIN_S = 20


@contextmanager
def filled(box: Sandbox) -> Iterator[None]:
    """Fill a sandbox that has its ports open. Within the block, clients are connected and a consumer is a member."""
    box.create_topic(TOPIC, partitions=2)
    box.add_user(HOSTILE, "secret")
    for n in range(3):
        box.append(TOPIC, HOSTILE, key=f"{n}{HOSTILE}", headers={HOSTILE: HOSTILE}, partition=0)
    box.append(TOPIC, f'{{"{SLASHLESS[4:]}": "<script>alert(1)</script>"}}', key=None, partition=0)
    for group in (HOSTILE, SLASHLESS):
        commit_offsets(box._runtime, group, [OffsetCommit(TOPIC, 0, 1, metadata=HOSTILE)])
        box.reset(group, to="latest")
    box.generators.save(HOSTILE, next(iter(EXAMPLES.values())))
    box.snapshots.take(SNAPSHOT, HOSTILE)
    box.inject("Heartbeat", topic=HOSTILE, client_id=HOSTILE, latency_ms=1)
    client = {"bootstrap.servers": box.kafka_address, "client.id": HOSTILE, "log_level": 0}
    transactional = Producer({**client, "transactional.id": HOSTILE})
    transactional.init_transactions(WITHIN_S)
    transactional.begin_transaction()
    transactional.produce(TOPIC, HOSTILE, partition=1)
    transactional.flush(WITHIN_S)
    consumer = Consumer({**client, "group.id": HOSTILE, "group.instance.id": HOSTILE[:40]})
    consumer.subscribe([TOPIC])

    def joined() -> bool:
        consumer.poll(0.1)
        return bool(consumer.assignment())

    eventually(joined, WITHIN_S)
    try:
        yield
    finally:
        consumer.close()
        transactional.abort_transaction(WITHIN_S)


def addresses(app: Flask) -> Iterator[str]:
    """An address of every view that takes GET."""
    for rule in app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.endpoint == "static":
            continue
        path = re.sub(r"<any\((\w+)[^>]*>", r"\1", re.sub(r"<int:partition>|<int:offset>", "0", rule.rule))
        path = re.sub(r"<int:[^>]*>", "1", path).replace("<topic>", TOPIC).replace("<do>", "empty")
        path = path.replace("/snapshots/<name>", f"/snapshots/{SNAPSHOT}").replace("/help/<name>", "/help/differences")
        yield path.replace("/scenarios/<name>", "/scenarios/why-twice")


class Markup(HTMLParser):
    """Finds in a page what would run, or what is not the page's own.

    Attributes:
        found: each of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in ("img", "iframe", "object", "embed", "base", "style", "applet", "frame"):
            self.found.append(f"<{tag} {given}>")
        if tag == "script" and not given.get("src", "").startswith("/static/"):
            self.found.append(f"<script {given}>")
        for name, value in given.items():
            if name.startswith(("on", "hx-on", "style")):
                self.found.append(f"<{tag} {name}={value}>")
            if name in ("href", "action", "src", "formaction", "hx-get", "hx-post", "ws-connect") and not (
                value.startswith(("/", "?", "#", "https://", "sqlite:")) or value == ""
            ):
                self.found.append(f"<{tag} {name}={value}>")


def markup(html: str) -> list[str]:
    """What of a page would run, or is not the page's own."""
    parser = Markup()
    parser.feed(html)
    return parser.found
