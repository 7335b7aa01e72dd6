"""A cluster that is not there, that goes and comes back, or that does not let this program in."""

import time
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.cli.ui import PageServer
from sandbox.kafka.errors import BrokerError, ClusterAway
from sandbox.remote.backend import RemoteBackend
from sandbox.web.app import create_app
from sandbox.wire.auth.listener import Listener
from tests.ports import free_port
from tests.waiting import eventually

USER, PASSWORD = "alice", "correct-horse"


def test_a_cluster_that_is_not_there_is_said_so_in_time() -> None:
    with RemoteBackend(f"127.0.0.1:{free_port()}", timeout_s=1) as cluster:
        started_s = time.monotonic()
        with pytest.raises(ClusterAway, match="does not answer"):
            cluster.check()
        page = create_app(cluster).test_client()
        answer = page.get("/groups")
        assert answer.status_code == 503
        assert "The cluster does not answer" in answer.text
        assert answer.headers["Refresh"]
        assert "unknown" not in answer.text or "0 topics" not in answer.text
        told = page.get("/topics.json")
        assert (told.status_code, told.get_json()["error"]) == (503, "The cluster does not answer")
        assert time.monotonic() - started_s < 8


def test_pages_come_back_when_the_cluster_does(tmp_path: Path) -> None:
    port = free_port()
    with RemoteBackend(f"127.0.0.1:{port}", timeout_s=1, kept_s=0, every_s=0.1) as cluster:
        page = create_app(cluster).test_client()
        assert page.get("/").status_code == 503
        assert "does not answer" in (cluster.trouble or "")
        for _ in range(2):
            with Sandbox(tmp_path / "dev.db") as box:
                box.serve(kafka_port=port, web_port=None)
                eventually(lambda: page.get("/").status_code == 200, 15, "the page did not come back")
                assert cluster.trouble is None
            eventually(lambda: page.get("/groups").status_code == 503, 15, "no page noticed that it stopped")


def test_figures_that_are_not_known_are_never_zero() -> None:
    with RemoteBackend(f"127.0.0.1:{free_port()}", timeout_s=0.3) as cluster:
        overview = cluster.overview()
        assert (overview.topics, overview.events, overview.groups, overview.size_bytes) == (-1, -1, -1, -1)


def test_a_log_in_goes_by_the_settings(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "dev.db") as box:
        box.add_user(USER, PASSWORD)
        box.serve(kafka_port=0, web_port=None, listeners=[Listener("SASL_PLAINTEXT")])
        box.append("orders", "x")
        settings = {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanisms": "SCRAM-SHA-256",
            "sasl.username": USER,
            "sasl.password": PASSWORD,
        }
        address = box.listener_addresses["SASL_PLAINTEXT"]
        with RemoteBackend(address, settings) as cluster:
            page = create_app(cluster).test_client().get("/topics/orders/messages").text
            assert "&#39;SASL_PLAINTEXT&#39;" in page
            assert "&#39;PASSWORD&#39;" in page
            assert USER not in page
            assert PASSWORD not in page
            assert [one.topic for one in cluster.topics()] == ["orders"]
            text = create_app(cluster).test_client().get("/help").text
            assert PASSWORD not in text
        with RemoteBackend(address, settings | {"sasl.password": "wrong"}, timeout_s=2) as cluster:
            with pytest.raises(ClusterAway) as raised:
                cluster.check()
            assert "wrong" not in raised.value.detail.replace("wrong user or password", "")
            assert "uthentication" in raised.value.detail


def test_nothing_is_asked_of_the_cluster_while_no_page_is_open(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "dev.db") as box:
        box.serve(kafka_port=0, web_port=None)
        with RemoteBackend(box.kafka_address or "", every_s=0.05) as cluster:
            server = PageServer(cluster, "127.0.0.1", 0)
            server.start()
            try:
                assert not cluster.watching
                end = cluster.subscribe(lambda change: None)
                assert cluster.watching
                end()
                eventually(lambda: not cluster.watching, 5, "it keeps watching")
            finally:
                server.stop()


def test_a_refusal_of_groups_leaves_the_other_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox(tmp_path / "dev.db") as box:
        box.serve(kafka_port=0, web_port=None)
        box.append("orders", "x")
        with RemoteBackend(box.kafka_address or "", kept_s=0) as cluster:

            def refuse() -> tuple[str, ...]:
                raise BrokerError("CLUSTER_AUTHORIZATION_FAILED", "This user may not.")

            monkeypatch.setattr(cluster._groups, "_listed", refuse)
            page = create_app(cluster).test_client()
            assert "orders" in page.get("/").text
            assert "This user may not." in page.get("/groups").text
