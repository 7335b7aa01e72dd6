"""Topics: the list, the data behind it, and what is done to a topic."""

import re

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.web.groups.listing import COLUMNS as GROUP_COLUMNS
from sandbox.web.topics import selected
from sandbox.web.topics.listing import COLUMNS as TOPIC_COLUMNS


def test_the_list_as_data_counts_exactly(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=3)
    for n in range(7):
        box.append("orders", f"v{n}", key=str(n))
    box.commit("g", "orders", 0, 0)
    (topic,) = page.get("/topics.json").get_json()["topics"]
    assert (topic["topic"], topic["partitions"], topic["events"]) == ("orders", 3, 7)
    assert (topic["log_start_offset"], topic["log_end_offset"], topic["groups"]) == (0, 7, ["g"])
    one = page.get("/topics/orders.json").get_json()
    assert sum(partition["events"] for partition in one["partitions"]) == 7
    assert page.get("/topics.csv").text.splitlines()[1].startswith("orders,3,7,")
    row = re.search(r'<tr id="t-orders"[^>]*>', page.get("/").text)
    assert row is not None
    assert 'data-topic="orders"' in row[0]
    assert 'data-end="7"' in row[0]


def test_an_empty_sandbox_teaches(page: FlaskClient) -> None:
    html = page.get("/").text
    assert "No topics yet" in html
    assert "bootstrap.servers" in html
    assert 'action="/topics"' in html


def test_a_topic_is_created_shown_altered_grown_and_deleted(page: FlaskClient, box: Sandbox) -> None:
    form = {"topic": "orders", "partitions": "2", "cleanup.policy": "compact", "retention.ms": ""}
    assert page.post("/topics", data=form).location == "/topics/orders"
    assert box.topic("orders").settings == {"cleanup.policy": "compact"}
    page.post("/topics/orders/settings", data={"name": "max.message.bytes", "value": "5000"})
    assert box.topic("orders").settings["max.message.bytes"] == "5000"
    page.post("/topics/orders/settings", data={"name": "max.message.bytes", "value": ""})
    assert "max.message.bytes" not in box.topic("orders").settings
    page.post("/topics/orders/partitions", data={"count": "5"})
    assert len(box.topic("orders").partitions) == 5
    box.append("orders", "x", key="k")
    assert "<b>1 event</b>" in page.get("/topics/orders/delete").text
    assert len(box.topics()) == 1
    page.post("/topics/orders/delete")
    assert box.topics() == ()


@pytest.mark.parametrize(
    "form", [{"topic": ""}, {"topic": "a b"}, {"topic": ".."}, {"topic": "t", "partitions": "0"}, {"topic": "taken"}]
)
def test_a_topic_that_kafka_refuses_is_refused_with_the_form_kept(
    page: FlaskClient, box: Sandbox, form: dict[str, str]
) -> None:
    box.create_topic("taken", partitions=1)
    answer = page.post("/topics", data=form | {"retention.ms": "3600000"})
    assert answer.status_code == 400
    assert 'value="3600000" selected' in answer.text
    assert len(box.topics()) == 1


def test_a_refused_change_says_kafkas_reason(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("t", partitions=3)
    answer = page.post("/topics/t/partitions", data={"count": "2"}, follow_redirects=True)
    assert "Nothing was changed" in answer.text
    answer = page.post("/topics/t/settings", data={"name": "retention.ms", "value": "soon"}, follow_redirects=True)
    assert "Not a number" in answer.text
    assert box.topic("t").settings == {}


def test_a_topic_whose_name_ends_like_data_has_a_page_and_data(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("feed.json", partitions=1)
    assert "<html" in page.get("/topics/feed.json").text
    assert page.get("/topics/feed.json.json").get_json()["topic"] == "feed.json"


def test_a_thousand_topics_come_a_hundred_at_a_time(page: FlaskClient, box: Sandbox) -> None:
    for n in range(120):
        box.create_topic(f"t{n:03}", partitions=1)
    first = page.get("/").text
    assert first.count('<tr id="t-') == 100
    assert page.get("/topics?page=2").text.count('<tr id="t-') == 20
    assert page.get("/topics?q=t01").text.count('<tr id="t-') == 10
    assert len(page.get("/topics.json").get_json()["topics"]) == 120
    assert page.get("/topics?page=9999999").status_code == 200


def test_search_finds_topics_and_groups(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    box.commit("order-service", "orders", 0, 0)
    found = page.get("/search.json?q=ORDER").get_json()
    assert (found["topics"], found["groups"]) == (["orders"], ["order-service"])
    part = page.get("/search?q=order", headers={"HX-Request": "true"}).text
    assert 'href="/groups/order-service"' in part
    assert "<html" not in part
    assert "No topic and no group" in page.get("/search?q=zzz").text


def test_the_theme_is_remembered_and_leads_back_into_this_server_only(page: FlaskClient) -> None:
    answer = page.post("/theme", data={"theme": "dark"}, headers={"Referer": "http://evil.example//other.example/x"})
    assert answer.location == "/other.example/x"
    assert 'data-theme="dark"' in page.get("/").text
    page.post("/theme", data={"theme": '"><script>'})
    assert 'data-theme="auto"' in page.get("/").text


def test_a_demo_is_removed_with_one_click(page: FlaskClient, box: Sandbox) -> None:
    calls: list[str] = []

    class Demo:
        state = "on"

        def switch_on(self) -> None:
            calls.append("on")

        def switch_off(self) -> None:
            calls.append("off")

        def remove(self) -> None:
            calls.append("remove")

    assert page.post("/demo/remove").status_code == 404
    assert "Remove the demo" not in page.get("/").text
    assert "Load the demo" not in page.get("/").text
    box.demo = Demo()
    assert "Remove the demo" in page.get("/").text
    assert "Load the demo" in page.get("/").text
    for what in ("off", "on", "remove"):
        assert page.post(f"/demo/{what}").status_code == 303
    assert calls == ["off", "on", "remove"]


def test_the_list_says_who_reads_a_topic_and_how_far_behind_they_are_in_it(page: FlaskClient, box: Sandbox) -> None:
    for topic in ("orders", "clicks"):
        box.create_topic(topic, partitions=1)
        for _ in range(5):
            box.append(topic, "x")
    box.commit("billing", "orders", 0, 3)
    box.commit("billing", "clicks", 0, 5)
    html = page.get("/").text
    rows = dict(re.findall(r'<tr id="t-(\w+)"(.*?)</tr>', html, re.DOTALL))
    assert "1 group</a>" in rows["orders"]
    assert "lag <b>2</b>" in rows["orders"]
    assert "lag <b>0</b>" in rows["clicks"]
    assert "5 events in the last minute" in rows["orders"]
    assert '<svg class="spark"' in rows["orders"]


def test_the_list_is_sorted_by_a_link_and_says_so(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("aaa", partitions=1)
    box.create_topic("bbb", partitions=2)
    box.append("bbb", "x")
    for sort in ("events", "partitions", "last"):
        html = page.get(f"/topics?sort={sort}").text
        assert html.index('id="t-bbb"') < html.index('id="t-aaa"')
        assert html.count("aria-sort") == 1
    html = page.get("/topics?sort=nonsense").text
    assert html.index('id="t-aaa"') < html.index('id="t-bbb"')
    assert 'aria-sort="ascending"' in html


def test_a_topic_is_created_with_settings_in_words(page: FlaskClient, box: Sandbox) -> None:
    form = {
        "topic": "orders",
        "partitions": "2",
        "replication_factor": "1",
        "retention.ms": "3600000",
        "settings": "retention.bytes = 10 MB\n\nmin.compaction.lag.ms=12h\n",
    }
    assert page.post("/topics", data=form).status_code == 303
    assert box.topic("orders").settings == {
        "retention.ms": "3600000",
        "retention.bytes": "10485760",
        "min.compaction.lag.ms": "43200000",
    }
    bad = page.post("/topics", data=form | {"topic": "t", "replication_factor": "2"})
    assert (bad.status_code, "INVALID_REPLICATION_FACTOR" in bad.text) == (400, True)
    assert "retention.bytes = 10 MB" in bad.text
    assert page.post("/topics", data=form | {"topic": "t", "settings": "nonsense"}).status_code == 400
    assert len(box.topics()) == 1


def test_a_topic_shows_its_frequent_keys_and_warns_of_hot_ones(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=4)
    box.append_many("orders", [NewEvent(b"x", b"<b>hot</b>" if n % 4 else f"k{n}".encode()) for n in range(200)])
    html = page.get("/topics/orders").text
    assert "Hot key" in html
    assert "Hot partition" in html
    assert "&lt;b&gt;hot&lt;/b&gt;" in html
    assert "<b>hot</b>" not in html
    assert "all 200 events" in html
    found = page.get("/topics/orders.json").get_json()
    place = box.partition_for("orders", b"<b>hot</b>")
    assert found["keys"]["top"][0] == {"key": "<b>hot</b>", "events": 150, "partitions": [place]}
    assert sum(found["rate"]["events"]) == 200


@pytest.mark.parametrize(
    ("partitions", "keys", "hot"),
    [
        (3, ["a"] * 99, False),
        (3, ["a"] * 98 + ["b"], False),
        (3, ["a"] * 99 + ["b"], True),
        (1, ["a"] * 99 + ["b"], False),
        (3, ["a", "b", "c"] * 40, False),
        (3, ["a"] * 40 + [f"k{n}" for n in range(60)], True),
    ],
    ids=["too few", "too few of two keys", "enough", "one partition", "three even keys", "one of many"],
)
def test_a_key_is_called_hot_only_where_that_is_a_burden(
    page: FlaskClient, box: Sandbox, partitions: int, keys: list[str], hot: bool
) -> None:
    box.create_topic("orders", partitions=partitions)
    box.append_many("orders", [NewEvent(b"x", key.encode()) for key in keys])
    assert ("Hot key" in page.get("/topics/orders").text) is hot


def test_a_partition_shows_where_each_group_has_committed(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    for _ in range(4):
        box.append("orders", "x")
    for number in range(5):
        box.commit(f"group-{number}", "orders", 0, number % 4)
    row = re.search(r'<tr id="p-0".*?</tr>', page.get("/topics/orders").text, re.DOTALL)
    assert row is not None
    assert row[0].count('class="tick"') == 5
    assert "<bdi>group-0</bdi> 0" in row[0]
    assert "and 2 more" in row[0]


def test_a_topic_of_many_partitions_shows_some_at_a_time(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("wide", partitions=450)
    assert page.get("/topics/wide").text.count('<tr id="p-') == 200
    assert page.get("/topics/wide?page=3").text.count('<tr id="p-') == 50
    assert len(page.get("/topics/wide.json").get_json()["partitions"]) == 450


def test_an_empty_topic_teaches_how_a_key_picks_a_partition(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=3)
    html = page.get("/topics/orders").text
    assert "nothing has been written to it" in html
    assert "murmur2 in the Java clients" in html
    assert "murmur2 in the Java clients" in page.get("/topics/~new").text
    box.append("orders", "x")
    box.logs.delete_records("orders", {0: -1, 1: -1, 2: -1})
    assert "is gone again" in page.get("/topics/orders").text


def _names(html: str) -> list[str]:
    return re.findall(r'<tr id="t-([^"]+)"', html)


def test_the_list_is_sorted_by_every_column_both_ways(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("a", partitions=3, settings={"retention.ms": "-1"})
    box.create_topic("b", partitions=1, settings={"retention.ms": "60000"})
    box.append_all("b", [NewEvent(b"value" * 9)] * 5)
    box.append_all("a", [NewEvent(b"v", partition=n % 3) for n in range(4)])
    box.commit("g", "a", 0, 0)
    box.commit("h", "b", 0, 4)
    # Of a, g has 2 events to read, and up to 2 more in two partitions without a commit; of b, h has 1.
    first = {"partitions": "a", "events": "b", "rate": "b", "size": "b", "retention": "a", "lag": "a"}
    for sort, top in first.items():
        down, up = (_names(page.get(f"/topics?sort={sort}&order={order}").text) for order in ("desc", "asc"))
        assert (sort, down[0], up) == (sort, top, down[::-1])
        assert _names(page.get(f"/topics?sort={sort}").text) == down
    assert _names(page.get("/topics?sort=x&order=y").text) == ["a", "b"]


def test_every_column_of_a_list_has_a_cell_like_its_heading_and_can_be_sorted(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    box.append("orders", "x")
    box.commit("billing", "orders", 0, 1)
    lists = {"/topics": ("topics/listing.py", TOPIC_COLUMNS), "/groups": ("groups/listing.py", GROUP_COLUMNS)}
    for path, (module, columns) in lists.items():
        html = page.get(path).text
        table = re.search(r'<table class="list.*?</table>', html, re.DOTALL)
        assert table is not None
        headings = re.findall(r'<th scope="col"(?: class="([^"]*)")?', table[0])
        cells = re.findall(r'<(?:td|th scope="row")(?: class="([^"]*)")?', table[0].partition("<tbody>")[2])
        aligned = [[{"num", "wide"} & set(css.split()) for css in row] for row in (headings, cells)]
        assert aligned[0] == aligned[1], (
            f"the headings (COLUMNS in sandbox/web/{module}) and cells (templates{path}/_row.html) differ in number, "
            "order or class"
        )
        for column in columns:
            assert not column.sort or page.get(f"{path}?sort={column.sort}").status_code == 200, (
                f"the column {column.label!r} has no sort in sandbox/web/{module}"
            )


def test_lag_in_the_list_names_what_partitions_without_a_commit_hold(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=2)
    box.append_all("orders", [NewEvent(b"v", partition=n % 2) for n in range(20)])
    box.commit("billing", "orders", 0, 9)
    box.commit("audit", "orders", 0, 10)
    box.commit("audit", "orders", 1, 10)
    readers = re.search(r'<td class="readers">.*?</td>', page.get("/").text)
    assert readers is not None
    text = re.sub("<[^>]+>", "", readers[0])
    assert text.startswith("2 groups, max lag 1 + up to 10&nbsp;")
    assert 'href="/groups?topic=orders"' in readers[0]
    assert 'href="/groups/billing"' in readers[0]


def test_internal_topics_are_behind_a_switch(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("__consumer", partitions=1)
    assert "Only internal topics" in page.get("/").text
    box.create_topic("orders", partitions=1)
    assert _names(page.get("/").text) == ["orders"]
    assert "show 1 internal" in page.get("/").text
    assert _names(page.get("/topics?internal=1").text) == ["__consumer", "orders"]
    assert _names(page.get("/topics?q=__").text) == ["__consumer"]


def test_the_list_says_how_many_dead_letters_were_not_sent_back(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    box.create_topic("orders.dlq", partitions=1)
    for offset in range(3):
        box.append("orders", f"v{offset}", key="k")
        said = {"dlq.topic": "orders", "dlq.partition": "0", "dlq.offset": str(offset), "dlq.error": "no"}
        box.append("orders.dlq", f"v{offset}", key="k", headers=said)
    row = re.search(r'<tr id="t-orders.dlq".*?</tr>', page.get("/").text)
    assert row is not None
    assert "3 not resent" in row[0]
    page.post("/topics/orders.dlq/messages/copy", data={"events": "0:1", "to": "orders", "how": "origin"})
    box.append("orders.dlq", "v9", key="k", headers={"dlq.topic": "orders"})
    assert "3 not resent" in page.get("/").text
    page.post("/topics/orders.dlq/clean/empty")
    assert "not resent" not in page.get("/").text


def test_several_topics_are_deleted_with_one_snapshot_and_their_losses_shown(page: FlaskClient, box: Sandbox) -> None:
    for name, count in (("a", 2), ("b", 3), ("c", 4)):
        box.create_topic(name, partitions=1)
        box.append_all(name, [NewEvent(b"v")] * count)
    box.commit("g", "a", 0, 1)
    shown = page.post("/topics/~selected", data={"do": "delete", "topic": ["a", "b"]}).text
    assert "<b>5 events</b>" in shown
    assert "the offsets that 1 group committed" in shown
    assert len(box.topics()) == 3
    done = page.post("/topics/~selected/do", data={"do": "delete", "topic": ["a", "b"]}, follow_redirects=True).text
    assert "2 topics with 5 events are deleted" in done
    assert [topic.topic for topic in box.topics()] == ["c"]
    assert len(box.snapshots.list()) == 1


def test_a_selected_topic_that_kafka_does_not_empty_stays(page: FlaskClient, box: Sandbox) -> None:
    for name, policy in (("plain", "delete"), ("users", "compact")):
        box.create_topic(name, partitions=1, settings={"cleanup.policy": policy})
        box.append(name, "v", key="k")
    form = {"do": "empty", "topic": ["plain", "users"]}
    shown = page.post("/topics/~selected", data=form).text
    assert "Empty 1 topic?" in shown
    assert "stays as it is:" in shown
    page.post("/topics/~selected/do", data=form)
    assert [topic.events for topic in box.topics()] == [0, 1]


@pytest.mark.parametrize("form", [{"do": "delete"}, {"do": "x", "topic": "a"}, {"do": "delete", "topic": "nowhere"}])
def test_a_selection_that_makes_no_sense_is_refused(page: FlaskClient, box: Sandbox, form: dict[str, str]) -> None:
    box.create_topic("a", partitions=1)
    for path in ("/topics/~selected", "/topics/~selected/do"):
        assert page.post(path, data=form).status_code in (400, 404)
    assert len(box.topics()) == 1


def test_an_export_of_more_than_the_page_holds_names_the_command(
    page: FlaskClient, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.create_topic("a", partitions=1)
    box.append_all("a", [NewEvent(b"v")] * 3)
    monkeypatch.setattr(selected, "EXPORT_EVENTS_MAX", 2)
    answer = page.post("/topics/~selected", data={"do": "export", "topic": "a"})
    assert answer.status_code == 400
    assert "sandbox export a -o a.jsonl" in answer.text
