"""Static members (`group.instance.id`) that start together, through the port."""

from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from tests.wire.raw_client import RawClient

JOIN_GROUP = 11


@pytest.mark.parametrize("version", [5, 7, 9])
def test_static_members_that_join_together_share_the_first_generation(tmp_path: Path, version: int) -> None:
    with Sandbox(tmp_path / "static.db") as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        clients = [RawClient(sandbox.kafka_address or "") for _ in range(3)]
        for number, client in enumerate(clients):
            join = {
                "group_id": "app",
                "session_timeout_ms": 10_000,
                "rebalance_timeout_ms": 60_000,
                "member_id": "",
                "group_instance_id": f"i-{number}",
                "protocol_type": "consumer",
                "protocols": [{"name": "range", "metadata": b""}],
            }
            client.send(JOIN_GROUP, version, join)
        answers = [client.receive() for client in clients]
        assert [(one.error_code, one.generation_id) for one in answers] == [(0, 1)] * 3
        assert sorted(len(one.members) for one in answers) == [0, 0, 3]
        for client in clients:
            client.close()
