"""Dead letters: what became of one, what an event became, and the way back to the partition it was in."""

import re
from urllib.parse import unquote

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import Event, Headers, NewEvent
from sandbox.model.messages import MessagePage, MessageQuery
from sandbox.web.messages.dead_letters import Fate, dead_letter, fates_of, letters_of, number_in
from tests.web.produce.test_copy_event import form_in

SENT_BACK = "dlq.sent-back-from"
SPRING = (
    ("kafka_dlt-original-topic", b"orders"),
    ("kafka_dlt-original-partition", b"\0\0\0\x01"),
    ("kafka_dlt-original-offset", b"\0\0\0\0\0\0\0\0"),
    ("kafka_dlt-exception-message", b"no amount"),
)


def told(partition: int, offset: int) -> Headers:
    """The headers of this page's own consumers."""
    place = (("dlq.partition", b"%d" % partition), ("dlq.offset", b"%d" % offset))
    return (("dlq.error", b"no amount"), ("dlq.topic", b"orders"), *place, ("dlq.group", b"billing"))


@pytest.fixture
def refused(box: Sandbox) -> Sandbox:
    """Two events of one key in partition 1 of orders, which the key would not choose now; the second was refused."""
    box.create_topic("orders", partitions=3)
    box.create_topic("orders.dlq", partitions=1)
    assert box.partition_for("orders", b"user-1") != 1
    for value in ("{}", '{"amount": "x"}'):
        box.append("orders", value, key="user-1", partition=1, headers=(("trace", b"1"),))
    box.append("orders.dlq", '{"amount": "x"}', key="user-1", headers=(("trace", b"1"), *told(1, 1)))
    return box


def sent_back(box: Sandbox) -> Event:
    return next(event for event in box.read("orders", limit=100) if SENT_BACK in dict(event.headers))


def test_a_letter_that_was_sent_back_says_as_which_event_and_that_event_says_from_where(
    page: FlaskClient, refused: Sandbox
) -> None:
    assert "Sent back" not in page.get("/topics/orders.dlq/0/0").text
    form = form_in(page.get("/topics/orders/produce?copy=orders.dlq/0/0").text)
    assert form["headers"] == f"trace: 1\r\n{SENT_BACK}: orders.dlq/0/0"
    page.post("/topics/orders/produce", data=form | {"value": '{"amount": 1}'})
    copy = sent_back(refused)
    at = f"{copy.partition} · offset {copy.offset}"
    link = f'Sent back</b> as <a href="/topics/orders/{copy.partition}/{copy.offset}">orders · partition {at}</a>'
    assert link in page.get("/topics/orders.dlq/0/0").text
    inline = page.get("/topics/orders.dlq/0/0?inline=1", headers={"HX-Request": "true"}).text
    assert link in inline
    text = page.get(f"/topics/orders/{copy.partition}/{copy.offset}").text
    assert 'Sent back from <a href="/topics/orders.dlq/0/0">' in text


def test_a_letter_is_found_again_though_its_key_was_mended(page: FlaskClient, refused: Sandbox) -> None:
    form = form_in(page.get("/topics/orders/produce?copy=orders.dlq/0/0").text)
    page.post("/topics/orders/produce", data=form | {"key": "user-2"})
    assert "Sent back</b> as" in page.get("/topics/orders.dlq/0/0").text


def test_an_event_that_was_refused_leads_to_its_dead_letter_and_its_neighbour_does_not(
    page: FlaskClient, refused: Sandbox
) -> None:
    text = page.get("/topics/orders/1/1").text
    assert "Refused</b> by the group <b>billing</b> because: <b>no amount</b>" in text
    assert '<a href="/topics/orders.dlq/0/0">orders.dlq · partition 0 · offset 0</a>' in text
    assert "Refused" not in page.get("/topics/orders/1/0").text


def test_springs_letters_say_their_place_in_bytes(page: FlaskClient, refused: Sandbox) -> None:
    refused.create_topic("orders-dlt", partitions=1)
    letter = dead_letter(refused.append("orders-dlt", "{}", key="user-1", headers=SPRING))
    assert letter is not None
    assert (letter.topic, letter.place, letter.why) == ("orders", (1, 0), "no amount")
    assert '<a href="/topics/orders-dlt/0/0">' in page.get("/topics/orders/1/0").text


def test_springs_numbers_are_drawn_as_numbers_and_their_bytes_stay_visible(page: FlaskClient, refused: Sandbox) -> None:
    refused.create_topic("orders-dlt", partitions=1)
    stamp = 1_767_323_045_006
    more = (("kafka_dlt-original-timestamp", stamp.to_bytes(8, "big")), ("other", b"\0\0\0\x01"))
    refused.append("orders-dlt", "{}", headers=(*SPRING, *more))
    text = page.get("/topics/orders-dlt/0/0").text
    for name, shown, size, written in (
        ("partition", "1", 4, "00 00 00 01"),
        ("offset", "0", 8, "00 00 00 00 00 00 00 00"),
        ("timestamp", f'{stamp} <span class="none"><time', 8, stamp.to_bytes(8, "big").hex(" ")),
    ):
        cell = text.split(f"<bdi>kafka_dlt-original-{name}</bdi></th><td>")[1].split("</td>")[0]
        assert cell.startswith(shown)
        assert f"a number in {size} bytes, as Spring writes it: <code>{written}</code>" in cell
    assert "a number" not in text.split("<bdi>other</bdi></th><td>")[1].split("</td>")[0]


@pytest.mark.parametrize("said", [b"1234", b"\0\0\x01", b"", None])
def test_what_spring_would_not_have_written_is_no_number(said: bytes | None) -> None:
    assert number_in("kafka_dlt-original-partition", said) is None
    assert number_in("trace", b"\0\0\0\x01") is None


def test_an_event_that_kept_the_headers_of_its_refusal_is_no_letter_of_its_own_topic(
    page: FlaskClient, refused: Sandbox
) -> None:
    kept = refused.append("orders", "{}", key="user-1", headers=told(1, 1))
    assert "A dead letter of" not in page.get(f"/topics/orders/{kept.partition}/{kept.offset}").text


def test_a_letter_goes_to_the_partition_that_it_was_in(page: FlaskClient, refused: Sandbox) -> None:
    there = page.get("/topics/orders/produce?copy=orders.dlq/0/0").text
    assert re.search(r'It goes to partition 1, where it was\. <a href="[^"]+">Let its key decide</a>', there)
    assert 'name="mode" value="fixed" checked' in there
    page.post("/topics/orders/produce", data=form_in(there) | {"mode": "fixed", "partition": "1"})
    assert sent_back(refused).partition == 1


def test_the_key_of_a_letter_can_decide_its_partition(page: FlaskClient, refused: Sandbox) -> None:
    text = page.get("/topics/orders/produce?copy=orders.dlq/0/0&mode=key").text
    assert re.search(r'It was in partition 1\. <a href="[^"]+">Send it to partition 1</a>', text)
    assert 'name="mode" value="key" checked' in text


def test_letters_that_are_picked_go_back_to_their_partition_without_their_refusal(
    page: FlaskClient, refused: Sandbox
) -> None:
    address = "/topics/orders.dlq/messages/send?events=0:0"
    preview = page.get(address).text
    assert '<option value="origin" selected>' in preview
    assert "without the headers that told of the refusal" in preview
    assert f"headers.append((&#39;{SENT_BACK}&#39;" in preview
    assert "partition=int(dict(message.headers())[&#39;dlq.partition&#39;])" in preview
    form = dict(
        re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', preview.split('class="inline go"')[1])
    )
    assert form == {"events": "0:0", "to": "orders", "how": "origin"}
    page.post("/topics/orders.dlq/messages/copy", data=form)
    copy = sent_back(refused)
    assert (copy.partition, copy.headers) == (1, (("trace", b"1"), (SENT_BACK, b"orders.dlq/0/0")))
    page.post("/topics/orders.dlq/messages/copy", data=form | {"headers": "kept"})
    assert refused.event("orders", 1, copy.offset + 1).headers == (("trace", b"1"), *told(1, 1))
    elsewhere = page.get(f"{address}&to=orders.dlq").text
    assert 'value="origin"' not in elsewhere
    assert 'name="headers"' not in elsewhere


def test_a_letter_that_does_not_say_its_partition_is_refused_there(page: FlaskClient, refused: Sandbox) -> None:
    refused.append("orders.dlq", "{}", headers=(("dlq.topic", b"orders"),))
    answer = page.post("/topics/orders.dlq/messages/copy", data={"events": "0:0-1", "to": "orders", "how": "origin"})
    assert (answer.status_code, "does not say which of the 3 partitions" in answer.text) == (400, True)
    assert len(refused.read("orders", limit=100)) == 2


def test_a_list_of_dead_letters_shows_why_until_the_column_is_taken_out(page: FlaskClient, refused: Sandbox) -> None:
    heading = '<span class="visually-hidden">Header </span>dlq.error</a></th>'
    text = page.get("/topics/orders.dlq/messages").text
    assert heading in text
    assert "<bdi>no amount</bdi>" in text
    remove = re.search(r'<a href="([^"]+)" aria-label="Remove the column header dlq.error">', text)
    assert remove is not None
    without = page.get(remove[1]).text
    assert heading not in without
    assert 'href="/topics/orders.dlq/messages.json?col="' in without
    assert '<input type="hidden" name="col" value="">' in without
    assert heading not in page.get("/topics/orders/messages").text


@pytest.mark.parametrize(
    ("topic", "of"),
    [
        ("orders.dlq", "orders"),
        ("orders-dlt", "orders"),
        ("orders.DLT", "orders"),
        ("orders-dead-letter-queue", "orders"),
        ("dlq-orders", "orders"),
        ("dead_letters", ""),
        ("orders", None),
        ("saddlty", None),
    ],
)
def test_a_topic_of_dead_letters_is_known_by_its_name(topic: str, of: str | None) -> None:
    assert letters_of(topic) == of


@pytest.mark.parametrize("topic", ["orders.dlq", "payments-dead-letters"])
def test_a_letter_that_says_not_where_it_was_says_that_and_asks_where_it_is_to_go(
    page: FlaskClient, refused: Sandbox, topic: str
) -> None:
    likely = topic == "orders.dlq"
    if not likely:
        refused.create_topic(topic, partitions=1)
    letter = refused.append(topic, "{}", key="user-1", headers=(("reason", b"no amount"),))
    text = page.get(f"/topics/{topic}/0/{letter.offset}").text
    assert "this event's former place is unknown" in text
    for name in ("dlq.topic", "kafka_dlt-original-topic", "__connect.errors.topic"):
        assert f"<code>{name}</code>" in text
    assert ('it may be of <a href="/topics/orders">orders</a>' in text) is likely
    assert f"Send again to {topic}</button>" in text
    edit = re.search(r'<a class="button" href="([^"]+)">Edit and send to …</a>', text)
    assert edit is not None
    form = page.get(edit[1].replace("&amp;", "&")).text
    assert "no header of it says where it was before" in form
    chosen = re.findall(r"<option selected>([^<]+)</option>", form)
    assert chosen == (["orders"] if likely else [])
    assert ('id="produce-topic" required><option value="">choose one</option>' in form) is not likely
    itself = page.get(f"/topics/{topic}/produce?copy={topic}/0/{letter.offset}").text
    assert f"This form sends it into <b>{topic}</b> once more." in itself
    assert f'href="/produce?copy={topic}/0/{letter.offset}">Choose another topic</a>' in itself


def test_without_a_topic_nothing_is_sent_and_nothing_is_said_of_partitions(page: FlaskClient, refused: Sandbox) -> None:
    form = {"topic": "", "value": "{}", "key": "user-1"}
    preview = page.post("/produce/preview", data=form).text
    assert "Choose the topic" in preview
    assert page.post("/produce/program", data=form).headers["HX-Reswap"] == "none"
    answer = page.post("/produce", data=form)
    assert (answer.status_code, "Choose the topic first. Nothing was sent." in answer.text) == (400, True)
    assert '<option value="">choose one</option>' in answer.text
    assert sum(topic.events for topic in refused.topics()) == 3


def test_a_letter_of_a_topic_that_is_not_here_says_so(page: FlaskClient, refused: Sandbox) -> None:
    letter = refused.append("orders.dlq", "{}", headers=(("__connect.errors.topic", b"<gone>"),))
    text = page.get(f"/topics/orders.dlq/0/{letter.offset}").text
    assert "A dead letter of <b>&lt;gone&gt;</b>, according to its headers; there is no such topic here." in text


def letters(box: Sandbox) -> list[Event]:
    return box.read("orders.dlq", limit=100)


def send_back(page: FlaskClient, box: Sandbox, offset: int) -> Event:
    """Send a letter of orders.dlq back, and return it as it is stored in orders."""
    page.post("/topics/orders.dlq/messages/copy", data={"events": f"0:{offset}", "to": "orders"})
    place = f"orders.dlq/0/{offset}".encode()
    return [event for event in box.read("orders", limit=100) if dict(event.headers).get(SENT_BACK) == place][-1]


def refuse(box: Sandbox, event: Event, *, keeps: bool) -> Event:
    """Let a consumer refuse an event of orders."""
    headers = event.headers if keeps else ()
    more = told(event.partition, event.offset)
    return box.append("orders.dlq", event.value, key=event.key, headers=(*headers, *more))


@pytest.mark.parametrize("keeps", [True, False], ids=["headers are kept", "headers are dropped"])
def test_a_letter_that_was_refused_again_does_not_pass_for_mended(
    page: FlaskClient, refused: Sandbox, keeps: bool
) -> None:
    copy = send_back(page, refused, 0)
    assert fates_of_page(page, letters(refused))[0] == Fate(("orders", copy.partition, copy.offset), None)
    assert "Sent back</b> as" in page.get("/topics/orders.dlq/0/0").text
    refuse(refused, copy, keeps=keeps)
    text = page.get("/topics/orders.dlq/0/0").text
    assert "Sent back, and refused again:</b>" in text
    assert 'which became the dead letter <a href="/topics/orders.dlq/0/1">' in text
    assert '<b class="back">' not in text
    assert fates_of_page(page, letters(refused))[0] == Fate(
        ("orders", copy.partition, copy.offset), ("orders.dlq", 0, 1)
    )
    second = send_back(page, refused, 1)
    assert "Sent back</b> as" in page.get("/topics/orders.dlq/0/1").text
    assert "Sent back, and refused again:</b>" in page.get("/topics/orders.dlq/0/0").text
    assert fates_of_page(page, letters(refused))[1] == Fate(("orders", second.partition, second.offset), None)


def test_a_letter_whose_newest_return_was_not_refused_is_not_called_refused_again(
    page: FlaskClient, refused: Sandbox
) -> None:
    refuse(refused, send_back(page, refused, 0), keeps=True)
    newest = send_back(page, refused, 0)
    text = page.get("/topics/orders.dlq/0/0").text
    assert "Sent back</b> as" in text
    assert "refused again" not in text
    assert fates_of_page(page, letters(refused)) == {0: Fate(("orders", newest.partition, newest.offset), None)}


def fates_of_page(page: FlaskClient, letters: list[Event]) -> dict[int, Fate]:
    """What became of letters of orders.dlq, by offset."""
    with page.application.test_request_context():
        return {offset: fate for (_, offset), fate in fates_of(letters).items()}


def test_the_list_marks_letters_that_were_sent_back_and_those_refused_again(
    page: FlaskClient, refused: Sandbox
) -> None:
    refuse(refused, send_back(page, refused, 0), keeps=True)
    copy = send_back(page, refused, 1)
    rows = page.get("/topics/orders.dlq/messages?order=oldest").text.split('<tbody id="m-0-')[1:]
    assert len(rows) == 2
    assert 'which became the dead letter orders.dlq · partition 0 · offset 1">refused again</span>' in rows[0]
    where = f"orders · partition {copy.partition} · offset {copy.offset}"
    assert f'title="Sent back as {where}">sent back</span>' in rows[1]
    assert "refused again" not in rows[1]
    text = page.get("/topics/orders/messages").text
    assert "sent back</span>" not in text


def test_a_page_of_letters_is_looked_up_in_two_looks(
    page: FlaskClient, refused: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(50):
        refused.append("orders.dlq", "{}", key=f"user-{n}", headers=told(1, 100 + n))
    send_back(page, refused, 7)
    page_of_letters = letters(refused)
    looks: list[str] = []
    look = Sandbox.messages

    def count(box: Sandbox, query: MessageQuery) -> MessagePage:
        looks.append(query.topic)
        return look(box, query)

    monkeypatch.setattr(Sandbox, "messages", count)
    assert list(fates_of_page(page, page_of_letters)) == [7]
    assert looks == ["orders", "orders.dlq"]
    looks.clear()
    page.get("/topics/orders/messages")
    assert looks == ["orders"]
    looks.clear()
    page.get("/topics/orders.dlq/messages")
    assert looks == ["orders.dlq", "orders", "orders.dlq"]


def test_a_letter_that_could_not_be_looked_up_in_time_is_not_told_as_never_sent_back(
    page: FlaskClient, refused: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 'id="unsure"' not in page.get("/topics/orders.dlq/0/0").text
    refused.append_many("orders", [NewEvent(b"x", None, (("trace", b"1"),))] * 3_000)
    monkeypatch.setattr("sandbox.web.messages.dead_letters.LOOK_BUDGET_MS", 0)
    text = page.get("/topics/orders.dlq/0/0").text
    assert "Fix and resend" in text
    (address,) = re.findall('id="unsure">[^<]*<a href="([^"]+)"', text)
    assert f"{SENT_BACK}=orders.dlq/0/0" in unquote(address)
    assert "No event matches" in page.get(address).text
