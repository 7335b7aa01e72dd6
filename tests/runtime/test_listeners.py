"""Listeners with TLS and a log-in, seen by real clients."""

import importlib
import json
import logging
import shutil
import socket
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from sandbox import Listener, TlsFiles
from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BrokerError, SandboxError
from sandbox.runtime.certificates import CertificateMissing, make_files
from sandbox.storage.file.lock import lock_path, read_owner
from tests.waiting import eventually

WAIT_S = 30.0
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
WAYS = [("SSL", "")] + [(protocol, one) for protocol in ("SASL_PLAINTEXT", "SASL_SSL") for one in MECHANISMS]
ALL = (Listener("SSL"), Listener("SASL_PLAINTEXT"), Listener("SASL_SSL"))
DISCONNECTED = (KafkaError._SSL, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)
"""What librdkafka says of a handshake that failed: now this, now that."""
USER, PASSWORD = "alice", "geheim, très=secret"

with warnings.catch_warnings():
    # kafka-python reads its schemas in a deprecated way while it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    kafka_python: Any = importlib.import_module("kafka")


@pytest.fixture
def secured(file: Path) -> Iterator[Sandbox]:
    with Sandbox(file) as sandbox:
        sandbox.add_user(USER, PASSWORD)
        sandbox.serve(kafka_port=0, web_port=None, listeners=ALL)
        yield sandbox


def authority(sandbox: Sandbox) -> str:
    return f"{sandbox.overview().file}.tls/ca.pem"


def config(sandbox: Sandbox, protocol: str, mechanism: str = "", **more: Any) -> dict[str, Any]:
    """The configuration of librdkafka."""
    found: dict[str, Any] = {
        "bootstrap.servers": sandbox.listener_addresses[protocol],
        "security.protocol": protocol,
        "log_level": 0,
    }
    if "SSL" in protocol:
        found["ssl.ca.location"] = authority(sandbox)
    if mechanism:
        found |= {"sasl.mechanism": mechanism, "sasl.username": USER, "sasl.password": PASSWORD}
    return found | {name.replace("_", "."): value for name, value in more.items()}


def plain(sandbox: Sandbox) -> dict[str, Any]:
    """The configuration for the Kafka port itself."""
    return {"bootstrap.servers": sandbox.kafka_address, "log_level": 0}


def send(settings: dict[str, Any], value: str) -> None:
    producer = Producer(settings)
    producer.produce("orders", value)
    assert producer.flush(WAIT_S) == 0


def first_error(settings: dict[str, Any]) -> KafkaError:
    """What the client says when it cannot connect."""
    errors: list[KafkaError] = []
    producer = Producer({**settings, "error_cb": errors.append})
    eventually(lambda: producer.poll(0.05) or errors, WAIT_S, "the client does not say why it cannot connect")
    return errors[0]


@pytest.mark.parametrize(("protocol", "mechanism"), WAYS)
def test_confluent_kafka_produces_and_consumes_in_a_group_by_every_way_in(
    secured: Sandbox, protocol: str, mechanism: str
) -> None:
    settings = config(secured, protocol, mechanism)
    send(settings, "hello")
    consumer = Consumer({**settings, "group.id": "app", "auto.offset.reset": "earliest"})
    consumer.subscribe(["orders"])
    message = consumer.poll(WAIT_S)
    assert message is not None
    assert (message.error(), message.value()) == (None, b"hello")
    consumer.commit(asynchronous=False)
    consumer.close()
    assert secured.group("app").lag == 0


# kafka-python leaves sockets of connections that it gave up to the garbage collector; the sandbox has no `SSLSocket`.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.filterwarnings("ignore:.*<ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("protocol", "mechanism"), WAYS)
def test_kafka_python_produces_and_consumes_by_every_way_in(secured: Sandbox, protocol: str, mechanism: str) -> None:
    settings: dict[str, Any] = {
        "bootstrap_servers": secured.listener_addresses[protocol],
        "security_protocol": protocol,
    }
    if "SSL" in protocol:
        settings["ssl_cafile"] = authority(secured)
    if mechanism:
        settings |= {
            "sasl_mechanism": mechanism,
            "sasl_plain_username": USER,
            "sasl_plain_password": PASSWORD,
        }
    producer = kafka_python.KafkaProducer(**settings)
    producer.send("orders", b"hello").get(WAIT_S)
    producer.close()
    consumer = kafka_python.KafkaConsumer("orders", auto_offset_reset="earliest", group_id="app", **settings)
    assert next(consumer).value == b"hello"
    consumer.close()


@pytest.mark.parametrize(("protocol", "mechanism"), [("SSL", ""), ("SASL_PLAINTEXT", "PLAIN"), ("SASL_SSL", "PLAIN")])
def test_kcat_produces_by_every_protocol(secured: Sandbox, protocol: str, mechanism: str) -> None:
    kcat = shutil.which("kcat")
    if kcat is None:
        pytest.skip("kcat is not installed")
    settings = config(secured, protocol, mechanism)
    address = settings.pop("bootstrap.servers")
    options = [part for name, value in settings.items() for part in ("-X", f"{name}={value}")]
    sent = subprocess.run([kcat, "-b", address, "-P", "-t", "orders", *options], input=b"hello\n", timeout=60)
    assert sent.returncode == 0
    assert [event.value for event in secured.read("orders")] == [b"hello"]


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_wrong_password_is_refused_with_an_error_that_says_so(
    secured: Sandbox, mechanism: str, caplog: pytest.LogCaptureFixture
) -> None:
    error = first_error(config(secured, "SASL_SSL", mechanism, sasl_password="wrong"))
    assert error.code() == KafkaError._AUTHENTICATION
    assert "Authentication failed" in error.str()
    eventually(lambda: "authentication failed" in caplog.text, what="it is not logged")
    send(config(secured, "SASL_SSL", mechanism), "the right one")


def test_a_client_without_a_log_in_is_turned_away_and_disturbs_nobody(
    secured: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    address = secured.listener_addresses["SASL_PLAINTEXT"]
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    with pytest.raises(KafkaException):
        admin.list_topics(timeout=1.0)
    eventually(lambda: "may not come in the SASL state" in caplog.text, what="it is not logged")
    send(config(secured, "SASL_PLAINTEXT", "PLAIN"), "hello")


def test_a_client_without_tls_fails_on_a_tls_port_with_a_reason_in_the_log(
    secured: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    address = secured.listener_addresses["SSL"]
    assert first_error({"bootstrap.servers": address, "log_level": 0}).code() in DISCONNECTED
    eventually(lambda: "TLS handshake of /127.0.0.1 failed: it sent no TLS" in caplog.text, what="it is not logged")
    send(config(secured, "SSL"), "hello")


def test_a_client_with_tls_fails_on_a_port_without_with_a_reason_in_the_log(
    secured: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    error = first_error(config(secured, "SSL", bootstrap_servers=secured.kafka_address))
    assert error.code() in DISCONNECTED
    eventually(lambda: "it sent TLS" in caplog.text, what="it is not logged")
    send(plain(secured), "hello")


def test_a_client_that_does_not_know_the_authority_does_not_send_its_password(
    secured: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    settings = config(secured, "SASL_SSL", "PLAIN")
    del settings["ssl.ca.location"]
    assert first_error(settings).code() in DISCONNECTED
    eventually(lambda: "TLS handshake of /127.0.0.1 failed: it does not " in caplog.text)


def test_a_handshake_that_does_not_go_on_holds_up_nobody_and_ends_with_the_sandbox(file: Path) -> None:
    with Sandbox(file) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None, listeners=[Listener("SSL")])
        host, _, port = sandbox.listener_addresses["SSL"].rpartition(":")
        silent = [socket.create_connection((host, int(port)), WAIT_S) for _ in range(20)]
        silent[0].sendall(b"\x16\x03\x01\x02\x00\x01\x00")
        begun = time.monotonic()
        send(config(sandbox, "SSL"), "hello")
        assert time.monotonic() - begun < 8, "a handshake has 10 s, and others do not wait for it"
        begun = time.monotonic()
    assert time.monotonic() - begun < 5, "the sandbox waits for no handshake when it ends"
    for one in silent:
        assert one.recv(1) == b""
        one.close()


def test_a_client_that_leaves_in_the_middle_of_the_handshake_is_logged(
    secured: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    host, _, port = secured.listener_addresses["SSL"].rpartition(":")
    with socket.create_connection((host, int(port)), WAIT_S) as client:
        client.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
    eventually(lambda: "TLS handshake of /127.0.0.1 failed" in caplog.text)


def test_the_certificate_is_for_this_machine_and_only_its_owner_may_read_the_keys(secured: Sandbox) -> None:
    folder = Path(authority(secured)).parent
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == dict.fromkeys(
        ("ca.pem", "server.pem", "server.key", "client.pem", "client.key"), 0o600
    )
    host, _, port = secured.listener_addresses["SSL"].rpartition(":")
    context = ssl.create_default_context(cafile=authority(secured))
    for name in ("localhost", "127.0.0.1", "::1"):
        with socket.create_connection((host, int(port)), WAIT_S) as plain:
            context.wrap_socket(plain, server_hostname=name).close()
    with socket.create_connection((host, int(port)), WAIT_S) as plain, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(plain, server_hostname="example.com")


def test_ports_certificates_and_users_are_the_same_after_a_restart(file: Path) -> None:
    with Sandbox(file) as sandbox:
        sandbox.add_user(USER, PASSWORD)
        sandbox.serve(kafka_port=0, web_port=None, listeners=ALL)
        before, trusted = sandbox.listener_addresses, Path(authority(sandbox)).read_bytes()
    with Sandbox(file) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None, listeners=ALL)
        assert sandbox.listener_addresses == before
        assert Path(authority(sandbox)).read_bytes() == trusted
        assert sandbox.users.names() == (USER,)
        send(config(sandbox, "SASL_SSL", "SCRAM-SHA-256"), "hello")


def test_no_password_is_in_the_file(file: Path) -> None:
    with Sandbox(file) as sandbox:
        sandbox.add_user(USER, "correct-horse")
    assert all(b"correct-horse" not in path.read_bytes() for path in file.parent.iterdir())


def test_clients_must_show_a_certificate_where_the_listener_wants_one(file: Path) -> None:
    with Sandbox(file) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None, listeners=[Listener("SSL", client_auth=True)])
        assert first_error(config(sandbox, "SSL")).code() in DISCONNECTED
        folder = Path(authority(sandbox)).parent
        own = {"ssl.certificate.location": f"{folder}/client.pem", "ssl.key.location": f"{folder}/client.key"}
        send({**config(sandbox, "SSL"), **own}, "hello")


def test_a_certificate_of_ones_own_is_shown_instead(tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    ca.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    with Sandbox(tmp_path / "dev.db") as sandbox:
        listener = Listener("SSL", tls=TlsFiles(tmp_path / "server.pem", tmp_path / "server.pem"))
        sandbox.serve(kafka_port=0, web_port=None, listeners=[listener])
        send(config(sandbox, "SSL", ssl_ca_location=str(tmp_path / "ca.pem")), "hello")
        assert not Path(authority(sandbox)).exists()


def test_a_certificate_that_cannot_be_used_is_named_and_no_port_stays_open(file: Path, tmp_path: Path) -> None:
    (tmp_path / "server.pem").write_text("not a certificate")
    (tmp_path / "server.key").write_text("not a key")
    listener = Listener("SSL", tls=TlsFiles(tmp_path / "server.pem", tmp_path / "server.key"))
    with Sandbox(file) as sandbox:
        with pytest.raises(CertificateMissing, match=r"server.pem .* cannot be used"):
            sandbox.serve(kafka_port=0, web_port=None, listeners=[listener])
        assert sandbox.kafka_address is None
        sandbox.serve(kafka_port=0, web_port=None)
        send(plain(sandbox), "hello")


def test_without_the_package_that_makes_certificates_it_says_how_to_get_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with Sandbox(file) as sandbox, pytest.raises(SandboxError, match=r"pip install 'kafka-sandbox\[tls\]'"):
        sandbox.serve(kafka_port=0, web_port=None, listeners=[Listener("SSL")])


def test_a_certificate_that_is_not_valid_any_more_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("sandbox.runtime.certificates.VALID_DAYS", 0)
        before = Path(make_files(tmp_path / "tls").certificate).read_bytes()
    with caplog.at_level(logging.WARNING):
        assert Path(make_files(tmp_path / "tls").certificate).read_bytes() != before
    assert "have expired" in caplog.text


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "cluster.db", brokers=3, settings={"default.replication.factor": "3"}) as sandbox:
        sandbox.add_user(USER, PASSWORD)
        sandbox.serve(kafka_port=0, web_port=None, listeners=ALL)
        yield sandbox


def test_metadata_names_the_ports_of_the_listener_by_which_the_client_came(three: Sandbox) -> None:
    seen: set[int] = set()
    admins = [
        AdminClient(plain(three)),
        *(AdminClient(config(three, protocol, mechanism)) for protocol, mechanism in WAYS[::3]),
    ]
    for admin in admins:
        brokers = admin.list_topics(timeout=WAIT_S).brokers
        assert sorted(brokers) == [1, 2, 3]
        cluster = admin.describe_cluster().result(WAIT_S)
        assert sorted(node.port for node in cluster.nodes) == sorted(broker.port for broker in brokers.values())
        seen.update(broker.port for broker in brokers.values())
    assert len(seen) == 12


def test_a_broker_that_stops_closes_all_its_ports_and_opens_them_again(three: Sandbox) -> None:
    three.create_topic("orders", partitions=3)
    admin = AdminClient(config(three, "SASL_SSL", "PLAIN"))
    before = {id: broker.port for id, broker in admin.list_topics(timeout=WAIT_S).brokers.items()}
    three.brokers.stop(2)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", before[2]), WAIT_S)
    assert sorted(AdminClient(config(three, "SASL_SSL", "PLAIN")).list_topics(timeout=WAIT_S).brokers) == [1, 3]
    send(config(three, "SASL_SSL", "PLAIN"), "while 2 is down")
    three.brokers.start(2)
    after = AdminClient(config(three, "SASL_SSL", "PLAIN")).list_topics(timeout=WAIT_S).brokers
    assert {id: broker.port for id, broker in after.items()} == before


def test_an_admin_client_lets_users_in_and_out(secured: Sandbox) -> None:
    admin = AdminClient(plain(secured))
    new = UserScramCredentialUpsertion("bob", ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 8192), b"builder")
    admin.alter_user_scram_credentials([new])["bob"].result(WAIT_S)
    bob = {"sasl.username": "bob", "sasl.password": "builder"}
    for mechanism in ("PLAIN", "SCRAM-SHA-512"):
        send({**config(secured, "SASL_SSL", mechanism), **bob}, mechanism)
    assert first_error({**config(secured, "SASL_SSL", "SCRAM-SHA-256"), **bob}).code() == KafkaError._AUTHENTICATION
    described: Any = admin.describe_user_scram_credentials([USER])
    infos = described[USER].result(WAIT_S).scram_credential_infos
    assert [(info.mechanism.name, info.iterations) for info in infos] == [
        ("SCRAM_SHA_256", 4096),
        ("SCRAM_SHA_512", 4096),
    ]
    gone = UserScramCredentialDeletion("bob", ScramMechanism.SCRAM_SHA_512)
    admin.alter_user_scram_credentials([gone])["bob"].result(WAIT_S)
    assert first_error({**config(secured, "SASL_SSL", "PLAIN"), **bob}).code() == KafkaError._AUTHENTICATION


def test_a_user_that_was_removed_may_not_log_in(secured: Sandbox) -> None:
    secured.users.remove(USER)
    assert secured.users.names() == ()
    assert first_error(config(secured, "SASL_PLAINTEXT", "PLAIN")).code() == KafkaError._AUTHENTICATION


@pytest.mark.parametrize(("name", "password"), [("", "secret"), (USER, "")])
def test_a_user_has_a_name_and_a_password(box: Sandbox, name: str, password: str) -> None:
    with pytest.raises(BrokerError) as refused:
        box.add_user(name, password)
    assert refused.value.error.name == "UNACCEPTABLE_CREDENTIAL"


def test_the_lock_file_names_the_listeners(secured: Sandbox, file: Path) -> None:
    owner = read_owner(file)
    assert owner is not None
    assert owner["listeners"] == secured.listener_addresses
    assert json.loads(lock_path(file).read_text())["kafka"] == secured.kafka_address


@pytest.mark.parametrize(
    ("protocol", "more", "reason"),
    [
        ("KAFKA", {}, "is one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
        ("PLAINTEXT", {}, "PLAINTEXT is the Kafka port itself"),
        ("SSL", {"name": "out side"}, "has letters, digits and _"),
        ("SSL", {"port": 70_000}, "is 0 to 65535"),
        ("SASL_SSL", {"mechanisms": ("GSSAPI",)}, "are PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, not GSSAPI"),
        ("SASL_SSL", {"mechanisms": ()}, "not none"),
    ],
)
def test_a_listener_that_cannot_be_is_refused(protocol: str, more: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Listener(protocol, **more)


def test_a_protocol_has_one_listener(box: Sandbox) -> None:
    with pytest.raises(ValueError, match="given twice"):
        box.serve(kafka_port=0, web_port=None, listeners=[Listener("SSL"), Listener("SSL")])
