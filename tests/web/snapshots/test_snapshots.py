"""Snapshots on the page: the list, what a restore would do, the restore, its undo, and files that come and go."""

import io
import re
from pathlib import Path
from shutil import copyfile

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import FileRefused
from tests.storage.damage import damage

PROGRAM = {"X-Sandbox": "test"}


@pytest.fixture
def orders(box: Sandbox) -> Sandbox:
    box.create_topic("orders", partitions=2)
    for n in range(10):
        box.append("orders", f"v{n}", partition=n % 2)
    box.commit("billing", "orders", 0, 3)
    return box


def topics(box: Sandbox) -> list[str]:
    return [topic.topic for topic in box.topics()]


def test_an_empty_list_says_what_a_snapshot_is_and_how_to_take_one(page: FlaskClient) -> None:
    html = page.get("/snapshots").text
    assert "A snapshot is the whole sandbox at one moment" in html
    assert "sandbox snapshots take" in html
    assert page.get("/snapshots.json").get_json()["snapshots"] == []


def test_a_snapshot_is_taken_listed_and_restored_after_a_preview(page: FlaskClient, orders: Sandbox) -> None:
    answer = page.post("/snapshots", data={"name": "before", "note": "<b>bold</b>"})
    assert answer.status_code == 303
    html = page.get(answer.location).text
    assert "&lt;b&gt;bold&lt;/b&gt;" in html
    assert 'data-snapshot="before"' in html
    (one,) = page.get("/snapshots.json").get_json()["snapshots"]
    assert (one["name"], one["events"], one["topics"], one["groups"]) == ("before", 10, 1, 1)
    assert page.get("/snapshots.csv").text.splitlines()[1].startswith("before,taken,")
    orders.append("orders", "x")
    orders.append("new", "y")
    preview = page.get("/snapshots/before/restore").text
    effects = re.sub(r"<[^>]+>", "", preview[preview.index('id="effects"') : preview.index('id="apply"')])
    assert "2 events written since are lost" in effects
    assert "1 topic created since goes: new" in effects
    assert "this can be undone" in effects
    assert topics(orders) == ["new", "orders"]
    told = page.get("/snapshots/before/restore.json").get_json()
    assert (told["events_lost"], told["clients"]) == ({"orders": 1, "new": 1}, 0)
    answer = page.post("/snapshots/before/restore")
    assert topics(orders) == ["orders"]
    after = page.get(answer.location).text
    undo = re.search(r'<form method="post" action="(/snapshots/auto[^"]*/restore)"', after)
    assert undo is not None
    page.post(undo[1])
    assert topics(orders) == ["new", "orders"]


def test_deleting_a_topic_and_a_group_can_be_undone_from_the_page(page: FlaskClient, orders: Sandbox) -> None:
    answer = page.post("/groups/billing/delete")
    assert orders.groups() == ()
    notice = page.get(answer.location).text
    assert "Done: group billing is deleted. A snapshot was taken before." in notice
    action = re.search(r'action="(/snapshots/auto[^"]*/restore)"', notice)
    assert action is not None
    page.post(action[1], data={"undo": "1", "to": "/groups"})
    assert orders.lag("billing")[0].committed == 3
    answer = page.post("/topics/orders/delete")
    assert topics(orders) == []
    action = re.search(r'action="(/snapshots/auto[^"]*/restore)"', page.get(answer.location).text)
    assert action is not None
    back = page.post(action[1], data={"undo": "1", "to": "/"})
    assert back.location == "/"
    assert "Done: undone: delete topic orders" in page.get("/").text
    assert orders.topic("orders").events == 10


def test_an_undo_that_would_lose_more_shows_that_first(page: FlaskClient, orders: Sandbox) -> None:
    answer = page.post("/topics/orders/delete")
    orders.append("new", "since")
    notice = page.get(answer.location).text
    assert "it would also take back what happened since" in notice
    assert "1 event" in notice
    link = re.search(r'<a href="(/snapshots/auto[^"]*/restore[^"]*)" id="undo"', notice)
    assert link is not None
    assert "created since goes: new" in re.sub(r"<[^>]+>", "", page.get(link[1].replace("&amp;", "&")).text)


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", ""])
def test_a_restore_leads_to_no_other_site(page: FlaskClient, orders: Sandbox, to: str) -> None:
    orders.snapshots.take("s")
    assert page.post("/snapshots/s/restore", data={"to": to}).location == "/snapshots"


def test_two_snapshots_are_compared_in_html_json_and_csv(page: FlaskClient, orders: Sandbox) -> None:
    orders.snapshots.take("a")
    assert "Nothing differs" in page.get("/snapshots/~compare?left=a").text
    orders.append("orders", "x", partition=1)
    orders.commit("billing", "orders", 0, 4)
    orders.snapshots.take("b")
    html = page.get("/snapshots/~compare?left=a&right=b").text
    assert re.search(r'data-topic="orders" data-partition="1" data-change="1"', html)
    assert re.search(r'data-group="billing" data-topic="orders" data-partition="0"', html)
    found = page.get("/snapshots/~compare.json?left=a&right=b").get_json()
    assert (found["same"], len(found["partitions"]), len(found["offsets"])) == (False, 1, 1)
    assert page.get("/snapshots/~compare.csv?left=a&right=b").text.splitlines()[1:] == [
        "offsets,orders,1,0 to 5,0 to 6",
        "committed,billing: orders,0,3,4",
    ]
    missing = page.get("/snapshots/~compare?left=nothing")
    assert (missing.status_code, "There is no snapshot" in missing.text) == (404, True)


def test_a_snapshot_is_downloaded_and_uploaded_as_it_is(page: FlaskClient, orders: Sandbox, tmp_path: Path) -> None:
    orders.snapshots.take("a")
    got = page.get("/snapshots/a/download")
    assert got.headers["Content-Disposition"] == "attachment; filename=a.db"
    (tmp_path / "copy.db").write_bytes(got.data)
    got.close()
    with Sandbox(tmp_path / "copy.db") as copy:
        assert copy.topic("orders").events == 10
    form = {"file": (io.BytesIO(got.data), "../../x.db"), "name": "back"}
    assert page.post("/snapshots/~upload", data=form, content_type="multipart/form-data").status_code == 303
    body = page.post("/snapshots/~upload.json?name=raw", data=got.data, headers=PROGRAM).get_json()
    assert (body["snapshot"]["events"], body["snapshot"]["kind"]) == (10, "uploaded")
    orders.delete_topic("orders")
    page.post("/snapshots/back/restore")
    assert orders.topic("orders").events == 10


def test_an_upload_that_is_no_sandbox_is_refused_and_leaves_nothing(page: FlaskClient, orders: Sandbox) -> None:
    orders.snapshots.take("a")
    folder = Path(orders.snapshots.get("a").file).parent
    before = sorted(folder.iterdir())
    for data in (b"", b"hello", b"SQLite format 3\x00" + b"x" * 5000):
        form = {"file": (io.BytesIO(data), "x.db"), "name": "x"}
        answer = page.post("/snapshots/~upload", data=form, content_type="multipart/form-data")
        assert (answer.status_code, "Nothing was changed" in answer.text) == (400, True)
    form = {"file": (io.BytesIO(b"x"), "x.db"), "name": "../x"}
    assert page.post("/snapshots/~upload", data=form, content_type="multipart/form-data").status_code == 400
    orders.snapshots.upload_bytes_max = 1_000
    answer = page.post("/snapshots/~upload.json?name=x", data=b"x" * 5_000, headers=PROGRAM)
    assert answer.get_json()["error"] == "MESSAGE_TOO_LARGE"
    assert sorted(folder.iterdir()) == before


def test_an_upload_with_rows_of_no_client_is_refused_on_each_door_and_changes_nothing(
    page: FlaskClient, orders: Sandbox, tmp_path: Path
) -> None:
    taken = Path(orders.snapshots.take("a").file)
    bad = copyfile(taken, tmp_path / "bad.db")
    damage(bad, "UPDATE topics SET name = '<script>/../x' WHERE name = 'orders'")
    before = sorted(taken.parent.iterdir())
    form = {"file": (io.BytesIO(bad.read_bytes()), "x.db"), "name": "x"}
    answer = page.post("/snapshots/~upload", data=form, content_type="multipart/form-data")
    assert (answer.status_code, "Nothing was changed" in answer.text) == (400, True)
    assert "topics, id 1: name is &#39;&lt;script&gt;/../x&#39;" in answer.text
    body = page.post("/snapshots/~upload.json?name=x", data=bad.read_bytes(), headers=PROGRAM)
    assert body.status_code == 400
    assert "must be a topic's name" in body.get_json()["message"]
    assert sorted(taken.parent.iterdir()) == before
    # One that was put into the folder by hand is refused when it is restored.
    copyfile(bad, taken.with_name("by-hand.db"))
    with pytest.raises(FileRefused, match="must be a topic's name"):
        orders.snapshots.restore("by-hand")
    assert [topic.topic for topic in orders.topics()] == ["orders"]


def test_a_snapshot_is_renamed_described_and_deleted_on_the_page(page: FlaskClient, orders: Sandbox) -> None:
    orders.snapshots.take("a")
    orders.snapshots.take("b")
    answer = page.post("/snapshots/a/edit", data={"name": "c d", "note": "why"})
    assert page.get(answer.location).status_code == 200
    assert {(one.name, one.note) for one in orders.snapshots.list()} == {("c d", "why"), ("b", "")}
    refused = page.post("/snapshots/b/edit", data={"name": "c d", "note": "why"})
    assert (refused.status_code, "choose another name" in refused.text) == (400, True)
    assert page.get("/snapshots/c%20d/delete").status_code == 200
    page.post("/snapshots/c%20d/delete")
    assert [one.name for one in orders.snapshots.list()] == ["b"]
    assert page.get("/snapshots/c%20d").status_code == 404


def test_programs_take_and_restore_through_json(page: FlaskClient, orders: Sandbox) -> None:
    assert page.post("/snapshots.json", json={"name": "a"}).status_code == 403
    taken = page.post("/snapshots.json", json={"name": "a"}, headers=PROGRAM).get_json()
    assert taken["snapshot"]["events"] == 10
    orders.delete_topic("orders")
    done = page.post("/snapshots/a/restore.json", headers=PROGRAM).get_json()
    assert done["message"] == "restored a"
    assert done["undo"]["name"].startswith("auto-")
    assert topics(orders) == ["orders"]
    again = page.post("/snapshots.json", json={"name": "a"}, headers=PROGRAM)
    assert again.get_json()["error"] == "DUPLICATE_RESOURCE"
    assert page.post("/snapshots/none/restore.json", headers=PROGRAM).status_code == 404


def test_the_page_says_when_there_can_be_no_undo(page: FlaskClient, orders: Sandbox) -> None:
    orders.snapshots.take("a")
    orders.snapshots.automatic_bytes_max = 1
    for address in ("/snapshots", "/snapshots/a/restore"):
        assert "There is no automatic snapshot, and so no undo" in page.get(address).text


def test_a_comparison_with_now_begins_with_its_summary_and_leads_to_restore(page: FlaskClient, orders: Sandbox) -> None:
    orders.snapshots.take("a")
    assert 'href="/snapshots/a/restore"' in page.get("/snapshots/~compare?left=a&right=now").text
    orders.append("orders", b"\x81\xa1n\x05")
    html = page.get("/snapshots/~compare?left=a&right=now").text
    assert html.index("Partitions that differ</dt>") < html.index('id="events-table"') < html.index("partitions-table")
    # Values are decoded as on Messages.
    assert "{&#34;n&#34;:5}" in html
    assert 'href="/snapshots/a/restore"' not in page.get("/snapshots/~compare?left=now&right=a").text
