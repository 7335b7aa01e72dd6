"""Matches of a consumer group's subscriptions; their cache is bounded."""

from uuid import UUID

from sandbox.broker.groups.consumer_group import PATTERNS_MAX, Subscriptions, TopicLookup
from sandbox.broker.logs.topic import Topic


def test_expressions_that_come_and_go_leave_no_more_behind_than_the_bound() -> None:
    orders = Topic(1, "orders", UUID(int=1), 0, {}, 1)
    subscriptions = Subscriptions(TopicLookup({"orders": orders}, {orders.topic_id: orders}))
    for number in range(PATTERNS_MAX + 50):
        assert subscriptions.matches(f"orders|{number}") == {"orders"}
    assert len(subscriptions._matches) == 50
    assert subscriptions.matches("orders|0") == {"orders"}
