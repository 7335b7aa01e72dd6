"""Producers of each topic: rates and bounds."""

from sandbox.wire import traffic
from sandbox.wire.traffic import FLOWS_MAX, Traffic


def test_rates_are_of_the_last_ten_whole_seconds() -> None:
    found = Traffic()
    for second in range(20):
        found.produced("shop", None, "orders", 5, second * 1000)
    (flow,) = found.flows(20_000)
    assert (flow.client_id, flow.topic, flow.events, flow.per_s) == ("shop", "orders", 100, 5.0)
    assert found.flows(25_000)[0].per_s == 2.5
    assert found.flows(60_000)[0].per_s == 0


def test_transactions_are_flows_of_their_own() -> None:
    found = Traffic()
    found.produced("rdkafka", "a", "orders", 1, 0)
    found.produced("rdkafka", "b", "orders", 1, 0)
    found.committed("rdkafka", "a", "billing")
    assert [one.transactional_id for one in found.flows(0)] == ["a", "b"]
    assert [(one.transactional_id, one.group) for one in found.groups()] == [("a", "billing")]


def test_it_is_bounded_and_forgets_who_was_silent_longest() -> None:
    found = Traffic()
    for number in range(FLOWS_MAX + 10):
        found.produced(f"c{number}", None, "orders", 1, number)
        found.committed(f"c{number}", None, "billing")
    assert len(found.flows(0)) == len(found.groups()) == traffic.FLOWS_MAX
    assert "c0" not in {one.client_id for one in found.flows(0)}
