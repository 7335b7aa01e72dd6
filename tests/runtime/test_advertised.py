"""The advertised address: what clients get if they reach the sandbox through a container's port, a tunnel or NAT."""

import socket
from typing import Any

import pytest

from sandbox import AdminClient, Producer, Sandbox
from sandbox.wire.auth.listener import Advertised, Listener
from tests.waiting import eventually

WAIT_S = 20.0


def own_address() -> str | None:
    """Return an address of this machine other than loopback, or None if it has none. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        found = str(probe.getsockname()[0])
    return None if found.startswith("127.") else found


def brokers(servers: str) -> dict[int, tuple[str, int]]:
    found = AdminClient({"bootstrap.servers": servers}).list_topics(timeout=WAIT_S).brokers
    return {broker: (str(one.host), one.port) for broker, one in found.items()}


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost", "localhost", None),
        ("kafka.example.org:19092", "kafka.example.org", 19092),
        ("[2001:db8::1]:9092", "2001:db8::1", 9092),
        ("[2001:db8::1]", "2001:db8::1", None),
    ],
)
def test_an_advertised_address_is_a_host_and_perhaps_a_port(text: str, host: str, port: int | None) -> None:
    assert Advertised.parse(text) == Advertised(host, port)


@pytest.mark.parametrize(
    "text", ["", ":9092", "a:b", "a:0", "a:65536", "http://a:9092", "2001:db8::1", "0.0.0.0", "a b"]
)
def test_what_is_no_address_for_clients_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="advertise"):
        Advertised.parse(text)


def test_brokers_have_consecutive_advertised_ports_and_loopback_stays_loopback() -> None:
    outside = Advertised("localhost", 19092)
    assert outside.of(3, "172.17.0.2", 9094) == ("localhost", 19094)
    assert Advertised("localhost").of(3, "172.17.0.2", 9094) == ("localhost", 9094)
    assert outside.of(3, "127.0.0.1", 9094) == ("127.0.0.1", 9094)
    assert outside.of(3, "::1", 9094) == ("::1", 9094)


@pytest.mark.skipif(own_address() is None, reason="this machine has no address but loopback")
def test_each_listener_gives_its_clients_its_own_address(tmp_path: Any) -> None:
    with Sandbox(tmp_path / "dev.db", brokers=2) as box:
        outside = Listener("PLAINTEXT", name="outside", advertised=Advertised("outside.example.org", 19092))
        box.serve(
            host="0.0.0.0",
            kafka_port=0,
            web_port=None,
            listeners=[outside],
            advertised=Advertised("inside.example.org"),
        )
        ports = {}
        for name, address in {"inside": box.kafka_address, **box.listener_addresses}.items():
            assert address is not None
            ports[name] = int(address.rpartition(":")[2])
        inside = brokers(f"{own_address()}:{ports['inside']}")
        assert inside[1] == ("inside.example.org", ports["inside"])
        assert inside[2][0] == "inside.example.org"
        assert brokers(f"{own_address()}:{ports['OUTSIDE']}") == {
            1: ("outside.example.org", 19092),
            2: ("outside.example.org", 19093),
        }
        assert brokers(f"127.0.0.1:{ports['OUTSIDE']}")[1] == ("127.0.0.1", ports["OUTSIDE"])


@pytest.mark.skipif(own_address() is None, reason="this machine has no address but loopback")
def test_a_client_that_cannot_reach_the_advertised_address_is_explained_once(
    tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with Sandbox(tmp_path / "dev.db") as box:
        box.serve(host="0.0.0.0", kafka_port=0, web_port=None, advertised=Advertised("nowhere.invalid"))
        assert box.kafka_address is not None
        port = int(box.kafka_address.rpartition(":")[2])
        lost = Producer({"bootstrap.servers": f"{own_address()}:{port}", "client.id": "lost", "log_level": 0})
        lost.produce("orders", b"never")
        eventually(lambda: (lost.poll(0.1), "perhaps it cannot connect" in caplog.text)[1], WAIT_S)
        lost.purge()
    assert caplog.text.count("perhaps it cannot connect") == 1
    assert f"nowhere.invalid:{port}, the advertised address" in caplog.text
    assert "'lost'" in caplog.text
