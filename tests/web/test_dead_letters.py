"""Dead letters: what became of one, what an event became, and the way back to the partition it was in."""

import re

import pytest
from flask.testing import FlaskClient

from sandbox.event import Event, Headers
from sandbox.sandbox import Sandbox
from sandbox.web.dead_letters import dead_letter
from tests.web.test_produce_copy import form_in

SENT_BACK = "dlq.sent-back-from"
SPRING = (
    ("kafka_dlt-original-topic", b"orders"),
    ("kafka_dlt-original-partition", b"\0\0\0\x01"),
    ("kafka_dlt-original-offset", b"\0\0\0\0\0\0\0\0"),
    ("kafka_dlt-exception-message", b"no amount"),
)


def told(partition: int, offset: int) -> Headers:
    """The headers of this page's own consumers."""
    place = (("dlq.partition", b"%d" % partition), ("dlq.offset", b"%d" % offset))
    return (("dlq.error", b"no amount"), ("dlq.topic", b"orders"), *place, ("dlq.group", b"billing"))


@pytest.fixture
def refused(box: Sandbox) -> Sandbox:
    """Two events of one key in partition 1 of orders, which the key would not choose now; the second was refused."""
    box.create_topic("orders", partitions=3)
    box.create_topic("orders.dlq", partitions=1)
    assert box.partition_for("orders", b"user-1") != 1
    for value in ("{}", '{"amount": "x"}'):
        box.append("orders", value, key="user-1", partition=1, headers=(("trace", b"1"),))
    box.append("orders.dlq", '{"amount": "x"}', key="user-1", headers=(("trace", b"1"), *told(1, 1)))
    return box


def sent_back(box: Sandbox) -> Event:
    return next(event for event in box.read("orders", limit=100) if SENT_BACK in dict(event.headers))


def test_a_letter_that_was_sent_back_says_as_which_event_and_that_event_says_from_where(
    page: FlaskClient, refused: Sandbox
) -> None:
    assert "Sent back" not in page.get("/topics/orders.dlq/0/0").text
    form = form_in(page.get("/topics/orders/produce?copy=orders.dlq/0/0").text)
    assert form["headers"] == f"trace: 1\r\n{SENT_BACK}: orders.dlq/0/0"
    page.post("/topics/orders/produce", data=form | {"value": '{"amount": 1}'})
    copy = sent_back(refused)
    at = f"{copy.partition} · offset {copy.offset}"
    link = f'Sent back</b> as <a href="/topics/orders/{copy.partition}/{copy.offset}">orders · partition {at}</a>'
    assert link in page.get("/topics/orders.dlq/0/0").text
    inline = page.get("/topics/orders.dlq/0/0?inline=1", headers={"HX-Request": "true"}).text
    assert link in inline
    text = page.get(f"/topics/orders/{copy.partition}/{copy.offset}").text
    assert 'Sent back from <a href="/topics/orders.dlq/0/0">' in text


def test_a_letter_is_found_again_though_its_key_was_mended(page: FlaskClient, refused: Sandbox) -> None:
    form = form_in(page.get("/topics/orders/produce?copy=orders.dlq/0/0").text)
    page.post("/topics/orders/produce", data=form | {"key": "user-2"})
    assert "Sent back</b> as" in page.get("/topics/orders.dlq/0/0").text


def test_an_event_that_was_refused_leads_to_its_dead_letter_and_its_neighbour_does_not(
    page: FlaskClient, refused: Sandbox
) -> None:
    text = page.get("/topics/orders/1/1").text
    assert "Refused</b> by the group <b>billing</b> because: <b>no amount</b>" in text
    assert '<a href="/topics/orders.dlq/0/0">orders.dlq · partition 0 · offset 0</a>' in text
    assert "Refused" not in page.get("/topics/orders/1/0").text


def test_springs_letters_say_their_place_in_bytes(page: FlaskClient, refused: Sandbox) -> None:
    refused.create_topic("orders-dlt", partitions=1)
    letter = dead_letter(refused.append("orders-dlt", "{}", key="user-1", headers=SPRING))
    assert letter is not None
    assert (letter.topic, letter.place, letter.why) == ("orders", (1, 0), "no amount")
    assert '<a href="/topics/orders-dlt/0/0">' in page.get("/topics/orders/1/0").text


def test_an_event_that_kept_the_headers_of_its_refusal_is_no_letter_of_its_own_topic(
    page: FlaskClient, refused: Sandbox
) -> None:
    kept = refused.append("orders", "{}", key="user-1", headers=told(1, 1))
    assert "A dead letter of" not in page.get(f"/topics/orders/{kept.partition}/{kept.offset}").text


def test_a_letter_can_go_to_the_partition_that_it_was_in(page: FlaskClient, refused: Sandbox) -> None:
    text = page.get("/topics/orders/produce?copy=orders.dlq/0/0").text
    other = re.search(r'It was in partition 1\. <a href="([^"]+)">Send it to partition 1</a>', text)
    assert other is not None
    there = page.get(other[1].replace("&amp;", "&")).text
    assert "It goes to partition 1, where it was." in there
    assert 'name="mode" value="fixed" checked' in there
    page.post("/topics/orders/produce", data=form_in(there) | {"mode": "fixed", "partition": "1"})
    assert sent_back(refused).partition == 1


def test_letters_that_are_picked_go_back_to_their_partition_without_their_refusal(
    page: FlaskClient, refused: Sandbox
) -> None:
    address = "/topics/orders.dlq/messages/send?events=0:0"
    preview = page.get(address).text
    assert '<option value="origin" selected>' in preview
    assert "without the headers that told of the refusal" in preview
    assert f"headers.append((&#39;{SENT_BACK}&#39;" in preview
    assert "partition=int(dict(message.headers())[&#39;dlq.partition&#39;])" in preview
    form = dict(
        re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', preview.split('class="inline go"')[1])
    )
    assert form == {"events": "0:0", "to": "orders", "how": "origin"}
    page.post("/topics/orders.dlq/messages/copy", data=form)
    copy = sent_back(refused)
    assert (copy.partition, copy.headers) == (1, (("trace", b"1"), (SENT_BACK, b"orders.dlq/0/0")))
    page.post("/topics/orders.dlq/messages/copy", data=form | {"headers": "kept"})
    assert refused.event("orders", 1, copy.offset + 1).headers == (("trace", b"1"), *told(1, 1))
    elsewhere = page.get(f"{address}&to=orders.dlq").text
    assert 'value="origin"' not in elsewhere
    assert 'name="headers"' not in elsewhere


def test_a_letter_that_does_not_say_its_partition_is_refused_there(page: FlaskClient, refused: Sandbox) -> None:
    refused.append("orders.dlq", "{}", headers=(("dlq.topic", b"orders"),))
    answer = page.post("/topics/orders.dlq/messages/copy", data={"events": "0:0-1", "to": "orders", "how": "origin"})
    assert (answer.status_code, "does not say which of the 3 partitions" in answer.text) == (400, True)
    assert len(refused.read("orders", limit=100)) == 2


def test_a_list_of_dead_letters_shows_why_until_the_column_is_taken_out(page: FlaskClient, refused: Sandbox) -> None:
    heading = '<span class="visually-hidden">Header </span>dlq.error</th>'
    text = page.get("/topics/orders.dlq/messages").text
    assert heading in text
    assert "<bdi>no amount</bdi>" in text
    remove = re.search(r'<a href="([^"]+)" aria-label="Remove the column header dlq.error">', text)
    assert remove is not None
    without = page.get(remove[1]).text
    assert heading not in without
    assert 'href="/topics/orders.dlq/messages.json?col="' in without
    assert '<input type="hidden" name="col" value="">' in without
    assert heading not in page.get("/topics/orders/messages").text
