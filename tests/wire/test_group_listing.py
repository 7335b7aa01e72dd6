"""ListGroups on several brokers: each lists the groups that it coordinates."""

from pathlib import Path

from sandbox.api.sandbox import Sandbox
from tests.wire.raw_client import RawClient

LIST_GROUPS = 16


def listed(address: str) -> set[str]:
    client = RawClient(address)
    try:
        client.send(LIST_GROUPS, 4, {"states_filter": []})
        answer = client.receive()
        assert answer.error_code == 0
        return {group.group_id for group in answer.groups}
    finally:
        client.close()


def test_each_broker_lists_only_the_groups_that_it_coordinates(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "cluster.db", brokers=3) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        sandbox.append("orders", "x")
        names = {f"group-{number}" for number in range(30)}
        for name in names:
            sandbox.commit(name, "orders", 0, 0)
        found = {one.broker: listed(one.address or "") for one in sandbox.brokers.list()}
        assert {name for groups in found.values() for name in groups} == names
        assert sum(map(len, found.values())) == len(names)
        assert all(sandbox.brokers.coordinator(name) == broker for broker, groups in found.items() for name in groups)
        assert all(found.values())
        sandbox.brokers.stop(2)
        left = [listed(one.address) for one in sandbox.brokers.list() if one.address]
        assert set().union(*left) == names
        assert {group.coordinator for group in sandbox.groups()} == {1, 3}


def test_a_broker_by_itself_lists_all_groups(served: Sandbox) -> None:
    served.append("orders", "x")
    served.commit("app", "orders", 0, 0)
    assert listed(served.kafka_address or "") == {"app"}
