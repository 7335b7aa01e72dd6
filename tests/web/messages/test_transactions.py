"""Events that were never committed: sent once more only where that is asked for, and the page says what they become."""

import csv
import io
import re
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.model.jsonl import from_line
from sandbox.remote.backend import RemoteBackend
from sandbox.web.app import create_app

MESSAGES = "/topics/orders/messages"
ALL = "0:0-4"
HTMX = {"HX-Request": "true"}
ABORTED, COMMITTED, OPEN, MARKER = 0, 2, 3, 1


@pytest.fixture
def mixed(box: Sandbox) -> Iterator[Sandbox]:
    """An event of an aborted transaction with its marker, a plain one, and one of a transaction that is open."""
    box.serve(kafka_port=0, web_port=None)
    for topic in ("orders", "copies"):
        box.create_topic(topic, partitions=1)
    producer = Producer({"bootstrap.servers": box.kafka_address, "transactional.id": "t", "linger.ms": 0})
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce("orders", "aborted")
    producer.flush(10)
    producer.abort_transaction(10)
    box.append("orders", "plain")
    producer.begin_transaction()
    producer.produce("orders", "open")
    producer.flush(10)
    yield box
    producer.abort_transaction(10)


def values(box: Sandbox) -> list[bytes | None]:
    return [event.value for event in box.read("copies", limit=100)]


def hidden(html: str) -> dict[str, str]:
    """What the form holds that sends."""
    form = html.split('class="inline go"')[1].split("</form>")[0]
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))


def test_they_are_left_out_and_the_preview_says_how_many(page: FlaskClient, mixed: Sandbox) -> None:
    assert mixed.event("orders", 0, MARKER).control
    html = page.get(f"/topics/orders/messages/send?events={ALL}&to=copies").text
    assert "2 events of those picked are of transactions that were aborted or are open" in html
    assert "They are left out." in html
    assert "Send 1 event to copies" in html
    form = hidden(html)
    assert form == {"events": f"0:{COMMITTED}", "to": "copies", "how": "murmur2"}
    assert f"({0}, {COMMITTED})," in html
    assert f"({0}, {ABORTED})" not in html
    page.post("/topics/orders/messages/copy", data=form)
    assert values(mixed) == [b"plain"]


def test_without_a_preview_the_answer_says_how_many_were_left_out(page: FlaskClient, mixed: Sandbox) -> None:
    answer = page.post("/topics/orders/messages/copy", data={"events": ALL, "to": "copies"})
    assert "2 events of aborted or open transactions were left out" in page.get(answer.location).text
    assert values(mixed) == [b"plain"]


def test_they_are_sent_where_the_box_is_ticked(page: FlaskClient, mixed: Sandbox) -> None:
    html = page.get(f"/topics/orders/messages/send?events={ALL}&to=copies&uncommitted=sent").text
    assert 'name="uncommitted" value="sent" checked' in html
    assert "they become plain events, which every consumer gets" in html
    page.post("/topics/orders/messages/copy", data=hidden(html))
    assert values(mixed) == [b"aborted", b"plain", b"open"]
    assert not any(event.aborted or event.pending for event in mixed.read("copies", limit=100))


def test_where_nothing_else_was_picked_nothing_is_sent_until_that_is_asked_for(
    page: FlaskClient, mixed: Sandbox
) -> None:
    html = page.get(f"/topics/orders/messages/send?events=0:{ABORTED}&to=copies").text
    assert "1 event of those picked is of a transaction that was aborted" in html
    assert 'id="send-all"' not in html
    assert 'type="checkbox" name="uncommitted" value="sent">' in html
    refused = page.post("/topics/orders/messages/copy", data={"events": f"0:{ABORTED}", "to": "copies"})
    assert (refused.status_code, "nothing was sent" in refused.text) == (400, True)
    assert values(mixed) == []


def test_one_event_is_sent_again_by_a_button_that_says_what_it_becomes(page: FlaskClient, mixed: Sandbox) -> None:
    assert "Send again</button>" in page.get(f"/topics/orders/0/{COMMITTED}").text
    for offset in (ABORTED, OPEN):
        html = page.get(f"/topics/orders/0/{offset}").text
        assert "Send again as a plain event</button>" in html
        form = dict(re.findall(r'name="(event|to|uncommitted)" value="([^"]*)"', html))
        assert "Sent to orders" in page.post("/topics/orders/messages/copy", data=form, headers=HTMX).text


def test_an_export_says_which_events_were_never_committed_and_so_does_what_takes_it(
    page: FlaskClient, mixed: Sandbox
) -> None:
    assert "2 events on this page are of transactions that were aborted or are open." in page.get(MESSAGES).text
    selected = {"action": "export", "event": [f"0/{offset}" for offset in (ABORTED, COMMITTED, OPEN)]}
    for lines in (page.get(f"{MESSAGES}.jsonl?order=oldest"), page.post(f"{MESSAGES}/selected", data=selected)):
        found = [from_line(line) for line in lines.data.splitlines()]
        assert [(line.value, line.transaction) for line in found] == [
            (b"aborted", "aborted"),
            (b"plain", None),
            (b"open", "open"),
        ]
    rows = list(csv.DictReader(io.StringIO(page.get(f"{MESSAGES}.csv?order=oldest").text)))
    assert [row["transaction"] for row in rows] == ["aborted", "", "open"]
    events = page.get(f"{MESSAGES}.json?order=oldest").get_json()["events"]
    assert [event["transaction"] for event in events] == ["aborted", None, "open"]
    form = {"format": "jsonl", "lines": lines.text}
    looked = page.post("/topics/copies/produce/many/preview", data=form, headers=HTMX).text
    assert "2 lines are of a transaction that was aborted or open" in looked
    page.post("/topics/copies/produce/many", data=form)
    assert values(mixed) == [b"aborted", b"plain", b"open"]
    assert "of transactions that were aborted" not in page.get("/topics/copies/messages").text


def test_a_cluster_does_not_tell_and_the_page_says_that(mixed: Sandbox) -> None:
    with RemoteBackend(mixed.kafka_address or "", allow_writes=True) as cluster:
        html = create_app(cluster).test_client().get(f"/topics/orders/messages/send?events={ALL}&to=copies").text
    assert "A cluster does not report which events belong to aborted or open transactions" in html
    assert "Send 3 events to copies" in html
