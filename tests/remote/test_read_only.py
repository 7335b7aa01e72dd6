"""A cluster is changed only if that was allowed, and every page shows it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BrokerError
from sandbox.remote.backend import RemoteBackend
from sandbox.web import capabilities, guard
from sandbox.web.app import create_app


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "dev.db") as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        sandbox.create_topic("orders", partitions=2)
        sandbox.append("orders", "x", key="k")
        sandbox.commit("billing", "orders", 0, 0)
        yield sandbox


@pytest.fixture
def looking(box: Sandbox) -> Iterator[Flask]:
    with RemoteBackend(box.kafka_address or "", kept_s=0) as cluster:
        yield create_app(cluster)


def changing_addresses(app: Flask) -> Iterator[str]:
    """An address of every view that takes POST, but those that change nothing."""
    for rule in app.url_map.iter_rules():
        if "POST" not in (rule.methods or ()) or hasattr(app.view_functions[rule.endpoint], "_changes_nothing"):
            continue
        path = re.sub(r"<any\((\w+)[^>]*>", r"\1", re.sub(r"<int:[^>]*>", "1", rule.rule))
        yield path.replace("<topic>", "orders").replace("<group>", "billing").replace("<name>", "any")


def test_every_change_is_refused_and_none_is_made(box: Sandbox, looking: Flask) -> None:
    before = box.topics()
    page = looking.test_client()
    asked = set(changing_addresses(looking))
    assert len(asked) > 20
    for address in asked:
        answer = page.post(address, data={"topic": "orders", "name": "retention.ms", "value": "1", "to": "latest"})
        if not address.endswith(".json"):
            assert answer.status_code in (403, 501), address
        else:
            headers = {guard.PROGRAM_HEADER: "test"}
            assert page.post(address, json={}, headers=headers).status_code in (403, 501), address
    assert box.topics() == before
    committed = [lag.committed for one in box.groups() for lag in one.partitions]
    assert committed == [0, None]


def test_the_refusal_says_why_and_the_way_out(looking: Flask) -> None:
    answer = looking.test_client().post("/topics/orders/delete")
    assert answer.status_code == 403
    assert "--allow-writes" in answer.text
    assert "Nothing was changed" in answer.text


def test_a_browser_may_still_choose_its_theme(looking: Flask) -> None:
    assert looking.test_client().post("/theme", data={"theme": "dark"}).status_code == 303


@pytest.mark.parametrize(
    "address", ["/topics/~new", "/topics/orders/produce", "/topics/orders/delete", "/topics/orders"]
)
def test_forms_that_would_change_something_are_off(looking: Flask, address: str) -> None:
    text = looking.test_client().get(address).text
    forms = re.findall(r'<form\b[^>]*method="post"[^>]*>(?:(?!</form>).)*', text, re.DOTALL)
    assert len(forms) > 1
    for form in forms:
        assert 'data-changes="nothing"' in form or re.search(
            r'<fieldset class="off" disabled title="[^"]*--allow-writes', form
        )


def test_the_same_forms_work_on_a_sandbox(box: Sandbox) -> None:
    for address in ("/topics/~new", "/topics/orders/produce", "/"):
        assert 'class="off"' not in create_app(box).test_client().get(address).text


def test_the_backend_itself_refuses_too(box: Sandbox) -> None:
    with RemoteBackend(box.kafka_address or "") as cluster:
        for call in (
            lambda: cluster.append("orders", b"x"),
            lambda: cluster.create_topic("t"),
            lambda: cluster.delete_topic("orders"),
            lambda: cluster.alter_topic("orders", {}),
            lambda: cluster.create_partitions("orders", 9),
            lambda: cluster.reset("billing", to="latest"),
            lambda: cluster.delete_group("billing"),
            lambda: cluster.logs.delete_records("orders", {0: -1}),
            lambda: cluster.brokers.elect_preferred_leaders(),
        ):
            with pytest.raises(BrokerError, match="allow-writes"):
                call()


@pytest.mark.parametrize("address", ["/sql", "/snapshots", "/activity", "/cluster/brokers/1/stop"])
def test_a_page_that_needs_a_file_says_so(looking: Flask, address: str) -> None:
    answer = looking.test_client().get(address)
    assert answer.status_code == 200
    assert capabilities.MISSING in answer.text
    assert re.search("sandbox (file|up)", answer.text)


def test_the_marked_views_are_those_that_change_nothing(looking: Flask) -> None:
    marked = {name for name, view in looking.view_functions.items() if hasattr(view, "_changes_nothing")}
    assert {"shell.choose_theme", "produce.preview"} <= marked
