"""Deletion of a topic's events: each form previews the loss, and then does exactly that."""

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox

OLD_MS = 1_600_000_000_000


@pytest.fixture
def orders(box: Sandbox) -> Sandbox:
    """A topic of two partitions with 6 and 4 events; a group has read two."""
    box.create_topic("orders", partitions=2)
    for n in range(10):
        box.append("orders", f"v{n}", key="k", partition=int(n > 5))
    box.commit("billing", "orders", 0, 2)
    return box


def test_a_topic_is_emptied_after_what_is_lost_was_named(page: FlaskClient, orders: Sandbox) -> None:
    html = page.get("/topics/orders/clean/empty").text
    assert "<b>10 events</b> of 10" in html
    assert ">billing</a> has not read 4 of them" in html
    assert orders.topic("orders").events == 10
    answer = page.post("/topics/orders/clean/empty")
    assert "10 events are gone" in page.get(answer.location).text
    assert orders.topic("orders").events == 0
    assert "Nothing would be deleted: the topic is empty" in page.get("/topics/orders/clean/empty").text
    assert orders.append("orders", "next", partition=0).offset == 6


def test_records_before_an_offset_of_one_partition_are_deleted(page: FlaskClient, orders: Sandbox) -> None:
    form = {"partition": "0", "offset": "2"}
    html = page.get("/topics/orders/clean/delete-records", query_string=form).text
    assert "<b>2 events</b> of 10" in html
    assert "Every group that has committed here has read them" in html
    page.post("/topics/orders/clean/delete-records", data=form)
    assert orders.start_offsets("orders") == {0: 2, 1: 0}


def test_records_before_a_time_are_deleted_in_every_partition(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=2)
    for n in range(6):
        box.append("orders", "x", partition=n % 2, timestamp_ms=OLD_MS + n * 1000)
    form = {"partition": "all", "time": str(OLD_MS + 2500)}
    assert "<b>3 events</b> of 6" in page.get("/topics/orders/clean/delete-records", query_string=form).text
    page.post("/topics/orders/clean/delete-records", data=form)
    assert box.start_offsets("orders") == {0: 2, 1: 1}


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"offset": "x"}, "must be a whole number"),
        ({"offset": "-3"}, "0 or more"),
        ({"time": "soon"}, "a valid time"),
        ({"offset": "1", "time": "2h"}, "either an offset or a time"),
        ({"offset": "1", "partition": "9"}, "no partition 9"),
    ],
)
def test_what_cannot_be_deleted_is_refused_with_the_form_kept(
    page: FlaskClient, orders: Sandbox, form: dict[str, str], reason: str
) -> None:
    html = page.get("/topics/orders/clean/delete-records", query_string=form).text
    assert reason in html
    assert "danger-button" not in html
    assert page.post("/topics/orders/clean/delete-records", data=form).status_code == 303
    assert page.post("/topics/orders/clean/delete-records").status_code == 303
    assert orders.topic("orders").events == 10


def test_a_topic_is_compacted_once_its_policy_asks_for_it(page: FlaskClient, orders: Sandbox) -> None:
    html = page.get("/topics/orders/clean/compact").text
    assert "This cannot be done" in html
    assert "Set cleanup.policy to compact" in html
    page.post("/topics/orders/settings", data={"name": "cleanup.policy", "value": "compact"})
    assert "<b>8 events</b> have a later event" in page.get("/topics/orders/clean/compact").text
    assert "8 events went" in page.post("/topics/orders/clean/compact", follow_redirects=True).text
    assert orders.topic("orders").events == 2
    html = page.get("/topics/orders/clean/empty").text
    assert "Set cleanup.policy to compact,delete" in html
    assert "danger-button" not in html


def test_retention_is_applied_to_one_topic_at_once(page: FlaskClient, box: Sandbox) -> None:
    for topic in ("orders", "other"):
        box.create_topic(topic, partitions=1, settings={"retention.ms": "-1"})
        box.append(topic, "x", timestamp_ms=OLD_MS)
        box.append(topic, "x")
    assert "nothing is too old" in page.get("/topics/orders/clean/retention").text
    for topic in ("orders", "other"):
        box.alter_topic(topic, {"retention.ms": "3600000"})
    assert "<b>1 event</b> of 2" in page.get("/topics/orders/clean/retention").text
    assert "1 event were" in page.post("/topics/orders/clean/retention", follow_redirects=True).text
    taken = [one.name for one in box.snapshots.list()]
    page.post("/topics/orders/clean/retention")
    assert [one.name for one in box.snapshots.list()] == taken
    assert len(taken) == 1
    assert (box.topic("orders").events, box.topic("other").events) == (1, 2)


def test_programs_preview_and_clean_through_data(page: FlaskClient, orders: Sandbox) -> None:
    found = page.get("/topics/orders/clean/empty.json").get_json()
    assert (found["events"], found["exact"], found["unread"]) == (10, True, {"billing": 4})
    assert [one["events"] for one in found["partitions"]] == [6, 4]
    path, program = "/topics/orders/clean/delete-records.json", {"X-Sandbox": "test"}
    done = page.post(path, json={"partition": 0, "offset": 5}, headers=program).get_json()
    assert (done["events"], orders.start_offsets("orders")) == (5, {0: 5, 1: 0})
    assert page.post(path, json={}, headers=program).status_code == 400
    assert page.post(path, json={"offset": 1}).status_code == 403
    assert page.get("/topics/orders/clean/compact.json").status_code == 400
    assert page.get("/topics/orders/clean/nonsense").status_code == 400
    assert page.get("/topics/nowhere/clean/empty").status_code == 404


def test_what_took_events_says_whether_it_can_be_undone(page: FlaskClient, orders: Sandbox) -> None:
    answer = page.post("/topics/orders/clean/empty", follow_redirects=True)
    assert 'id="undo-notice"' in answer.text
    assert "10 events are gone" in answer.text
    orders.snapshots.automatic_bytes_max = 0
    assert "no automatic snapshot, and so no undo" in page.get("/topics/orders/delete").text
    answer = page.post("/topics/orders/delete", follow_redirects=True)
    assert "orders with 0 events is deleted" in answer.text
    assert "no automatic snapshot, and so no undo" in answer.text
