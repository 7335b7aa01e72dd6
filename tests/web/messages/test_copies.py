"""Events that were ticked: exported so that they come back as they were, and sent again with the same bytes."""

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import Event
from sandbox.model.jsonl import from_line
from sandbox.web.messages.copies import read_selection, written
from tests.clock import START_MS
from tests.web.hostile import INVALID, VALUES

HTMX = {"HX-Request": "true"}


@pytest.fixture
def letters(box: Sandbox) -> Sandbox:
    """A topic of dead letters with every value that other tools get wrong, and the topic that they are for."""
    box.create_topic("dead", partitions=2)
    box.create_topic("orders", partitions=3)
    headers = (("trace", b"1"), ("trace", None), ("\udcff", INVALID))
    for n, value in enumerate(VALUES.values()):
        key = (b"k%d" % n, None, INVALID)[n % 3]
        box.append("dead", value, key=key, headers=headers, partition=n % 2, timestamp_ms=START_MS + n)
    return box


def places(count: int) -> list[str]:
    return [f"{n % 2}/{n // 2}" for n in range(count)]


def content(event: Event) -> tuple[object, ...]:
    return event.key, event.value, event.headers


def stored(box: Sandbox, topic: str) -> list[Event]:
    return box.read(topic, limit=1000)


def test_an_export_comes_back_as_it_was(page: FlaskClient, letters: Sandbox) -> None:
    answer = page.post("/topics/dead/messages/selected", data={"action": "export", "event": places(len(VALUES))})
    assert answer.headers["Content-Disposition"].startswith("attachment")
    lines = [from_line(line) for line in answer.data.decode().splitlines()]
    assert len(lines) == len(VALUES)
    letters.append_many("orders", (line.new_event() for line in lines if line.partition is not None))
    copies = stored(letters, "orders")
    assert [(content(one), one.partition, one.timestamp_ms) for one in copies] == [
        (content(one), one.partition, one.timestamp_ms) for one in stored(letters, "dead")
    ]
    whole = page.get("/topics/dead/messages.jsonl?order=oldest").data
    assert whole == answer.data


def test_dead_letters_are_sent_after_a_preview_that_changes_nothing(page: FlaskClient, letters: Sandbox) -> None:
    form = {"action": "send", "event": places(len(VALUES))}
    answer = page.post("/topics/dead/messages/selected", data=form)
    assert answer.status_code == 303
    address = answer.headers["Location"]
    assert "Send 8 events once more" in page.get(address).text
    preview = page.get(address + "&to=orders").text
    assert "Send 8 events to orders" in preview
    assert stored(letters, "orders") == []
    selection = parse_qs(urlsplit(address).query)["events"][0]
    sent = page.post("/topics/dead/messages/copy", data={"events": selection, "to": "orders"})
    assert sent.status_code == 303
    result = page.get(sent.headers["Location"]).text
    assert "<b>8 events</b> sent to" in result
    copies = sorted(map(content, stored(letters, "orders")), key=repr)
    assert copies == sorted(map(content, stored(letters, "dead")), key=repr)
    for copy in stored(letters, "orders"):
        assert copy.timestamp_ms > START_MS + 1_000
        if copy.key is not None:
            assert copy.partition == letters.partition_for("orders", copy.key)
            shown = re.search(rf'<span class="chip p{copy.partition}">{copy.partition}</span>', preview)
            assert shown is not None
    assert len(stored(letters, "dead")) == len(VALUES)


def test_timestamps_are_kept_where_that_is_asked_for(page: FlaskClient, letters: Sandbox) -> None:
    page.post("/topics/dead/messages/copy", data={"events": "0:0-1", "to": "orders", "time": "kept"})
    assert [event.timestamp_ms for event in stored(letters, "orders")] == [START_MS, START_MS + 2]


def test_an_event_is_sent_again_and_the_answer_is_a_link(page: FlaskClient, letters: Sandbox) -> None:
    answer = page.post("/topics/dead/messages/copy", data={"event": "1/1", "to": "dead"}, headers=HTMX)
    place = re.search(r'<a href="/topics/dead/(\d)/(\d+)">partition \1 · offset \2</a>', answer.text)
    assert place is not None
    copy, original = letters.event("dead", int(place[1]), int(place[2])), letters.event("dead", 1, 1)
    assert content(copy) == content(original)
    assert copy.offset != original.offset


def test_all_on_the_page_works_without_scripts(page: FlaskClient, letters: Sandbox) -> None:
    html = page.get("/topics/dead/messages").text
    shown = re.findall(r'name="shown" form="selection" value="([^"]*)"', html)[0]
    answer = page.post("/topics/dead/messages/selected", data={"action": "export", "all": "1", "shown": shown})
    assert len(answer.data.splitlines()) == len(VALUES)


def test_nothing_ticked_says_what_to_do(page: FlaskClient, letters: Sandbox) -> None:
    answer = page.post("/topics/dead/messages/selected", data={"action": "send"})
    assert answer.status_code == 400
    assert "Tick the events in the table first" in answer.text


@pytest.mark.parametrize(
    ("address", "form", "reason"),
    [
        ("selected", {"action": "export", "event": ["x"]}, "is no event"),
        ("selected", {"action": "export", "event": [f"0/{n}" for n in range(501)]}, "At most 500 events"),
        ("copy", {"events": "0:0-500", "to": "orders"}, "At most 500 events"),
        ("copy", {"events": "0-5", "to": "orders"}, "does not say which events"),
        ("copy", {"events": "0:0", "to": "nowhere"}, "nowhere"),
        ("copy", {"events": "0:999", "to": "orders"}, "nothing was sent"),
        ("copy", {"to": "orders"}, "nothing was sent"),
    ],
)
def test_what_cannot_be_sent_says_why_and_sends_nothing(
    page: FlaskClient, letters: Sandbox, address: str, form: dict[str, str | list[str]], reason: str
) -> None:
    answer = page.post(f"/topics/dead/messages/{address}", data=form)
    assert answer.status_code in (400, 404)
    assert reason in answer.text
    assert stored(letters, "orders") == []


def test_a_copy_that_is_refused_says_how_far_it_came(page: FlaskClient, letters: Sandbox) -> None:
    letters.alter_topic("orders", {"max.message.bytes": "1000"})
    answer = page.post("/topics/dead/messages/copy", data={"events": "0:0-3 1:0-3", "to": "orders"})
    html = page.get(answer.headers["Location"]).text
    assert "It stopped before the end" in html
    large = list(VALUES).index("large")
    assert f"partition {large % 2} offset {large // 2} was refused" in html
    assert len(stored(letters, "orders")) == large


def test_a_target_that_is_not_there_is_refused_before_anything_is_sent(page: FlaskClient, letters: Sandbox) -> None:
    answer = page.get("/topics/dead/messages/send?events=0:0&to=nowhere")
    assert answer.status_code == 400
    assert "There is no topic nowhere" in answer.text
    assert 'id="send-all"' not in answer.text


@given(
    st.dictionaries(st.integers(0, 20), st.lists(st.integers(0, 99), min_size=1, max_size=9, unique=True), max_size=5)
)
def test_a_selection_is_read_as_it_is_written(selection: dict[int, list[int]]) -> None:
    assert read_selection(written(selection)) == {
        partition: sorted(offsets) for partition, offsets in selection.items()
    }


def test_a_dead_letter_is_offered_to_the_topic_that_it_names(page: FlaskClient, letters: Sandbox) -> None:
    stored_in = letters.append("dead", "v", headers=(("dlq.topic", b"orders"),), partition=0)
    html = page.get(f"/topics/dead/messages/send?events=0:{stored_in.offset}").text
    assert "<option selected>orders</option>" in html
    assert "to orders</button>" in html
    undecided = page.get("/topics/dead/messages/send?events=0:0").text
    assert "to orders</button>" not in undecided
    assert stored(letters, "orders") == []


def test_a_dead_letter_says_why_it_was_refused_and_links_to_what_it_was(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("dead", partitions=1)
    box.create_topic("orders", partitions=1)
    told = (("dlq.topic", b"orders"), ("dlq.partition", b"0"), ("dlq.offset", b"7"), ("dlq.error", b"<b>no amount"))
    box.append("dead", "{}", headers=(*told, ("trace", b"1")))
    text = page.get("/topics/dead/0/0").text
    assert '<a href="/topics/orders/0/7">orders · partition 0 · offset 7</a>' in text
    assert "refused because: <b>&lt;b&gt;no amount</b>" in text
    form = page.get("/topics/orders/produce?copy=dead/0/0").text
    assert "4 error headers are removed" in form
    assert "trace: 1" in form


ORIGINS = {
    "our own consumers": (("dlq.topic", b"orders"), ("dlq.error", b"no amount")),
    "Spring": (("kafka_dlt-original-topic", b"orders"), ("kafka_dlt-original-offset", b"\0\0\0\0\0\0\0\x01")),
    "Connect": (("__connect.errors.topic", b"orders"),),
}


@pytest.mark.parametrize("headers", ORIGINS.values(), ids=ORIGINS)
def test_a_dead_letter_that_is_edited_can_be_aimed_at_its_topic(
    page: FlaskClient, box: Sandbox, headers: tuple[tuple[str, bytes], ...]
) -> None:
    box.create_topic("dead", partitions=1)
    box.append("dead", "{}", key="k", headers=headers)
    assert "There is no such topic here" in page.get("/topics/dead/produce?copy=dead/0/0").text
    box.create_topic("orders", partitions=1)
    text = page.get("/topics/dead/produce?copy=dead/0/0").text
    aim = re.search(r'<a class="button" href="([^"]+)">Aim at orders</a>', text)
    assert aim is not None
    there = page.get(aim[1]).text
    assert "This form sends it back there." in there
    assert 'action="/topics/orders/produce"' in there
    assert headers[0][0] not in there
    assert f"{len(headers)} error header" in there
    assert headers[0][0] in page.get(aim[1] + "&headers=kept").text
    detail = page.get("/topics/dead/0/0").text
    assert f'href="{aim[1]}">Edit and send to orders</a>' in detail
    assert "Send again to dead</button>" in detail
    assert "dead letter" not in page.get("/topics/dead/produce?copy=dead/0/0&only=key").text


def test_an_event_that_is_no_dead_letter_has_no_topic_to_go_back_to(page: FlaskClient, letters: Sandbox) -> None:
    assert "dead letter of" not in page.get("/topics/dead/produce?copy=dead/0/0").text


@pytest.mark.parametrize("how", ["murmur2", "consistent_random", "kept", "round"])
def test_copies_go_where_the_preview_says(page: FlaskClient, box: Sandbox, how: str) -> None:
    box.create_topic("dead", partitions=3)
    box.create_topic("orders", partitions=3)
    for n in range(6):
        box.append("dead", str(n), key=f"key-{n}", partition=n % 3, timestamp_ms=START_MS + n)
    at = {"events": "0:0-1 1:0-1 2:0-1", "to": "orders", "how": how}
    shown = re.findall(
        r'<td><span class="chip p\d">(\d)</span></td>', page.get("/topics/dead/messages/send", query_string=at).text
    )
    assert page.post("/topics/dead/messages/copy", data=at).status_code == 303
    copies = {int(event.value or b""): event.partition for event in stored(box, "orders")}
    by_key = (
        [box.partition_for("orders", b"key-%d" % n, how) for n in range(6)] if how not in ("kept", "round") else None
    )
    wanted = by_key or [n % 3 for n in range(6)]
    assert [copies[n] for n in range(6)] == wanted == [int(one) for one in shown]


def test_the_same_partition_is_refused_where_the_target_has_fewer(page: FlaskClient, letters: Sandbox) -> None:
    letters.create_topic("small", partitions=1)
    at = {"events": "0:0 1:0", "to": "small", "how": "kept"}
    preview = page.get("/topics/dead/messages/send", query_string=at)
    assert "small has partitions 0 to 0, and some of these events are in 1." in preview.text
    assert 'id="send-all"' not in preview.text
    assert page.post("/topics/dead/messages/copy", data=at).status_code == 400
    assert page.post("/topics/dead/messages/copy", data=at | {"how": "odd"}).status_code == 400
    assert stored(letters, "small") == []


def test_headers_can_be_columns(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("dead", partitions=1)
    box.append("dead", "{}", headers=(("dlq.error", b"no amount"), ("\udcff", b"x")))
    box.append("dead", "{}", headers=(("dlq.error", b"<b>"), ("dlq.error", None)))
    box.append("dead", "{}")
    text = page.get("/topics/dead/messages").text
    assert "col=header+dlq.error#columns" in text.replace("&#43;", "+")
    shown = page.get("/topics/dead/messages?col=header+dlq.error").text
    assert '<span class="visually-hidden">Header </span>dlq.error</a></th>' in shown
    assert "<bdi>no amount</bdi>" in shown
    assert "<bdi>&lt;b&gt;, null</bdi>" in shown
    assert 'title="This event has none"' in shown
    found = json.loads(page.get("/topics/dead/messages.json?order=oldest&col=header+dlq.error").text)
    assert [event["columns"]["header dlq.error"] for event in found["events"]] == ["no amount", "<b>, null", None]


@pytest.fixture
def backwards(box: Sandbox) -> Sandbox:
    """One order's events, whose producer's clock goes backwards, and an event of another partition."""
    box.create_topic("steps", partitions=2)
    box.create_topic("orders", partitions=2)
    for n, step in enumerate(STEPS):
        box.append("steps", step, key="order-1", partition=0, timestamp_ms=START_MS + 9_000 - n)
    box.append("steps", "other", partition=1, timestamp_ms=START_MS)
    return box


STEPS = ["created", "paid", "shipped"]


@pytest.mark.parametrize("order", ["newest", "oldest", "offset"])
def test_what_leaves_the_page_keeps_the_order_of_the_log(page: FlaskClient, backwards: Sandbox, order: str) -> None:
    text = page.get(f"/topics/steps/messages.jsonl?order={order}").text
    assert re.findall("created|paid|shipped|other", text) == ["other", *STEPS]


@pytest.mark.parametrize("ticked", [["0/0", "0/1", "0/2", "1/0"], ["0/2", "0/1", "1/0", "0/0"]])
def test_ticked_events_keep_the_order_of_the_log(page: FlaskClient, backwards: Sandbox, ticked: list[str]) -> None:
    exported = page.post("/topics/steps/messages/selected", data={"action": "export", "event": ticked}).text
    assert [from_line(line).value for line in exported.splitlines()] == [b"other", *(step.encode() for step in STEPS)]
    for how in ("murmur2", "kept"):
        page.post("/topics/steps/messages/copy", data={"event": ticked, "to": "orders", "how": how})
        sent = [event.value for event in stored(backwards, "orders") if event.key == b"order-1"]
        assert sent[-3:] == [step.encode() for step in STEPS]
