"""Lag on every door: page, `.json`, `.csv`, SQL, of a sandbox file and of the same file as a cluster."""

import re
from collections.abc import Iterator
from pathlib import Path

import confluent_kafka
import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.remote.backend import RemoteBackend
from sandbox.web.app import create_app


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "dev.db") as box:
        box.serve(kafka_port=0, web_port=None)
        box.create_topic("orders", partitions=1)
        yield box


@pytest.fixture(params=["file", "cluster"])
def page(request: pytest.FixtureRequest, served: Sandbox) -> Iterator[FlaskClient]:
    if request.param == "file":
        yield create_app(served).test_client()
        return
    with RemoteBackend(served.kafka_address or "", allow_writes=True, kept_s=0) as cluster:
        yield create_app(cluster).test_client()


def shown(page: FlaskClient) -> str:
    """The text of a group's page and of the list of groups."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.get(path).text) for path in ("/groups/app", "/groups"))


@pytest.mark.parametrize(
    ("written", "committed", "start", "expected", "text"),
    [
        (5, 500, 0, (5, "beyond end", 0), "committed 500, log ends at 5: the next poll resets"),
        (10, 2, 7, (3, "below start", 5), "committed 2, log starts at 7: 5 events were deleted unread"),
    ],
)
def test_a_commit_outside_the_log_is_named(
    page: FlaskClient,
    served: Sandbox,
    written: int,
    committed: int,
    start: int,
    expected: tuple[object, ...],
    text: str,
) -> None:
    served.append_many("orders", [NewEvent(b"x")] * written)
    served.commit("app", "orders", 0, committed)
    served.delete_records("orders", {0: start})
    assert text in shown(page)
    assert "caught up" not in shown(page)
    group = page.get("/groups/app.json").get_json()
    (line,) = group["partitions"]
    assert (line["lag"], line["out_of_range"], line["deleted_unread"]) == expected
    assert (group["trend"], group["lag"]) == ("out of range", expected[0])
    columns, row = (one.split(",") for one in page.get("/groups/app.csv").text.splitlines())
    assert dict(zip(columns, row, strict=True))["out_of_range"] == expected[1]


def test_the_marker_of_a_transaction_is_lag_and_not_unread(page: FlaskClient, served: Sandbox) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": served.kafka_address, "transactional.id": "t"})
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce("orders", "one")
    producer.commit_transaction(10)
    served.commit("app", "orders", 0, 1)
    group = page.get("/groups/app.json").get_json()
    assert (group["lag"], group["unread"], group["lag_ms"], group["trend"]) == (1, 0, 0, "no active members")
    assert "0 unread events" in shown(page)


def test_a_marker_says_that_it_is_one(served: Sandbox) -> None:
    page = create_app(served).test_client()
    producer = confluent_kafka.Producer({"bootstrap.servers": served.kafka_address, "transactional.id": "t"})
    producer.init_transactions(10)
    for end in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        producer.produce("orders", "one")
        producer.flush(10)
        end(10)
    found = [page.get(f"/topics/orders/0/{offset}.json").get_json()["control"] for offset in range(4)]
    assert found == [None, "commit", None, "abort"]


def test_the_view_lag_counts_as_the_page_does(served: Sandbox) -> None:
    page = create_app(served).test_client()
    served.append_many("orders", [NewEvent(b"x")] * 10)
    served.delete_records("orders", {0: 7})
    for group, committed in (("over", 500), ("in", 8), ("under", 2)):
        served.commit(group, "orders", 0, committed)
    query = "SELECT group_id, committed, lag, out_of_range, deleted_unread FROM lag ORDER BY committed"
    rows = page.get("/sql.json", query_string={"q": query}).get_json()["rows"]
    assert rows == [["under", 2, 3, "below start", 5], ["in", 8, 2, None, 0], ["over", 500, 3, "beyond end", 0]]
    for group, _, lag, place, deleted in rows:
        (line,) = served.lag(group)
        assert (line.lag, line.out_of_range, line.deleted_unread) == (lag, place, deleted)
