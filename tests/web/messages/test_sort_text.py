"""The text of a Messages page's sort."""

import time

import pytest

from sandbox.kafka.errors import BrokerError
from sandbox.web.messages.query import Sort


@pytest.mark.parametrize(
    ("text", "descending"), [("$.mag", True), (" $.mag  desc ", True), ("$.mag\tasc", False), ("$.mag asc", False)]
)
def test_a_sort_is_a_field_and_a_direction(text: str, descending: bool) -> None:
    sort = Sort.parse(text)
    assert (str(sort.field), sort.descending) == ("$.mag", descending)


def test_many_spaces_take_linear_time() -> None:
    began = time.process_time()
    with pytest.raises(BrokerError):
        Sort.parse("a" + " " * 30_000 + "b")
    assert time.process_time() - began < 2
