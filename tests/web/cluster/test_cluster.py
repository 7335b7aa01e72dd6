"""Cluster: brokers, leaders, faults and clients on the page, and the doors that programs use."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.model.brokers import ApiUse, ClientDescription
from sandbox.model.overview import Change
from sandbox.web.app import create_app
from sandbox.web.cluster.json import all_uses
from sandbox.web.responses import NOTHING

PROGRAM = {"X-Sandbox": "test"}


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "cluster.db", brokers=3) as sandbox:
        yield sandbox


@pytest.fixture
def page(three: Sandbox) -> FlaskClient:
    return create_app(three).test_client()


def create(sandbox: Sandbox, topic: str, partitions: int, replicas: int, **settings: str) -> None:
    named = {name.replace("_", "."): value for name, value in settings.items()}
    sandbox._runtime.call(
        lambda now_ms: sandbox._broker.create_topic(
            topic, now_ms, partitions=partitions, replication_factor=replicas, settings=named
        )
    )


def leaders(page: FlaskClient) -> dict[tuple[str, int], tuple[int, int]]:
    """(topic, partition) to (leader, leader epoch)."""
    found = page.get("/cluster.json").get_json()["partitions"]
    return {(one["topic"], one["partition"]): (one["leader"], one["leader_epoch"]) for one in found}


def rows(html: str, table: str) -> list[dict[str, str]]:
    """The data-* attributes of each row of a table."""
    body = html.partition(f'id="{table}"')[2].partition("</table>")[0]
    return [dict(re.findall(r'data-([a-z-]+)="([^"]*)"', row)) for row in re.findall(r"<tr [^>]*data-[^>]*>", body)]


def test_the_brokers_and_the_leaders_are_shown_and_are_data(page: FlaskClient, three: Sandbox) -> None:
    create(three, "orders", 6, 3)
    told = page.get("/cluster.json").get_json()
    assert told["replication"] == "simulated"
    assert [(one["broker"], one["up"], one["leader_count"]) for one in told["brokers"]] == [
        (1, True, 2),
        (2, True, 2),
        (3, True, 2),
    ]
    html = page.get("/cluster").text
    assert "Replication is simulated" in html
    assert [row["leads"] for row in rows(html, "brokers-table")] == ["2", "2", "2"]
    shown = {(row["topic"], int(row["partition"])): int(row["leader"]) for row in rows(html, "leaders-table")}
    assert shown == {place: leader for place, (leader, _) in leaders(page).items()}


def test_a_stop_is_previewed_and_does_what_the_preview_said(page: FlaskClient, three: Sandbox) -> None:
    create(three, "orders", 6, 3, min_insync_replicas="3")
    create(three, "single", 3, 1)
    before = leaders(page)
    preview = page.get("/cluster/brokers/2/stop").text
    promised = {(row["topic"], int(row["partition"])): int(row["after"]) for row in rows(preview, "moves-table")}
    assert leaders(page) == before
    assert "NOT_ENOUGH_REPLICAS</code> in orders" in preview
    assert "left without leader" in preview
    answer = page.post("/cluster/brokers/2/stop", follow_redirects=True).text
    assert "Done: broker 2 is down, 2 partitions got another leader, 1 partition has no leader now." in answer
    after = leaders(page)
    changed = {place: leader for place, (leader, _) in after.items() if leader != before[place][0]}
    assert changed == promised
    assert sorted(changed.values()).count(-1) == 1
    assert all(after[place][1] == before[place][1] + 1 for place in changed)
    assert 'data-leaderless="1"' in answer
    assert [row["up"] for row in rows(answer, "brokers-table")] == ["true", "false", "true"]


def test_a_started_broker_leads_what_had_no_leader_and_the_rest_when_preferred(
    page: FlaskClient, three: Sandbox
) -> None:
    create(three, "orders", 6, 3)
    create(three, "single", 3, 1)
    before = leaders(page)
    page.post("/cluster/brokers/2/stop")
    moves = page.get("/cluster/brokers/2/start.json").get_json()["moves"]
    assert [(move["topic"], move["before"], move["after"]) for move in moves] == [("single", -1, 2)]
    started = page.post("/cluster/brokers/2/start", follow_redirects=True).text
    assert "Done: broker 2 is up, 1 partition has a leader again." in started
    assert leaders(page)[("single", moves[0]["partition"])][0] == 2
    answer = page.post("/cluster/prefer", follow_redirects=True).text
    assert "2 partitions went back to the preferred leader" in answer
    assert {place: leader for place, (leader, _) in leaders(page).items()} == {
        place: leader for place, (leader, _) in before.items()
    }


def test_a_leader_is_moved_and_a_refusal_says_why(page: FlaskClient, three: Sandbox) -> None:
    create(three, "orders", 1, 3)
    (leader, epoch) = leaders(page)[("orders", 0)]
    other = leader % 3 + 1
    fields = {"topic": "orders", "partition": "0", "broker": str(other)}
    assert f"broker {other} leads orders" in page.post("/cluster/leader", data=fields, follow_redirects=True).text
    assert leaders(page)[("orders", 0)] == (other, epoch + 1)
    assert "leads that partition already" in page.post("/cluster/leader", data=fields, follow_redirects=True).text
    wrong = page.post("/cluster/leader", data=fields | {"broker": "two"}, follow_redirects=True).text
    assert "broker must be a whole number" in wrong
    assert "There is no broker 7" in page.post("/cluster/brokers/7/stop", follow_redirects=True).text


def test_one_broker_and_no_topic_say_how_to_get_more(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "one.db") as sandbox:
        html = create_app(sandbox).test_client().get("/cluster").text
    assert "sandbox up --brokers 3" in html
    assert "--replication-factor 3" in html


def test_many_partitions_come_a_hundred_at_a_time_and_can_be_filtered(page: FlaskClient, three: Sandbox) -> None:
    create(three, "wide", 250, 3)
    create(three, "narrow", 1, 3)
    assert len(rows(page.get("/cluster").text, "leaders-table")) == 100
    assert len(rows(page.get("/cluster?page=3").text, "leaders-table")) == 51
    assert [row["topic"] for row in rows(page.get("/cluster?q=NARR").text, "leaders-table")] == ["narrow"]
    assert "No topic has “zzz” in its name" in page.get("/cluster?q=zzz").text


def test_a_fault_is_injected_from_the_form_listed_labelled_everywhere_and_removed(
    page: FlaskClient, three: Sandbox
) -> None:
    form = {"api": "Produce", "topic": "orders", "error": "INVALID_RECORD", "times": "2", "probability": "0.5"}
    answer = page.post("/faults", data=form, follow_redirects=True).text
    assert "injected fault 1: Produce, topic orders: answered INVALID_RECORD" in answer
    (fault,) = three.faults.list()
    assert (fault.topic, fault.error, fault.times, fault.probability) == ("orders", "INVALID_RECORD", 2, 0.5)
    page.post("/faults", data={"latency_ms": "10", "drop": "1", "broker": "3"})
    for address in ("/", "/groups", "/produce", "/help", "/cluster", "/nowhere"):
        assert '<a class="injected" href="/cluster#faults" data-faults="2">' in page.get(address).text
    page.post("/faults/1/remove")
    assert 'data-faults="1"' in page.get("/").text
    assert "There is no fault 1" in page.post("/faults/1/remove", follow_redirects=True).text
    page.post("/faults/clear")
    assert three.faults.list() == ()
    assert 'class="injected"' not in page.get("/").text


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"topic": "orders"}, "Say what shall happen"),
        ({"drop": "1", "times": "often"}, "times must be a whole number"),
        ({"drop": "1", "probability": "nan"}, "probability is above 0"),
        ({"api": "Nonsense", "drop": "1"}, "There is no API"),
        ({"error": "NO_SUCH"}, "not one of Kafka"),
    ],
)
def test_a_fault_that_could_not_be_is_refused_with_the_form_kept(
    page: FlaskClient, three: Sandbox, form: dict[str, str], reason: str
) -> None:
    answer = page.post("/faults", data=form | {"client_id": "kept-as-written"})
    assert answer.status_code == 400
    assert reason in answer.text
    assert 'value="kept-as-written"' in answer.text
    assert three.faults.list() == ()


def test_a_program_injects_and_stops_brokers_with_json(page: FlaskClient, three: Sandbox) -> None:
    create(three, "orders", 3, 3)
    told = page.post("/faults.json", json={"api": "Fetch", "throttle_ms": 50}, headers=PROGRAM).get_json()
    assert (told["fault"]["id"], told["fault"]["text"]) == (1, "Fetch: throttled 50 ms")
    assert page.get("/faults.json").get_json()["faults"] == [told["fault"]]
    stopped = page.post("/cluster/brokers/1/stop.json", headers=PROGRAM).get_json()
    assert [move["before"] for move in stopped["moves"]] == [1]
    refused = page.post("/cluster/brokers/1/stop.json", headers=PROGRAM)
    assert (refused.status_code, refused.get_json()["error"]) == (400, "BROKER_NOT_AVAILABLE")
    missing = page.post("/cluster/leader.json", json={"topic": "no", "partition": 0, "broker": 2}, headers=PROGRAM)
    assert (missing.status_code, missing.get_json()["error"]) == (404, "UNKNOWN_TOPIC_OR_PARTITION")
    bad = page.post("/faults.json", data="[1]", content_type="application/json", headers=PROGRAM)
    assert bad.get_json()["message"].startswith("The body must be one JSON object")


@pytest.mark.parametrize("address", ["/faults.json", "/faults/clear.json", "/cluster/brokers/1/stop.json"])
def test_another_site_cannot_use_the_doors_of_programs(page: FlaskClient, three: Sandbox, address: str) -> None:
    # What a page of another site can send without asking first: a simple request, also one without Origin.
    plain = {"data": '{"drop": true}', "content_type": "text/plain"}
    body: dict[str, Any] = plain
    assert page.post(address, **body).status_code == 403
    assert page.post(address, **body, headers=PROGRAM | {"Origin": "http://evil.example"}).status_code == 403
    assert (
        page.options(address, headers={"Origin": "http://evil.example"}).headers.get("Access-Control-Allow-Origin")
        is None
    )
    assert three.faults.list() == ()
    assert all(broker.up for broker in three.brokers.list())


def test_changes_of_the_cluster_are_told_to_every_open_page(three: Sandbox) -> None:
    create(three, "orders", 3, 1)
    told: list[Change] = []
    three.subscribe(told.append)
    three.brokers.stop(2)
    injection = three.inject("Produce", error="INVALID_RECORD")
    injection.remove()
    assert [change.kind for change in told].count("cluster") == 3
    assert all(NOTHING.concerns(change) for change in told if change.kind == "cluster")


def test_clients_are_listed_with_their_software_and_what_they_asked_for(three: Sandbox) -> None:
    three.create_topic("orders", partitions=1)
    three.serve(kafka_port=0, web_port=None)
    page = create_app(three).test_client()
    producer = Producer({"bootstrap.servers": three.kafka_address or "", "client.id": "shop", "linger.ms": 0})
    for _ in range(3):
        producer.produce("orders", b"x")
        assert producer.flush(30) == 0
    mine = [one for one in page.get("/cluster.json").get_json()["clients"] if one["client_id"] == "shop"]
    assert mine
    assert {one["software"].partition(" ")[0] for one in mine} <= {"confluent-kafka-python", "librdkafka"}
    uses = {use["api"]: use for one in mine for use in one["apis"] if use["api"] == "Produce"}
    assert uses["Produce"]["requests"] == 3
    assert 0 < uses["Produce"]["mean_ms"] < 5000
    html = page.get("/cluster").text
    assert 'data-client="shop"' in html
    assert 'data-api="Produce" data-requests="3"' in html


def test_hits_are_counted_and_told_newest_first(three: Sandbox) -> None:
    three.create_topic("orders", partitions=1)
    three.serve(kafka_port=0, web_port=None)
    page = create_app(three).test_client()
    page.post("/faults", data={"api": "Produce", "error": "INVALID_RECORD", "times": "1"})
    producer = Producer({"bootstrap.servers": three.kafka_address or "", "client.id": "shop", "log_level": 0})
    producer.produce("orders", b"x")
    assert producer.flush(30) == 0
    told = page.get("/faults.json").get_json()
    assert (told["faults"][0]["hits"], told["faults"][0]["used_up"]) == (1, True)
    assert [(hit["api"], hit["client_id"], hit["fault"]) for hit in told["hits"]] == [("Produce", "shop", 1)]
    html = page.get("/cluster").text
    assert "used up" in html
    assert '<li data-fault="1" data-api="Produce">' in html
    assert 'class="injected"' not in html


def test_what_all_clients_ask_for_is_summed_up_by_api() -> None:
    def client(*apis: ApiUse) -> ClientDescription:
        return ClientDescription("c", "127.0.0.1:1", 1, "", 0, apis)

    produce, fetch = ApiUse("Produce", 3, 2.0, 9.0), ApiUse("Fetch", 1, None, None)
    assert all_uses([client(produce, fetch), client(ApiUse("Produce", 1, 6.0, 7.0))]) == [
        ApiUse("Produce", 4, 3.0, 9.0),
        ApiUse("Fetch", 1, None, None),
    ]


def test_the_broker_settings_that_are_not_the_default_are_shown_with_their_source(tmp_path: Path) -> None:
    settings = {"num.partitions": "4", "num.io.threads": "2"}
    with Sandbox(tmp_path / "set.db", settings=settings) as sandbox:
        sandbox._runtime.call(
            lambda now_ms: sandbox._broker.resources.alter("broker", "", {"log.retention.ms": "9", "x.password": "p"})
        )
        page = create_app(sandbox).test_client()
        html = page.get("/cluster").text
        shown = re.findall(r'data-setting="([^"]*)" data-value="([^"]*)" data-source="([^"]*)"', html)
        assert shown == [
            ("log.retention.ms", "9", "DYNAMIC_DEFAULT_BROKER_CONFIG"),
            ("num.io.threads", "2", "STATIC_BROKER_CONFIG"),
            ("num.partitions", "4", "STATIC_BROKER_CONFIG"),
            ("x.password", "", "DYNAMIC_DEFAULT_BROKER_CONFIG"),
        ]
        assert html.count("no effect here") == 2
        (given,) = (one for one in page.get("/cluster.json").get_json()["settings"] if one["name"] == "num.partitions")
        assert given == {
            "name": "num.partitions",
            "value": "4",
            "default": "1",
            "source": "STATIC_BROKER_CONFIG",
            "in_effect": True,
        }


def test_a_page_without_changed_settings_says_so(page: FlaskClient) -> None:
    assert "Every broker setting has its default." in page.get("/cluster").text
    assert page.get("/cluster.json").get_json()["settings"] == []
