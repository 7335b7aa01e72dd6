"""Fields of rows that are decoded from the bytes of group messages."""

import pytest

from sandbox.wire.group_bytes import subscribed_topics
from sandbox.wire.messages.messages import encode_subscription


@pytest.mark.parametrize("version", range(4))
def test_topics_are_read_from_every_version_even_if_its_own_fields_are_missing(version: int) -> None:
    data = encode_subscription(version, {"topics": ["orders", "payments"], "user_data": b"u"})
    shared = len(encode_subscription(0, {"topics": ["orders", "payments"], "user_data": b"u"}))
    assert subscribed_topics(data) == subscribed_topics(data[:shared]) == ("orders", "payments")
    assert subscribed_topics(data[: shared - 1]) is None


def test_bytes_that_are_no_subscription_name_no_topics() -> None:
    assert [subscribed_topics(data) for data in (b"", b"\0", b"\0\0", b"hello")] == [None] * 4
