"""The live part of answers to forms: it never replaces what the form's answer shows by another page."""

import re
from html import unescape
from urllib.parse import unquote

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox

REFUSED = (
    "/topics",
    "/faults",
    "/cluster/leader",
    "/produce",
    "/produce/many",
    "/topics/orders/settings",
    "/topics/orders/partitions",
    "/topics/orders/deserializers",
    "/topics/orders/messages/selected",
    "/groups/billing/reset",
    "/groups/billing/alert",
    "/groups/~alerts",
    "/snapshots",
    "/snapshots/none/edit",
    "/playground/start",
    "/playground/program",
    "/schemas",
)


def _live_view(html: str) -> str | None:
    found = re.search(r'ws-connect="/live\?view=([^"]*)"', html)
    return None if found is None else unquote(unescape(found[1]))


def test_a_page_is_live_at_its_own_address(page: FlaskClient) -> None:
    assert _live_view(page.get("/groups?q=a").text) == "/groups?q=a"


@pytest.mark.parametrize("address", REFUSED)
def test_the_answer_to_a_refused_form_is_not_live_at_the_forms_address(
    page: FlaskClient, box: Sandbox, address: str
) -> None:
    box.create_topic("orders", partitions=1)
    box.commit("billing", "orders", 0, 0)
    answer = page.post(address, data={"do": "none", "format": "none", "name": "?", "url": "ftp://x"})
    view = _live_view(answer.text)
    assert view is None or page.get(view).status_code == 200
    assert view != address


def test_a_refused_generator_is_shown_above_the_live_list_of_generators(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    answer = page.post("/produce/generators", data={"topic": "orders", "rate": "many"})
    assert (answer.status_code, _live_view(answer.text)) == (400, "/produce/generators")
