"""The live part of a page is what the page shows, and changes only when it must."""

import asyncio
import logging
import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.model.overview import Change
from sandbox.web import live
from sandbox.web.app import create_app
from sandbox.web.live import Hub, render_view
from sandbox.web.responses import Interest
from sandbox.web.serving import Message
from tests.clock import Clock


class Window:
    """A tab as the hub sees it: what it is sent, and what it says."""

    def __init__(self, hub: Hub, view: str) -> None:
        self.sent: asyncio.Queue[str] = asyncio.Queue()
        self._said: asyncio.Queue[Message] = asyncio.Queue()
        self._said.put_nowait({"type": "websocket.connect"})
        headers = [(b"host", b"127.0.0.1"), (b"origin", b"http://127.0.0.1")]
        query = f"view={view}".encode()
        scope = {"type": "websocket", "path": "/live", "query_string": query, "headers": headers}
        self._served = asyncio.create_task(hub(scope, self._said.get, self._take))

    async def _take(self, message: Message) -> None:
        if message["type"] == "websocket.send":
            self.sent.put_nowait(message["text"])

    async def shown(self, answer: str | None = "ok") -> str:
        """The next message that it gets; it answers."""
        text = await asyncio.wait_for(self.sent.get(), 10)
        if answer:
            self.say(answer)
        return text

    def say(self, text: str) -> None:
        self._said.put_nowait({"type": "websocket.receive", "text": text})

    async def close(self) -> None:
        self._said.put_nowait({"type": "websocket.disconnect"})
        await asyncio.wait_for(self._served, 10)


def _change(topics: set[str], groups: set[str]) -> Change:
    return Change("events", frozenset(topics), frozenset(groups), 0)


def test_a_view_is_rendered_as_parts_to_swap(app: Flask, page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("t", partitions=1)
    box.append("t", "hello")
    rendered = render_view(app, "/topics/t/messages")
    assert '<section id="live" class="events" hx-swap-oob="morph"' in rendered.html
    assert "<html" not in rendered.html
    assert 'id="m-0-0"' in rendered.html
    in_page = re.findall(r'<tbody id="m-0-0".*?</tbody>', page.get("/topics/t/messages").text, re.S)
    assert in_page == re.findall(r'<tbody id="m-0-0".*?</tbody>', rendered.html, re.S)


def test_a_view_that_did_not_change_is_rendered_the_same(tmp_path: Path) -> None:
    # With a clock that stands still: ages and the bars of a rate move with the time.
    with Sandbox(tmp_path / "still.db", clock=Clock()) as box:
        app = create_app(box)
        box.create_topic("t", partitions=1)
        box.append("t", "hello")
        for view in ("/", "/topics/t", "/groups"):
            assert render_view(app, view).print == render_view(app, view).print


def test_a_page_hears_only_of_what_it_shows(app: Flask, box: Sandbox) -> None:
    box.create_topic("t", partitions=1)
    box.create_topic("other", partitions=1)
    box.commit("g", "t", 0, 0)
    group = render_view(app, "/groups/g").interest
    assert group.concerns(_change({"t"}, set()))
    assert group.concerns(_change(set(), {"g"}))
    assert not group.concerns(_change({"other"}, {"h"}))
    assert render_view(app, "/").interest.concerns(_change({"new"}, set()))
    assert not render_view(app, "/help").interest.concerns(_change({"t"}, {"g"}))


def test_an_interest_in_everything_still_needs_something_to_happen() -> None:
    assert not Interest(None, None).concerns(_change(set(), set()))


def test_a_topic_that_is_deleted_under_an_open_page_becomes_its_error(app: Flask, box: Sandbox) -> None:
    box.create_topic("t", partitions=1)
    box.delete_topic("t")
    rendered = render_view(app, "/topics/t/messages")
    assert 'id="live"' in rendered.html
    assert "UNKNOWN_TOPIC_OR_PARTITION" in rendered.html
    assert rendered.interest.concerns(_change({"t"}, set()))


def test_a_view_that_is_no_page_is_never_sent(app: Flask, box: Sandbox) -> None:
    box.create_topic("t", partitions=1)
    box.append("t", "x")
    for view in ("/topics.json", "/static/app.js", "/topics.csv", "/topics/t/0/0/value"):
        assert render_view(app, view).html == ""


def test_a_tab_that_goes_away_while_its_view_is_drawn_is_no_defect(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    headers = [(b"host", b"127.0.0.1"), (b"origin", b"http://127.0.0.1")]
    scope = {"type": "websocket", "path": "/live", "query_string": b"view=/topics", "headers": headers}
    tabs_left: list[int] = []

    async def open_and_leave() -> None:
        gone = asyncio.Event()
        messages = iter(({"type": "websocket.connect"}, {"type": "websocket.disconnect"}))

        async def receive() -> Message:
            message = next(messages)
            if message["type"] == "websocket.disconnect":
                await gone.wait()
            return message

        async def send(message: Message) -> None:
            if message["type"] == "websocket.send":
                gone.set()
                raise ConnectionResetError("the tab is closed")

        hub = Hub(app)
        await asyncio.wait_for(hub(scope, receive, send), 10)
        tabs_left.append(len(hub._tabs))
        hub.close()

    with caplog.at_level(logging.ERROR):
        asyncio.run(open_and_leave())
    assert tabs_left == [0]
    assert caplog.text == ""


def test_tabs_with_the_same_address_share_a_rendering(
    app: Flask, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.create_topic("t", partitions=1)
    drawn: list[str] = []

    def counted(app: Flask, view: str, zone_name: str) -> live.Rendered:
        drawn.append(view)
        return render_view(app, view, zone_name)

    monkeypatch.setattr(live, "render_view", counted)

    async def look() -> None:
        hub = Hub(app)
        windows = [Window(hub, "/topics/t/messages") for _ in range(3)]
        first = {await window.shown() for window in windows}
        assert len(first) == 1
        assert drawn == ["/topics/t/messages"]
        await asyncio.to_thread(box.append, "t", "one more")
        hub.notify(_change({"t"}, set()))
        second = {await window.shown() for window in windows}
        assert "one more" in second.pop()
        assert len(drawn) == 2
        for window in windows:
            await window.close()
        assert not hub._views
        hub.close()

    asyncio.run(look())


def test_a_row_that_is_there_already_is_sent_as_its_id(app: Flask, box: Sandbox) -> None:
    for topic in ("changing", "still"):
        box.create_topic(topic, partitions=1)

    async def look() -> None:
        hub = Hub(app)
        window = Window(hub, "/")
        whole = await window.shown()
        assert "data-same" not in whole
        await asyncio.to_thread(box.append, "changing", "x")
        hub.notify(_change({"changing"}, set()))
        part = await window.shown()
        assert '<tr id="t-still" data-same></tr>' in part
        assert '<tr id="t-changing" data-topic="changing" data-events="1"' in part
        assert part.count("<tr ") == 2
        window.say("whole")
        again = await window.shown()
        assert "data-same" not in again
        assert '<tr id="t-still" data-topic="still"' in again
        await window.close()
        hub.close()

    asyncio.run(look())


def test_an_event_that_is_there_already_is_sent_as_its_id(app: Flask, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    box.append_many("orders", [NewEvent(b"x")] * 3)

    async def look() -> None:
        hub = Hub(app)
        window = Window(hub, "/topics/orders/messages")
        await window.shown()
        await asyncio.to_thread(box.append, "orders", "new")
        hub.notify(_change({"orders"}, set()))
        part = await window.shown()
        assert re.findall('<tbody id="(m-[^"]+)" data-same>', part) == ["m-0-2", "m-0-1", "m-0-0"]
        assert '<tbody id="m-0-3" class="event"' in part
        await window.close()
        hub.close()

    asyncio.run(look())


def test_a_tab_that_does_not_answer_is_sent_nothing_and_then_what_it_missed(app: Flask, box: Sandbox) -> None:
    box.create_topic("t", partitions=1)

    async def look() -> None:
        hub = Hub(app)
        hidden, seen = Window(hub, "/topics/t/messages"), Window(hub, "/topics/t/messages")
        await hidden.shown(answer=None)
        await seen.shown()
        for number in range(3):
            await asyncio.to_thread(box.append, "t", f"event {number}")
            hub.notify(_change({"t"}, set()))
            assert f"event {number}" in await seen.shown()
        assert hidden.sent.empty()
        hidden.say("ok")
        text = await hidden.shown()
        assert all(f"event {number}" in text for number in range(3))
        for window in (hidden, seen):
            await window.close()
        hub.close()

    asyncio.run(look())


def test_a_name_that_looks_like_a_row_is_no_row(app: Flask, box: Sandbox) -> None:
    group = '<tr id="g-x">'
    box.create_topic("t", partitions=1)
    for name in (group, "x"):
        box.commit(name, "t", 0, 0)
    rendered = render_view(app, "/groups")
    assert set(rendered.rows) == {"g-x", "g-&lt;tr id=&#34;g-x&#34;&gt;"}
    assert rendered.beside(None) == rendered.html
    assert rendered.beside(rendered).count("data-same") == 2


def test_a_value_that_looks_like_the_mark_of_a_row_stays_a_value(app: Flask, box: Sandbox) -> None:
    box.create_topic("t", partitions=1)
    box.append("t", "<!--0123456789abcdef 0-->")
    rendered = render_view(app, "/topics/t/messages")
    assert list(rendered.rows) == ["m-0-0"]
    assert "<!--0123456789abcdef" not in rendered.html
    assert "&lt;!--0123456789abcdef 0--&gt;" in rendered.rows["m-0-0"]
    assert rendered.rows["m-0-0"] in rendered.html
