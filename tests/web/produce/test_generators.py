"""The generator's page: a template looked at, started, watched, stopped, saved."""

import html
import re

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.generator.examples import EXAMPLES
from sandbox.generator.placeholders import PLACEHOLDERS
from sandbox.generator.template import EventTemplate
from sandbox.web.produce.generators import form_of, look, template_of

HTMX = {"HX-Request": "true"}
ROOT = "/topics/orders/produce/generators"
FAST = {"rate": "2000", "count": "50", "seed": "4"}


@pytest.fixture
def orders(box: Sandbox) -> Sandbox:
    box.create_topic("orders", partitions=4)
    return box


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_fills_the_form_and_comes_out_of_it_as_it_was(page: FlaskClient, orders: Sandbox, name: str) -> None:
    text = html.unescape(page.get(f"{ROOT}?template={name}").text)
    assert (EXAMPLES[name].value or "")[:40] in text
    assert EXAMPLES[name].description in text
    assert template_of(form_of(EXAMPLES[name])) == EXAMPLES[name]


def test_the_page_lists_every_placeholder(page: FlaskClient, orders: Sandbox) -> None:
    text = html.unescape(page.get(ROOT).text)
    for placeholder in PLACEHOLDERS.values():
        assert f"<code>{{{{{placeholder.usage}}}}}</code>" in text


def test_what_the_page_shows_first_is_what_is_sent_first(page: FlaskClient, orders: Sandbox) -> None:
    template = EventTemplate("{{uuid}}", "k{{pool}}", keys=30, skew=1)
    seen = page.post(f"{ROOT}/preview", data=form_of(template) | FAST, headers=HTMX).text
    shown = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", seen)
    page.post(ROOT, data=form_of(template) | FAST)
    orders.generators.wait(1, 20)
    stored = {(event.value or b"").decode() for event in orders.read("orders")}
    assert len(shown) == 3
    assert set(shown) <= stored


def test_the_spread_over_partitions_is_that_of_the_first_events(orders: Sandbox) -> None:
    seen = look(EventTemplate("v", "k{{pool}}", keys=5, skew=1), orders.topic("orders"), 4)
    orders.generators.start("orders", EventTemplate("v", "k{{pool}}", keys=5, skew=1), rate=2000, count=1000, seed=4)
    assert orders.generators.wait(1, 20).partitions == seen.partitions
    assert sum(events for _, events in seen.partitions) == seen.sampled == 1000


def test_a_run_is_started_seen_and_stopped(page: FlaskClient, orders: Sandbox) -> None:
    answer = page.post(ROOT, data=form_of(EXAMPLES["clicks"]) | {"template": "clicks", "rate": "20"})
    assert answer.status_code == 303
    shown = page.get(answer.location).text
    assert "Done: generator 1 started." in shown
    assert "1 generator running" in shown
    assert 'data-state="running"' in shown
    (run,) = page.get("/produce/generators.json").get_json()["generators"]
    assert (run["topic"], run["template"], run["state"], run["rate"]) == ("orders", "clicks", "running", 20)
    stopped = page.post("/produce/generators/1/stop", data={"within": "orders"}, follow_redirects=True).text
    assert "0 generators running, 1 ended" in stopped
    assert "■</i> stopped" in stopped
    assert page.post("/produce/generators/clear", data={"within": "orders"}, follow_redirects=True).status_code == 200
    assert "No generators running" in page.get(ROOT).text


def test_a_template_that_was_left_as_it_is_keeps_its_name(page: FlaskClient, orders: Sandbox) -> None:
    form = {name: text for name, text in form_of(EXAMPLES["payments"]).items() if name != "description"}
    form["value"] = form["value"].replace("\n", "\r\n")  # as a browser sends it
    page.post(ROOT, data=form | {"template": "payments"} | FAST)
    assert orders.generators.get(1).order.name == "payments"


def test_a_template_that_is_not_there_is_said_to_be_none(page: FlaskClient, orders: Sandbox) -> None:
    answer = page.get(f"{ROOT}?template=nope")
    assert answer.status_code == 404
    assert "There is no template &#39;nope&#39;" in answer.text
    assert "customer-{{pool}}" in answer.text


def test_a_template_that_was_changed_is_shown_again_as_it_was_typed(page: FlaskClient, orders: Sandbox) -> None:
    form = form_of(EXAMPLES["payments"]) | {"template": "payments", "headers": "", "value": "{{seq}} of mine"} | FAST
    shown = html.unescape(page.get(page.post(ROOT, data=form).location).text)
    assert "{{seq}} of mine</textarea>" in shown
    assert "{{same status}}</textarea>" not in shown
    assert "payments, changed" in shown


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"value": "a {{int 1}}"}, "Value, line 1, column 3: {{int 1}}: it takes 2 arguments, not 1"),
        ({"key": "{{nme}}"}, "unknown placeholder 'nme'; did you mean name?"),
        ({"headers": "h: {{same x}}"}, "Header h, line 1, column 1"),
        ({"keys": "0"}, "Keys must be 1 to 100000, not 0"),
        ({"skew": "much"}, "The skew must be a number, not 'much'"),
        ({"rate": "9999"}, "The rate, in events/s, must be 0.01 to 2,000, not 9,999"),
        ({"count": "1.5"}, "The count must be a whole number"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_nothing_starts(
    page: FlaskClient, orders: Sandbox, form: dict[str, str], said: str
) -> None:
    typed = {"key_kind": "template", "value_kind": "template", "key": "k", "value": "v"} | form
    answer = page.post(ROOT, data=typed)
    assert answer.status_code == 400
    assert said in html.unescape(answer.text)
    for text in form.values():
        assert text in html.unescape(answer.text)
    assert orders.generators.list() == ()
    if "rate" not in form:
        assert said in html.unescape(page.post(f"{ROOT}/preview", data=typed, headers=HTMX).text)


def test_a_value_that_looks_like_json_and_is_none_is_pointed_out(page: FlaskClient, orders: Sandbox) -> None:
    seen = page.post(f"{ROOT}/preview", data={"value": '{"a": {{word}}}'}, headers=HTMX).text
    assert "The value of event 1 looks like JSON, but is not" in seen


def test_a_run_that_fails_says_why_on_the_page(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", settings={"max.message.bytes": "100"})
    page.post(ROOT, data={"value": "{{hex 300}}", "rate": "10"})
    box.generators.wait(1, 20)
    assert "MESSAGE_TOO_LARGE" in page.get(ROOT).text


def test_a_template_is_saved_used_deleted_and_brought_back(page: FlaskClient, orders: Sandbox) -> None:
    form = {"value": "{{int 1 6}}", "key": "<b>k</b>", "headers": "h: {{seq}}", "null_percent": "2.5", "keys": "6"}
    answer = page.post(f"{ROOT}/save", data=form | {"name": 'my "dice"'})
    assert "Done: template my &#34;dice&#34; saved." in page.get(answer.location).text
    saved = orders.generators.saved()['my "dice"']
    assert (saved.value, saved.key, saved.null_percent) == ("{{int 1 6}}", "<b>k</b>", 2.5)
    gone = page.post(f"{ROOT}/delete", data={"name": 'my "dice"'}).text
    assert orders.generators.saved() == {}
    kept = html.unescape(re.search(r'name="json" value="([^"]*)"', gone)[1])  # type: ignore[index]
    page.post(f"{ROOT}/save", data={"name": 'my "dice"', "json": kept})
    assert orders.generators.saved() == {'my "dice"': saved}


def test_the_name_of_an_example_is_taken(page: FlaskClient, orders: Sandbox) -> None:
    answer = page.post(f"{ROOT}/save", data={"value": "mine", "name": "orders"})
    assert answer.status_code == 400
    assert "orders is a built-in template: choose another name." in answer.text
    assert "mine</textarea>" in answer.text


def test_the_program_and_the_command_have_the_template_and_the_seed(page: FlaskClient, orders: Sandbox) -> None:
    text = html.unescape(page.get(f"{ROOT}?template=sensors&rate=25&count=40&seed=6").text)
    assert "template.events(seed=6, count=40)" in text
    assert "sandbox generate orders --template sensors --rate 25 --count 40 --seed 6 --file" in text


def test_a_program_stops_a_run_only_with_its_header(page: FlaskClient, orders: Sandbox) -> None:
    orders.generators.start("orders", "clicks", rate=1)
    assert page.post("/produce/generators/1/stop.json").status_code == 403
    answer = page.post("/produce/generators/1/stop.json", headers={"X-Sandbox": "test"})
    assert answer.get_json()["state"] == "stopped"
    assert page.post("/produce/generators/9/stop.json", headers={"X-Sandbox": "test"}).status_code == 404


def test_the_page_without_a_topic_leads_to_one(page: FlaskClient) -> None:
    assert "Create a topic" in page.get("/produce/generators").text
    assert page.get("/produce/generators?topic=nope").status_code == 404
