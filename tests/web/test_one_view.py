"""All figures of a page come from one read transaction."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox


@pytest.mark.parametrize("address", ["/", "/topics/orders"])
def test_an_event_that_is_stored_while_a_page_is_made_is_not_on_half_of_it(
    box: Sandbox, page: FlaskClient, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    box.create_topic("orders", partitions=1)
    box.append("orders", "first")
    box.commit("billing", "orders", 0, 1)
    seen: list[int | None] = []

    def after_a_write(read: Callable[..., Any]) -> Callable[..., Any]:
        def reading(*arguments: Any) -> Any:
            writer = threading.Thread(target=lambda: box.append("orders", "in between"))
            writer.start()
            writer.join(10)
            found = read(*arguments)
            seen.extend(group.lag for group in found)
            return found

        return reading

    monkeypatch.setattr(box, "group_summaries", after_a_write(box.group_summaries))
    assert page.get(address).status_code == 200
    assert seen
    assert set(seen) == {0}
    assert box.end_offsets("orders") == {0: 2}
