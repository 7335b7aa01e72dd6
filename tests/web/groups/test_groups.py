"""Groups: the data, the preview of a reset, the reset, and its undo."""

import json
import re
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.model.group_history import Rates
from sandbox.model.groups import Awaited, GroupWaits, MemberDescription
from sandbox.web.groups.listing import group_status
from sandbox.web.groups.one_group import cause
from tests.waiting import eventually
from tests.web.groups.group_members import assign, join


def test_groups_as_data(page: FlaskClient, billing: Sandbox) -> None:
    (group,) = page.get("/groups.json").get_json()["groups"]
    assert (group["group"], group["state"], group["lag"], group["topics"]) == ("billing", "Empty", 6, ["orders"])
    one = page.get("/groups/billing.json").get_json()
    assert one["members"] == []
    assert [
        (line["partition"], line["committed_offset"], line["log_end_offset"], line["lag"]) for line in one["partitions"]
    ] == [
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
        assert (line["lag"] is None) == (line["committed_offset"] is None)
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
    answer = page.post("/groups/billing/delete")
    assert answer.location == "/groups"
    assert "Done: group billing is deleted." in page.get(answer.location).text
    assert billing.groups() == ()
    answer = page.get("/groups/billing")
    assert answer.status_code == 404
    assert "GROUP_ID_NOT_FOUND" in answer.text


def test_a_group_is_deleted_after_a_page_that_names_what_is_lost(page: FlaskClient, billing: Sandbox) -> None:
    html = page.get("/groups/billing/delete").text
    assert "2 committed offsets are lost" in html
    assert "14 events again" in html
    assert "6 unread events" in html
    assert billing.groups() != ()


def test_the_offsets_of_one_topic_are_forgotten_after_a_preview(page: FlaskClient, billing: Sandbox) -> None:
    billing.append("payments", "x", partition=0)
    billing.commit("billing", "payments", 0, 1)
    assert "Forget 2 offsets" in page.get("/groups/billing/delete?topic=orders").text
    answer = page.post("/groups/billing/delete", data={"topic": "orders"})
    assert "Done: the offsets in orders are deleted." in page.get(answer.location).text
    assert billing.group("billing").topics == ("payments",)


def test_a_reset_while_members_are_there_is_refused_with_the_way_out(page: FlaskClient, billing: Sandbox) -> None:
    join(billing)
    html = page.get("/groups/billing?to=earliest").text
    assert re.search(r'<button class="primary" id="apply-reset" disabled aria-describedby="reset-why"', html)
    assert "Stop worker (10.0.0.7)" in html
    action = re.search(r'<form method="post" action="([^"]+/reset[^"]+)"', html)
    assert action is not None
    refused_at = action[1].replace("&amp;", "&")
    answer = page.post(refused_at, data={"to": "earliest"})
    assert answer.status_code == 400
    assert "has members" in answer.text
    assert 'id="preview-table"' in page.get(refused_at, headers={"X-Live": "1"}).text
    deletion = page.get("/groups/billing/delete").text
    assert re.search(r'<button class="danger-button" disabled aria-describedby="delete-why"', deletion)
    assert page.post("/groups/billing/delete").status_code == 409
    assert [lag.committed for lag in billing.lag("billing")] == [4, 10]


def test_the_playgrounds_own_consumers_are_stopped_and_the_reset_applied(page: FlaskClient, billing: Sandbox) -> None:
    billing.serve(kafka_port=0, web_port=None)
    billing.playground.start(group="billing", topics=["orders"])
    eventually(lambda: billing.group("billing").lag == 0 and billing.group("billing").members, 30)
    html = page.get("/groups/billing?to=earliest").text
    assert "Stop 1 Playground consumer and reset 2 partitions" in html
    assert page.post("/groups/billing/reset", data={"to": "earliest"}).status_code == 400
    answer = page.post("/groups/billing/reset", data={"to": "earliest", "stop": "1"})
    assert answer.status_code == 303
    assert billing.playground.members("billing") == ()
    assert [lag.committed for lag in billing.lag("billing")] == [0, 0]


def test_a_reset_can_be_taken_back_as_long_as_the_group_has_not_gone_on(page: FlaskClient, billing: Sandbox) -> None:
    assert "Reset back" not in page.get("/groups/billing").text
    page.post("/groups/billing/reset", data={"to": "earliest"})
    link = re.search(r'<a href="([^"]+)">Reset back to what it was</a>', page.get("/groups/billing").text)
    assert link is not None
    preview = page.get(link[1].partition("#")[0]).text
    assert [int(text) for text in re.findall(r'data-after="(\d+)"', preview)] == [4, 10]
    page.post("/groups/billing/reset", data={"to": "back"})
    assert [lag.committed for lag in billing.lag("billing")] == [4, 10]


@pytest.mark.parametrize("length", ["1m", "15m", "1h", "24h", "all", "nonsense"])
def test_the_history_of_each_range_ends_with_the_lag_as_it_stands(
    page: FlaskClient, billing: Sandbox, length: str
) -> None:
    history = page.get(f"/groups/billing/history.json?range={length}").get_json()
    newest = {point["partition"]: point for point in history["points"]}
    assert {number: point["lag"] for number, point in newest.items()} == {0: 6, 1: 0}
    assert newest[0]["lag_ms"] >= 0
    assert newest[1]["lag_ms"] == 0
    assert history["left_out"] == 0


def test_the_chart_draws_the_partitions_with_the_most_lag_and_says_how_many_it_leaves_out(
    page: FlaskClient, box: Sandbox
) -> None:
    box.create_topic("wide", partitions=60)
    for number in range(60):
        box.append("wide", "x", partition=number)
        box.commit("g", "wide", number, number % 2)
    history = page.get("/groups/g/history.json?range=all").get_json()
    assert [one["partition"] for one in history["partitions"]] == list(range(0, 48, 2))
    assert history["left_out"] == 36
    assert "the 24 partitions with the most lag of 60" in page.get("/groups/g").text


def test_a_reset_is_marked_in_the_history_and_told_in_its_table(page: FlaskClient, billing: Sandbox) -> None:
    eventually(lambda: billing.overview().as_of_ms > (billing.lag("billing")[0].committed_ms or 0) + 5)
    page.post("/groups/billing/reset", data={"to": "earliest"})
    marks = page.get("/groups/billing/history.json?range=1m").get_json()["marks"]
    assert [mark["kind"] for mark in marks] == ["reset"]
    assert 'id="history-table"' in page.get("/groups/billing?in=time").text


def test_the_list_draws_the_lag_of_the_last_minutes_with_its_words(page: FlaskClient, billing: Sandbox) -> None:
    html = page.get("/groups").text
    curve = re.search(r'<svg class="lag-spark"[^>]*aria-label="([^"]+)"', html)
    assert curve is not None
    assert "6 to 6, now 6" in curve[1]


def test_rebalances_are_told_with_who_got_what_and_paged(page: FlaskClient, billing: Sandbox) -> None:
    for number in range(13):
        assignment = {f"m{number}": {"client_id": f"client-{number}", "partitions": ["orders-0"]}}
        billing._database.execute(
            "INSERT INTO rebalances(group_id, generation, started_ms, ended_ms, details, members, assignment) "
            "VALUES('billing', ?, 1000, 1250, '{\"text\": \"<b>x</b>\"}', 1, ?)",
            (number + 1, json.dumps(assignment)),
        )
    billing._database.commit()
    html = page.get("/groups/billing").text
    assert re.findall(r'<li data-generation="(\d+)"', html) == [str(number) for number in range(13, 3, -1)]
    assert "client-11 → client-12" in html
    assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert "took 250 ms" in html
    assert 'data-ms="1250"' in html, "the time of a rebalance is when it ended, as Activity has it"
    older = re.search(r'<a href="([^"#]+)#rebalances">Older rebalances</a>', html)
    assert older is not None
    rest = page.get(older[1].replace("&amp;", "&")).text
    assert re.findall(r'<li data-generation="(\d+)"', rest) == ["3", "2", "1"]


def test_members_that_read_nothing_are_explained(page: FlaskClient, billing: Sandbox) -> None:
    assign(billing, join(billing))
    billing._database.execute("UPDATE groups SET state = 'Stable' WHERE group_id = 'billing'")
    billing._database.execute(
        "INSERT INTO group_members(group_id, member_id, instance_id, client_id, client_host, session_timeout_ms, "
        "rebalance_timeout_ms, protocols, assignment, assigned, consumer) "
        "SELECT group_id, member_id || n, instance_id, client_id || n, client_host, "
        "session_timeout_ms, rebalance_timeout_ms, protocols, assignment, assigned, consumer FROM group_members, "
        "(SELECT 2 AS n UNION SELECT 3)"
    )
    billing._database.execute("""UPDATE group_members SET consumer = '{"topics": ["orders"]}'""")
    billing._database.commit()
    html = page.get("/groups/billing").text
    assert "3 members share 2 partitions" in html
    assert "range" in html


def test_the_data_of_a_group_has_the_rates_of_its_partitions(page: FlaskClient, billing: Sandbox) -> None:
    lines = page.get("/groups/billing.json").get_json()["partitions"]
    assert [(line["appended_per_s"], line["committed_per_s"]) for line in lines] == [(10 / 30, 0.0)] * 2
    columns = page.get("/groups/billing.csv").text.splitlines()[0]
    assert columns.startswith("topic,partition,committed_offset,log_end_offset,lag,lag_ms,appended_per_s")


def test_a_group_without_members_that_is_behind_says_that_nobody_reads(page: FlaskClient, billing: Sandbox) -> None:
    assert "No active members." in page.get("/groups/billing").text
    billing.commit("billing", "orders", 0, 10)
    assert "Nobody reads" not in page.get("/groups/billing").text


def test_the_cause_of_growing_lag_is_the_partition_that_gets_more_than_its_member_takes(billing: Sandbox) -> None:
    idle = billing.group("billing")
    owned = tuple(replace(line, member_id="m-1") for line in idle.partitions)
    member = MemberDescription("m-1", None, "reader", "/127.0.0.1", ("orders",), {"orders": (0, 1)}, None, 45_000)
    group = replace(idle, trend="growing", partitions=owned, members=(member,))
    fast, slow = Rates(15.0, 8.0), Rates(3.0, 3.0)
    found = cause(group, {("orders", 0): fast, ("orders", 1): slow}, 0)
    assert found is not None
    assert (found.worst.partition, found.share, found.rate) == (0, 1.0, fast)
    assert cause(group, {("orders", 0): slow}, 0) is None
    assert cause(replace(group, trend="draining"), {("orders", 0): fast}, 0) is None
    heard = replace(member, last_heartbeat_ms=10_000)
    quiet = replace(group, members=(heard,))
    assert cause(quiet, {("orders", 0): fast}, 13_000) is not None
    assert cause(quiet, {("orders", 0): fast}, 14_500) is None, "it may be dead"
    silent = Awaited("m-1", "reader", "heartbeat", True, 0, 45_000, None, 45_000)
    dead = replace(group, waits=GroupWaits((silent,)))
    assert cause(dead, {("orders", 0): fast}, 0) is None, "a dead member is not told to take less time"
    joining = replace(idle, state="PreparingRebalance")
    assert cause(joining, {}, 0) is None, "somebody is about to read"


def test_a_group_can_be_put_into_a_topic_that_it_never_read(page: FlaskClient, billing: Sandbox) -> None:
    billing.create_topic("fresh", partitions=2)
    billing.append("fresh", "x", partition=1)
    text = page.get("/groups/billing").text
    assert '<optgroup label="Topics it has not read">' in text
    assert '<option value="fresh">fresh, every partition</option>' in text
    preview = page.get("/groups/billing?which=fresh&to=latest").text
    assert '<option value="fresh" selected>' in preview
    assert page.post("/groups/billing/reset", data={"which": "fresh", "to": "latest"}).status_code == 303
    committed = {one.partition: one.committed for one in billing.group("billing").partitions if one.topic == "fresh"}
    assert committed == {0: 0, 1: 1}
    assert '<option value="fresh">fresh, every partition</option>' not in page.get("/groups/billing").text


def _groups(html: str) -> list[str]:
    return re.findall(r'<tr id="g-([^"]+)"', html)


def test_the_list_of_groups_is_sorted_and_filtered(page: FlaskClient, billing: Sandbox) -> None:
    billing.create_topic("clicks", partitions=1)
    billing.append("clicks", "v")
    billing.commit("audit", "clicks", 0, 0)
    billing.commit("zebra", "orders", 0, 10)
    billing.commit("zebra", "clicks", 0, 1)
    # Lag: billing 6; audit 1; zebra none, but up to 10 in a partition without a commit.
    assert _groups(page.get("/groups").text) == ["audit", "billing", "zebra"]
    assert _groups(page.get("/groups?sort=lag").text) == ["zebra", "billing", "audit"]
    assert _groups(page.get("/groups?sort=lag&order=asc").text) == ["audit", "billing", "zebra"]
    assert _groups(page.get("/groups?sort=topics").text)[0] == "zebra"
    assert _groups(page.get("/groups?sort=age&order=asc").text)[0] == "zebra"
    assert _groups(page.get("/groups?topic=clicks").text) == ["audit", "zebra"]
    assert _groups(page.get("/groups?q=BIL").text) == ["billing"]
    assert _groups(page.get("/groups?state=Empty&topic=orders").text) == ["billing", "zebra"]
    assert "No group matches" in page.get("/groups?state=Stable").text
    for sort in ("status", "state", "members", "x"):
        assert len(_groups(page.get(f"/groups?sort={sort}").text)) == 3


def test_an_alert_is_set_on_the_page_and_shown_everywhere(page: FlaskClient, billing: Sandbox) -> None:
    done = page.post("/groups/billing/alert", data={"lag": "5", "age": ""}, follow_redirects=True).text
    assert "billing has an alert: lag above 5" in done
    assert 'name="lag" inputmode="numeric" size="9" placeholder="no threshold" value="5"' in done
    for path in ("/", "/groups", "/sql", "/groups/~alerts"):
        assert "<title>(1) " in page.get(path).text
    assert "lag 6 &gt; 5" in page.get("/groups").text
    assert _groups(page.get("/groups?alert=1").text) == ["billing"]
    told = page.get("/groups/~alerts.json").get_json()
    assert told["alerts"] == [{"group": "billing", "lag": 5, "age_ms": None}]
    assert told["firing"][0]["text"] == "lag 6 > 5"
    billing.commit("billing", "orders", 0, 10)
    assert "<title>Topics" in page.get("/").text
    page.post("/group/alert", data={"group": "billing", "lag": "", "from": "alerts"})
    assert billing.alerts.list() == ()


def test_an_alert_or_webhook_that_makes_no_sense_is_refused_with_the_reason(
    page: FlaskClient, billing: Sandbox
) -> None:
    refused = page.post("/groups/billing/alert", data={"lag": "many"}, follow_redirects=True).text
    assert "must be a whole number" in refused
    assert (
        "isn&#39;t a duration" in page.post("/groups/billing/alert", data={"age": "soon"}, follow_redirects=True).text
    )
    answer = page.post("/groups/~alerts", data={"webhook": "http://169.254.169.254/"})
    assert answer.status_code == 400
    assert "link-local" in answer.text
    assert 'value="http://169.254.169.254/"' in answer.text
    headers = {"X-Sandbox": "test"}
    assert page.post("/groups/~alerts.json", json={"webhook": "ftp://x"}, headers=headers).status_code == 400
    assert page.post("/groups/~alerts.json", json={"webhook": "http://127.0.0.1/"}).status_code == 403
    assert billing.alerts.webhook is None


def test_a_group_whose_id_looks_like_a_page_has_its_own_address(page: FlaskClient, billing: Sandbox) -> None:
    billing.commit("~alerts", "orders", 0, 0)
    assert 'href="/group?id=~alerts"' in page.get("/groups").text
    assert "<h1>~alerts</h1>" in page.get("/group?id=~alerts").text


def _undo(page: FlaskClient, html: str) -> str:
    undo = re.search(r'action="(/group[^"]*undo[^"]*)">.*?name="undo" value="([^"]+)"', html, re.DOTALL)
    assert undo is not None
    return page.post(undo[1], data={"undo": undo[2]}, follow_redirects=True).text


def _offsets(box: Sandbox, group: str) -> dict[int, int | None]:
    return {one.partition: one.committed for one in box.group(group).partitions if one.committed is not None}


def test_every_reset_is_undone_also_of_partitions_without_a_commit(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=150)
    box.append("orders", "v", partition=0)
    box.commit("billing", "orders", 0, 1)
    for n in range(1, 120):
        box.commit("billing", "orders", n, 0)
    done = page.post("/groups/billing/reset", data={"to": "earliest", "which": "orders"}, follow_redirects=True).text
    assert len(_offsets(box, "billing")) == 150
    assert "31 committed offsets moved" in done
    assert "31 committed offsets moved" in _undo(page, done)
    assert _offsets(box, "billing") == {0: 1} | dict.fromkeys(range(1, 120), 0)
    # A group that the reset itself created has no offsets again.
    done = page.post("/groups/new/reset", data={"to": "latest", "which": "orders:0"}, follow_redirects=True).text
    assert _offsets(box, "new") == {0: 1}
    _undo(page, done)
    assert _offsets(box, "new") == {}


def test_reset_back_takes_away_what_a_reset_added(page: FlaskClient, billing: Sandbox) -> None:
    billing.create_topic("clicks", partitions=1)
    billing.append("clicks", "v")
    billing.reset("billing", topic="clicks", to="latest")
    assert "Reset back to what it was" in page.get("/groups/billing").text
    shown = page.get("/groups/billing?to=back").text
    assert "1 partition had no commit before the reset, and has none again" in shown
    page.post("/groups/billing/reset", data={"to": "back"})
    assert [one.topic for one in billing.group("billing").partitions if one.committed is not None] == ["orders"] * 2


@pytest.mark.parametrize(
    ("trend", "lag", "age_ms", "word"),
    [
        ("caught up", 0, None, "caught up"),
        ("caught up", 332, 8_000, "keeping up"),
        ("caught up", 2, 300, "caught up"),
        ("caught up", 1, None, "caught up"),
        ("growing", 332, 8_000, "growing"),
    ],
)
def test_a_group_that_commits_in_batches_keeps_up_and_is_not_called_caught_up(
    billing: Sandbox, trend: str, lag: int, age_ms: int | None, word: str
) -> None:
    now_ms = billing.overview().as_of_ms
    since_ms = None if age_ms is None else now_ms - age_ms
    (summary,) = billing.group_summaries()
    assert group_status(replace(summary, trend=trend, lag=lag, unread_since_ms=since_ms), now_ms) == word
    described = replace(billing.group("billing"), trend=trend, lag=lag, lag_ms=age_ms)
    assert group_status(described, now_ms) == word


def test_the_end_of_a_long_name_stays_visible_in_lists(page: FlaskClient, box: Sandbox) -> None:
    name = "com.example.payments.order-events-enriched-v099"
    box.create_topic(name, partitions=1)
    box.commit(name, name, 0, 0)
    for path in ("/topics", "/groups"):
        html = page.get(path).text
        (link,) = re.findall(rf'<a class="row"[^>]*data-name="{name}">(.*?)</a>', html)
        assert link == f'<span>{name[:-14]}</span><span class="tail">{name[-14:]}</span>'
