"""Settings and partitions of a topic: what a change would do is said before it is done."""

import re

from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.kafka.partitioner import PARTITIONERS

OLD_MS = 1_600_000_000_000


def test_a_setting_that_would_lose_events_is_asked_for_first(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1, settings={"retention.ms": "-1"})
    for _ in range(3):
        box.append("orders", "x", timestamp_ms=OLD_MS)
    answer = page.post("/topics/orders/settings", data={"name": "retention.ms", "value": "7d"})
    assert box.topic("orders").settings == {"retention.ms": "-1"}
    asked = page.get(answer.location)
    assert "<b>3 events</b> of 3" in asked.text
    assert "604800000" in asked.text
    form = {"name": "retention.ms", "value": "604800000", "sure": "1"}
    assert page.post("/topics/orders/settings", data=form).status_code == 303
    assert box.topic("orders").settings == {"retention.ms": "604800000"}
    assert box.apply_retention("orders") == 3


def test_a_setting_that_loses_nothing_is_changed_at_once_and_goes_back_to_its_default(
    page: FlaskClient, box: Sandbox
) -> None:
    box.create_topic("orders", partitions=1)
    box.append("orders", "x")
    page.post("/topics/orders/settings", data={"name": "retention.ms", "value": "12h"})
    assert box.topic("orders").settings == {"retention.ms": "43200000"}
    html = page.get("/topics/orders/settings").text
    assert "Back to default: retention.ms" in html
    assert "12 h" in html
    page.post("/topics/orders/settings", data={"name": "retention.ms", "value": ""})
    assert box.topic("orders").settings == {}
    assert "Back to default" not in page.get("/topics/orders").text


def test_a_setting_that_does_not_exist_has_no_preview(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    assert page.get("/topics/orders/settings?name=nonsense&value=1").location == "/topics/orders/settings"
    answer = page.get("/topics/orders/settings?name=retention.ms&value=soon")
    assert "Not a number" in page.get(answer.location).text


def test_more_partitions_are_added_after_a_look_at_the_keys_that_move(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=2)
    box.append_many("orders", [NewEvent(b"x", f"user-{n}".encode()) for n in range(40)])
    moves = box.logs.key_moves("orders", 4)
    html = page.get("/topics/orders/partitions?count=4").text
    assert f"<b>{moves.moved} of 40 keys</b>" in html
    assert "All of these keys lie where murmur2" in html
    assert page.get("/topics/orders/partitions.json?count=4").get_json()["moved"] == moves.moved
    assert len(box.topic("orders").partitions) == 2
    page.post("/topics/orders/partitions", data={"count": "4"})
    assert len(box.topic("orders").partitions) == 4
    for count, reason in (("4", "Nothing was changed"), ("many", "must be a whole number")):
        refused = page.get(f"/topics/orders/partitions?count={count}", follow_redirects=True)
        assert reason in refused.text
    assert page.get("/topics/nowhere/partitions?count=4").status_code == 404


def test_partitions_of_a_topic_without_keys_move_nothing(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    assert "no events yet" in page.get("/topics/orders/partitions?count=2").text
    box.append("orders", "x")
    assert "have no keys" in page.get("/topics/orders/partitions?count=2").text


def test_any_key_can_be_looked_up_before_partitions_are_added(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=2)
    box.append("orders", "x", key="user-7", partition=1)
    found = page.get("/topics/orders/partitions.json?count=5&key=user-7").get_json()["key"]
    assert (found["key"], found["lies_in"]) == ("user-7", 1)
    assert [(one["before"], one["after"]) for one in found["places"]] == [
        tuple(PARTITIONERS[name].partition_for(b"user-7", count) for count in (2, 5))
        for name in ("murmur2", "consistent_random")
    ]
    html = page.get("/topics/orders/partitions?count=5&key=user-7").text
    assert 'id="looked-up"' in html
    assert 'name="key" value="user-7"' in html
    assert 'id="looked-up"' not in page.get("/topics/orders/partitions?count=5").text


def test_the_settings_tab_has_changed_ones_first_and_compares_with_another_topic(
    page: FlaskClient, box: Sandbox
) -> None:
    box.create_topic("orders", partitions=1, settings={"max.message.bytes": "5000"})
    box.create_topic("users", partitions=1, settings={"cleanup.policy": "compact", "max.message.bytes": "5000"})
    names = re.compile(r'<tr id="s-([^"]+)"')
    text = page.get("/topics/orders/settings").text
    assert names.findall(text)[0] == "max.message.bytes"
    assert "Settings</a>" in page.get("/topics/orders").text
    assert 'id="s-' not in page.get("/topics/orders").text
    compared = page.get("/topics/orders/settings?with=users").text
    assert "1 setting differs" in compared
    assert names.findall(compared)[:2] == ["cleanup.policy", "max.message.bytes"]
    assert "Use the value of users for cleanup.policy" in compared
    assert "Use the value of users for max.message.bytes" not in compared
    assert page.get("/topics/orders/settings?with=nowhere").status_code == 404
    done = page.post("/topics/orders/settings", data={"name": "cleanup.policy", "value": "compact"})
    assert done.location == "/topics/orders/settings"
