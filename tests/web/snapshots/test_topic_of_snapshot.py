"""A comparison names the events, and one topic alone comes out of a snapshot: page, Python and command line."""

import re
from html import unescape
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.cli.main import main
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import NewEvent
from tests.clock import START_MS

COMPARE = "/snapshots/~compare?left=before&right=now"


@pytest.fixture
def orders(box: Sandbox) -> Sandbox:
    """A snapshot "before" of two topics and a commit."""
    for topic in ("orders", "users"):
        box.create_topic(topic, partitions=2, settings={"retention.ms": "-1"})
        events = [
            NewEvent(b"%s-%d" % (topic.encode(), n), b"k", (("h", b"1"),), START_MS + n, n % 2) for n in range(10)
        ]
        box.append_many(topic, events)
    box.commit("billing", "orders", 0, 3)
    box.snapshots.take("before")
    return box


def contents(box: Sandbox, topic: str) -> list[tuple[object, ...]]:
    return [
        (one.partition, one.offset, one.key, one.value, one.headers, one.timestamp_ms)
        for one in box.read(topic, limit=100)
    ]


def changes(html: str) -> list[tuple[str, str]]:
    found = re.findall(r'<tr data-change="(added|removed|changed)">.*?</tr>', html, re.DOTALL)
    rows = re.findall(r'<tr data-change="(?:added|removed|changed)">(.*?)</tr>', html, re.DOTALL)
    return list(zip(found, [unescape(re.sub(r"<[^>]+>", " ", row)) for row in rows], strict=True))


def test_a_comparison_shows_added_and_removed_events_with_links(page: FlaskClient, orders: Sandbox) -> None:
    orders.append("orders", "new one", partition=0)
    orders.delete_records("users", {0: 2})
    html = page.get(COMPARE).text
    found = changes(html)
    assert [change for change, _ in found] == ["added", "removed", "removed"]
    assert "new one" in found[0][1]
    assert ("users-0" in found[1][1], "users-2" in found[2][1]) == (True, True)
    assert 'href="/topics/orders/0/5"' in html
    (link,) = set(re.findall(r'href="(/snapshots/before/events/users/0/0\.json)"', html))
    assert page.get(link).get_json()["value"] == "users-0"
    told = page.get(COMPARE.replace("~compare", "~compare.json")).get_json()
    assert [one["change"] for one in told["events"]] == ["added", "removed", "removed"]
    assert told["events_complete"] is True


def test_other_events_at_the_same_offsets_are_changed(page: FlaskClient, orders: Sandbox) -> None:
    orders.delete_topic("orders")
    orders.create_topic("orders", partitions=2)
    orders.append("orders", "other", partition=0)
    kinds = [change for change, _ in changes(page.get(COMPARE).text)]
    assert (kinds.count("changed"), kinds.count("removed"), kinds.count("added")) == (1, 9, 0)


def test_one_topic_is_restored_and_everything_else_stays(page: FlaskClient, orders: Sandbox) -> None:
    before = contents(orders, "orders")
    orders.append("orders", "written since", partition=0)
    orders.append("users", "stays", partition=0)
    orders.commit("billing", "orders", 0, 6)
    orders.commit("audit", "users", 0, 1)
    answer = page.post("/snapshots/before/topics/restore", data={"topic": "orders"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/topics/orders")
    assert contents(orders, "orders") == before
    assert orders.topic("orders").settings["retention.ms"] == "-1"
    assert b"stays" in [one[3] for one in contents(orders, "users")]
    assert {lag.partition: lag.committed for lag in orders.lag("billing") if lag.committed is not None} == {0: 3}
    assert [lag.committed for lag in orders.lag("audit") if lag.committed is not None] == [1]
    (undo,) = [one.name for one in orders.snapshots.list() if one.kind == "automatic"]
    orders.snapshots.restore(undo)
    assert b"written since" in [one[3] for one in contents(orders, "orders")]


def test_a_deleted_topic_comes_back_alone(orders: Sandbox) -> None:
    before = contents(orders, "orders")
    orders.delete_topic("orders")
    done = orders.snapshots.restore_topic("before", "orders")
    assert (done.events, done.groups, done.renumbered) == (10, ("billing",), False)
    assert contents(orders, "orders") == before


def test_offsets_that_change_are_reported_and_commits_stay_before_the_same_event(orders: Sandbox) -> None:
    orders.delete_records("orders", {0: 2})
    orders.commit("billing", "orders", 0, 3)
    orders.snapshots.take("cut")
    done = orders.snapshots.restore_topic("cut", "orders")
    assert done.renumbered
    (committed,) = [lag.committed for lag in orders.lag("billing") if lag.committed is not None]
    assert next(one[3] for one in contents(orders, "orders") if one[:2] == (0, committed)) == b"orders-6"


def test_a_topic_is_copied_beside_the_present_one(page: FlaskClient, orders: Sandbox) -> None:
    orders.append("orders", "written since", partition=0)
    answer = page.post("/snapshots/before/topics/copy", data={"topic": "orders", "to": "orders-then"})
    assert answer.headers["Location"] == "/topics/orders-then"
    assert contents(orders, "orders-then") == [one for one in contents(orders, "orders") if one[3] != b"written since"]
    assert len(contents(orders, "orders")) == 11
    again = page.post("/snapshots/before/topics/copy", data={"topic": "orders", "to": "orders-then"})
    assert "Nothing was changed" in again.text
    with pytest.raises(BrokerError, match="has no topic 'nope'"):
        orders.snapshots.restore_topic("before", "nope")


def test_the_command_line_restores_and_copies_a_topic(orders: Sandbox, tmp_path: Path) -> None:
    orders.append("orders", "written since", partition=0)
    file = tmp_path / "page.db"
    orders.close()
    runner = CliRunner()
    for more in (["--to", "copy"], []):
        done = runner.invoke(main, ["snapshots", "restore", "before", "--topic", "orders", *more, "--file", str(file)])
        assert done.exit_code == 0, done.output
        assert "10 events" in done.output
    with Sandbox(file) as sandbox:
        assert (len(contents(sandbox, "orders")), len(contents(sandbox, "copy"))) == (10, 10)
    refused = runner.invoke(main, ["snapshots", "restore", "before", "--to", "x", "--file", str(file)])
    assert "--to names the new topic" in refused.output
