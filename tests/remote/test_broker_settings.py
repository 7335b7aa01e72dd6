"""The broker settings of a cluster, as the page shows them."""

from pathlib import Path

from sandbox import Sandbox
from sandbox.remote.backend import RemoteBackend


def test_a_setting_that_is_not_the_default_is_shown_with_its_source(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "dev.db", settings={"num.partitions": "4"}) as box:
        box.serve(kafka_port=0, web_port=None)
        with RemoteBackend(box.kafka_address or "") as cluster:
            found = {one.name: one for one in cluster.brokers.settings()}
    one = found["num.partitions"]
    assert (one.value, one.default, one.source) == ("4", "1", "STATIC_BROKER_CONFIG")
    assert "log.retention.ms" not in found
