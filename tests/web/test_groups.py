"""Groups: the data, the preview of a reset, the reset, and its undo."""

import re

import pytest
from flask.testing import FlaskClient

from sandbox.sandbox import Sandbox


@pytest.fixture
def billing(box: Sandbox) -> Sandbox:
    box.create_topic("orders", partitions=2)
    for n in range(20):
        box.append("orders", f"v{n}", partition=n % 2)
    box.commit("billing", "orders", 0, 4)
    box.commit("billing", "orders", 1, 10)
    return box


def test_groups_as_data(page: FlaskClient, billing: Sandbox) -> None:
    (group,) = page.get("/groups.json").get_json()["groups"]
    assert (group["group"], group["state"], group["lag"], group["topics"]) == ("billing", "Empty", 6, ["orders"])
    one = page.get("/groups/billing.json").get_json()
    assert one["members"] == []
    assert [(line["partition"], line["committed"], line["end"], line["lag"]) for line in one["partitions"]] == [
        (0, 4, 10, 6),
        (1, 10, 10, 0),
    ]
    assert page.get("/groups.csv").text.splitlines()[1].startswith("billing,Empty,6,")
    assert page.get("/groups/billing.csv").text.splitlines()[1].startswith("orders,0,4,10,6,")
    row = re.search(r'<tr id="l-orders-0"[^>]*>', page.get("/groups/billing").text)
    assert row is not None
    assert 'data-committed="4"' in row[0]
    assert 'data-lag="6"' in row[0]


def test_a_partition_without_a_commit_is_not_shown_as_zero(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("t", partitions=2)
    box.append("t", "x", partition=1)
    box.commit("g", "t", 0, 0)
    lines = page.get("/groups/g.json").get_json()["partitions"]
    for line in lines:
        assert (line["lag"] is None) == (line["committed"] is None)
    html = page.get("/groups/g").text
    for line in lines:
        if line["lag"] is None:
            assert re.search(rf'<tr id="l-t-{line["partition"]}"[^>]*data-lag=""', html)


@pytest.mark.parametrize(
    ("query", "after"),
    [
        ("to=earliest", [0, 0]),
        ("to=latest", [10, 10]),
        ("to=offset&at=7", [7, 7]),
        ("to=shift&at=-2", [2, 8]),
        ("to=shift&at=%2B3", [7, 10]),
        ("to=earliest&which=orders:1", [0]),
        ("to=latest&which=orders", [10, 10]),
    ],
)
def test_a_preview_says_what_a_reset_would_do_and_changes_nothing(
    page: FlaskClient, billing: Sandbox, query: str, after: list[int]
) -> None:
    html = page.get(f"/groups/billing?{query}").text
    assert [int(text) for text in re.findall(r'data-after="(\d+)"', html)] == after
    assert "Nothing was changed yet" in html
    lines = page.get(f"/groups/billing/reset.json?{query}").get_json()["lines"]
    assert [line["after"] for line in lines] == after
    assert [lag.committed for lag in billing.lag("billing")] == [4, 10]


def test_a_reset_is_applied_and_undone(page: FlaskClient, billing: Sandbox) -> None:
    answer = page.post("/groups/billing/reset", data={"to": "earliest", "which": ""})
    assert [lag.committed for lag in billing.lag("billing")] == [0, 0]
    after = page.get(answer.location).text
    undo = re.search(r'name="undo" value="([^"]+)"', after)
    assert undo is not None
    page.post("/groups/billing/undo", data={"undo": undo[1]})
    assert [lag.committed for lag in billing.lag("billing")] == [4, 10]


@pytest.mark.parametrize(
    "form", [{"to": "offset"}, {"to": "offset", "at": "x"}, {"to": "time", "at": "later"}, {"to": "moon", "at": "1"}]
)
def test_a_reset_that_makes_no_sense_changes_nothing(page: FlaskClient, billing: Sandbox, form: dict[str, str]) -> None:
    answer = page.post("/groups/billing/reset", data=form)
    assert answer.status_code == 400
    assert "Nothing was changed" in answer.text
    assert [lag.committed for lag in billing.lag("billing")] == [4, 10]


@pytest.mark.parametrize("name", ["a/b", "..", ".", "ümlaut & co?", "50%", "x.json", "<b>", "a//b", "a b#c"])
def test_a_group_of_any_name_has_a_page_and_can_be_reset(page: FlaskClient, billing: Sandbox, name: str) -> None:
    billing.commit(name, "orders", 0, 5)
    listed = page.get("/groups").text
    links = re.findall(r'<a class="row" href="([^"]+)"', listed)
    (link,) = [link.replace("&amp;", "&") for link in links if not link.endswith("/billing")]
    shown = page.get(link).text
    assert 'id="l-orders-0"' in shown
    action = re.search(r'data-history="([^"]+)"', shown)
    assert action is not None
    assert page.get(action[1].replace("&amp;", "&")).get_json()["group"] == name
    preview = page.get(f"{link}{'&' if '?' in link else '?'}to=earliest").text
    target = re.search(r'<form method="post" action="([^"]+reset[^"]*)"', preview)
    assert target is not None
    answer = page.post(target[1].replace("&amp;", "&"), data={"to": "earliest"})
    assert answer.status_code == 303
    assert billing.lag(name)[0].committed == 0
    assert page.get(answer.location).status_code == 200


def test_a_group_is_deleted(page: FlaskClient, billing: Sandbox) -> None:
    assert page.post("/groups/billing/delete").location == "/groups"
    assert billing.groups() == ()
    answer = page.get("/groups/billing")
    assert answer.status_code == 404
    assert "GROUP_ID_NOT_FOUND" in answer.text
