"""Playground: start, press the buttons, read what happened; over real consumers."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.web.app import create_app
from tests.playground.playground_room import SESSION_MS, WITHIN_S, eventually, fill, ground
from tests.web.hostile import SCRIPT, VALUES

HTMX = {"HX-Request": "true"}


@pytest.fixture
def playing(file: Path) -> Iterator[Sandbox]:
    with ground(file) as sandbox:
        yield sandbox


@pytest.fixture
def player(playing: Sandbox) -> FlaskClient:
    return create_app(playing).test_client()


def begin(player: FlaskClient, **more: object) -> Any:
    form = {"group": "billing", "topic": "orders", "rate": "", **more}
    return player.post("/playground/start", data=form)


def consumer(player: FlaskClient, number: int) -> dict[str, Any]:
    found = player.get(f"/playground/{number}.json").get_json()
    assert isinstance(found, dict)
    return found


def until(player: FlaskClient, number: int, processed: int) -> None:
    def done() -> bool:
        return bool(consumer(player, number)["counts"].get("processed", 0) >= processed)

    eventually(done, WITHIN_S, f"consumer {number} has processed {processed}")


def test_without_a_topic_the_page_teaches_and_without_a_port_it_says_why(page: FlaskClient, box: Sandbox) -> None:
    html = page.get("/playground").text
    assert "Create a topic" in html
    assert "No consumer yet" in html
    box.create_topic("orders")
    html = page.get("/playground").text
    assert re.search(r'id="play-go" disabled aria-describedby="play-why"', html)
    assert "No Kafka port is open" in html
    answer = page.post("/playground/start", data={"group": "billing", "topic": "orders"})
    assert (answer.status_code, "Nothing was started" in answer.text) == (400, True)


def test_a_crash_and_its_redelivery_are_on_the_page(player: FlaskClient, playing: Sandbox) -> None:
    fill(playing, "orders", 3)
    assert begin(player, commit="never", session_timeout_ms=SESSION_MS).status_code == 303
    until(player, 1, 3)
    assert player.post("/playground/1/crash").status_code == 303
    html = player.get("/playground").text
    assert re.search(r'data-consumer="1" data-state="crashed"', html)
    assert "injected: skips commits" in html
    assert "crashed: until its session ends at <time" in html
    assert "Its group waits for it until its session ends, at <time" in html

    said = player.post("/playground/1/again", headers=HTMX)
    assert "started playground-2, like playground-1" in said.text
    until(player, 2, 3)
    html = player.get("/playground").text
    assert re.search(r'data-consumer="2" data-state="running" data-redelivered="3"', html)
    assert html.count('data-again="true"') == 3
    assert "Its session has ended, and its group continues without it." in html
    assert re.search(r"1 member, took [^<]+", html)
    told = player.get("/playground.json").get_json()
    assert [one["state"] for one in told["consumers"]] == ["crashed", "running"]
    assert (told["groups"][0]["processed"], told["groups"][0]["redelivered"]) == (6, 3)


def test_the_program_follows_the_form(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("earthquakes")
    box.create_topic("orders")
    form = {"group": "g", "topic": "orders", "fail_contains": "flat white", "then": "dlq"}
    text = unescape(page.post("/playground/program", data=form).text)
    assert "'orders'" in text or '"orders"' in text
    assert "flat white" in text
    compile(re.findall(r'<pre id="play-code"[^>]*>(.*?)</pre>', text, re.DOTALL)[0], "program", "exec")
    assert "earthquakes" not in text


def test_what_was_chosen_stays_for_the_next_start(player: FlaskClient, playing: Sandbox) -> None:
    fill(playing, "aaa", 1)
    fill(playing, "orders", 1)
    answer = begin(player, fail_contains="flat white", retries="2", count="1")
    html = player.get(answer.location).text
    assert "<option selected>orders</option>" in html
    assert 'name="group" value="billing"' in html
    assert 'name="fail_contains" value="flat white"' in html
    assert '<option value="5" selected>' not in html
    assert "dead letters <b>(2 changed)</b></summary>" in html
    plain = player.get("/playground").text
    assert "<option selected>orders</option>" in plain
    assert 'value="flat white"' not in plain
    assert "changed)</b>" not in plain
    playing.playground.stop_group("billing")
    playing.delete_topic("orders")
    assert "<option>aaa</option>" in player.get("/playground").text


def test_a_form_that_makes_no_sense_is_given_back_as_it_was(player: FlaskClient, playing: Sandbox) -> None:
    fill(playing, "orders", 1)
    for more, why in (
        ({"rate": "fast"}, "must be a number"),
        ({"slow_ms": "x"}, "slow_ms must be a whole number"),
        ({"count": "9"}, "Start 1 to 8"),
        ({"protocol": "consumer", "assignor": "range", "group": ""}, "A group id has"),
        ({"protocol": "consumer", "assignor": "roundrobin"}, "has the assignors uniform, range"),
    ):
        answer = begin(player, fail_contains="kept", **more)
        assert (answer.status_code, why in answer.text, 'value="kept"' in answer.text) == (400, True, True)
    assert playing.playground.consumers() == ()


def test_the_buttons_of_a_consumer_and_its_own_page(player: FlaskClient, playing: Sandbox) -> None:
    fill(playing, "orders", 4)
    begin(player, paused="1", commit="never")
    eventually(lambda: consumer(player, 1)["assignment"], WITHIN_S, "it has its partition")
    player.post("/playground/1/poll")
    until(player, 1, 1)
    player.post("/playground/1/commit")
    eventually(lambda: playing.lag("billing")[0].committed == 1, WITHIN_S, "it has committed")
    player.post("/playground/1/change", data={"slow_ms": "1", "commit": "after", "fail_contains": "v2", "then": "skip"})
    player.post("/playground/1/resume")
    eventually(lambda: playing.lag("billing")[0].committed == 4, WITHIN_S, "it went to the end")
    html = player.get("/playground/1").text
    assert "injected: poison: events with “v2” fail" in html
    assert re.findall(r'data-outcome="([a-z]+)"', html) == ["processed", "skipped", "processed", "processed"]
    assert "\"group.id\": 'billing'" in unescape(html)

    player.post("/playground/1/seek", data={"which": "orders:0", "to": "offset", "at": "3"})
    until(player, 1, 4)
    assert "Say to which offset" in player.post("/playground/1/seek", data={"to": "offset"}, headers=HTMX).text
    player.post("/playground/group/stop", data={"group": "billing"})
    assert consumer(player, 1)["state"] == "closed"
    player.post("/playground/group/forget", data={"group": "billing"})
    assert player.get("/playground/1").status_code == 404


def test_idle_members_are_explained(player: FlaskClient, playing: Sandbox) -> None:
    fill(playing, "orders", 1)
    begin(player, count="2")
    why = "idle: each of the 1 partitions has an owner, and there are 2 members"
    eventually(lambda: why in player.get("/playground").text, WITHIN_S, "the idle one is explained")


def test_a_scenario_is_set_up_played_and_removed(player: FlaskClient, playing: Sandbox) -> None:
    assert "Set it up" in player.get("/playground/scenarios/idle-members").text
    answer = player.post("/playground/scenarios/idle-members/start")
    assert answer.status_code == 303

    def done(number: int) -> None:
        def reached() -> bool:
            html = player.get("/playground/scenarios/idle-members").text
            return f'data-done="{number}"' in html

        eventually(reached, WITHIN_S, f"step {number} is done")

    done(1)
    html = player.get("/playground/scenarios/idle-members").text
    assert 'class="primary" id="do-another"' in html
    player.post("/playground/scenarios/idle-members/do", data={"action": "another"})
    done(2)
    assert player.get("/playground/scenarios/idle-members.json").get_json()["running"] is True
    assert "step 3 of 4" in player.get("/playground").text
    player.post("/playground/scenarios/idle-members/remove")
    assert playing.topics() == ()
    assert player.get("/playground/scenarios/nothing").status_code == 404


def test_what_is_in_events_and_names_is_text_and_nothing_else(player: FlaskClient, playing: Sandbox) -> None:
    playing.create_topic("orders", partitions=1)
    for value in VALUES.values():
        playing.append("orders", value, key=SCRIPT)
    begin(player, group=SCRIPT.decode(), fail_contains=SCRIPT.decode(), retries="0", then="skip")
    eventually(lambda: consumer(player, 1)["counts"].get("skipped") == len(VALUES), WITHIN_S, "all are handled")
    for address in ("/playground", "/playground/1"):
        html = player.get(address).text
        assert SCRIPT.decode() not in html
        assert "&lt;script&gt;" in html
        assert len(html) < 100_000
    html = player.get("/playground/1").text
    assert '<span class="kind">null</span>' in html
    assert '<span class="kind">empty</span>' in html
    assert '<span class="kind">bytes</span>' in html
    assert "9007199254740993" in html


def test_a_form_goes_back_to_a_page_of_the_playground_only(player: FlaskClient, playing: Sandbox) -> None:
    for back in ("https://elsewhere.example", "//elsewhere.example", "/playground\\..", "/topics"):
        answer = player.post("/playground/9/pause", data={"back": back})
        assert answer.location == "/playground"
        assert "Nothing was changed" in player.get(answer.location).text
