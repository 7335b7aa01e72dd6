"""The log-in, byte by byte, over the sandbox and over Apache Kafka: the answers are the same, to the word."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from sandbox import Listener, Sandbox
from tests.clients import apache_kafka
from tests.clients.apache_kafka import KafkaUnavailableError, find_or_fetch, running_kafka
from tests.ports import free_port
from tests.wire.auth.test_scram import client_final
from tests.wire.raw_client import METADATA, RawClient

SASL_HANDSHAKE, API_VERSIONS, SASL_AUTHENTICATE = 17, 18, 36
ASK: dict[str, Any] = {"topics": [], "allow_auto_topic_creation": False}
JAAS = "sasl.jaas.config=org.apache.kafka.common.security"
SASL_SETTINGS = f"""\
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_plaintext.plain.{JAAS}.plain.PlainLoginModule required user_alice="secret";
listener.name.sasl_plaintext.scram-sha-256.{JAAS}.scram.ScramLoginModule required;
listener.name.sasl_plaintext.scram-sha-512.{JAAS}.scram.ScramLoginModule required;
"""


@pytest.fixture(scope="module", params=["sandbox", pytest.param("apache", marks=pytest.mark.apache_kafka)])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A listener with SASL, where alice may log in with "secret"."""
    run = _sandbox if request.param == "sandbox" else _apache
    yield from run(tmp_path_factory.mktemp("log-in"))


def _sandbox(folder: Path) -> Iterator[str]:
    with Sandbox(folder / "dev.db") as sandbox:
        sandbox.add_user("alice", "secret")
        sandbox.serve(kafka_port=0, web_port=None, listeners=[Listener("SASL_PLAINTEXT")])
        yield sandbox.listener_addresses["SASL_PLAINTEXT"]


def _apache(folder: Path) -> Iterator[str]:
    try:
        find_or_fetch()
    except KafkaUnavailableError as missing:
        pytest.skip(f"no Apache Kafka: {missing}")
    address = f"127.0.0.1:{free_port()}"
    # Both the listeners and the advertised ones.
    settings = apache_kafka.SETTINGS.replace("listeners=PLAINTEXT:", f"listeners=SASL_PLAINTEXT://{address},PLAINTEXT:")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(apache_kafka, "SETTINGS", settings + SASL_SETTINGS)
        with running_kafka() as bootstrap:
            admin = AdminClient({"bootstrap.servers": bootstrap})
            for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
                info = ScramCredentialInfo(mechanism, 4096)
                new = UserScramCredentialUpsertion("alice", info, b"secret")
                admin.alter_user_scram_credentials([new])["alice"].result(30)
            yield address


@pytest.fixture
def connect(address: str) -> Iterator[Callable[[], RawClient]]:
    clients: list[RawClient] = []

    def open_one() -> RawClient:
        clients.append(RawClient(address))
        return clients[-1]

    yield open_one
    for client in clients:
        client.close()


def handshake(client: RawClient, mechanism: str, version: int = 1) -> tuple[int, list[str]]:
    answer = client.ask(SASL_HANDSHAKE, version, {"mechanism": mechanism})
    return answer.error_code, sorted(answer.mechanisms)


def authenticate(client: RawClient, token: bytes) -> SimpleNamespace:
    return client.ask(SASL_AUTHENTICATE, 2, {"auth_bytes": token})


MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
Connect = Callable[[], RawClient]


def test_a_mechanism_that_is_not_offered(connect: Connect) -> None:
    client = connect()
    assert handshake(client, "GSSAPI") == (33, MECHANISMS)
    assert client.is_ended()


@pytest.mark.parametrize(
    ("mechanism", "token", "message"),
    [
        ("PLAIN", b"\0alice\0wrong", "Authentication failed: Invalid username or password"),
        ("PLAIN", b"\0nobody\0secret", "Authentication failed: Invalid username or password"),
        (
            "PLAIN",
            b"root\0alice\0secret",
            "Authentication failed: Client requested an authorization id that is different from username",
        ),
        ("PLAIN", b"", "Invalid SASL/PLAIN response: expected 3 tokens, got 1"),
        ("PLAIN", b"alice", "Invalid SASL/PLAIN response: expected 3 tokens, got 1"),
        ("PLAIN", b"\0alice", "Invalid SASL/PLAIN response: expected 3 tokens, got 2"),
        ("PLAIN", b"\0alice\0secret\0more", "Invalid SASL/PLAIN response: expected 3 tokens, got 4"),
        ("PLAIN", b"\0\0secret", "Authentication failed: username not specified"),
        ("PLAIN", b"\0alice\0", "Authentication failed: password not specified"),
        ("SCRAM-SHA-256", b"n,,n=nobody,r=abc", None),
        (
            "SCRAM-SHA-256",
            b"n,a=root,n=alice,r=abc",
            "Authentication failed: Client requested an authorization id that is different from username",
        ),
        ("SCRAM-SHA-512", b"y,,n=alice,r=abc", None),
        ("SCRAM-SHA-512", b"nonsense", None),
    ],
)
def test_a_log_in_that_fails(connect: Connect, mechanism: str, token: bytes, message: str | None) -> None:
    client = connect()
    assert handshake(client, mechanism) == (0, MECHANISMS)
    answer = authenticate(client, token)
    hidden = f"Authentication failed during authentication due to invalid credentials with SASL mechanism {mechanism}"
    assert (answer.error_code, answer.error_message, answer.auth_bytes) == (58, message or hidden, b"")
    assert client.is_ended()


@pytest.mark.parametrize(("mechanism", "hash_name"), [("SCRAM-SHA-256", "sha256"), ("SCRAM-SHA-512", "sha512")])
@pytest.mark.parametrize("password", ["secret", "wrong"])
def test_scram(connect: Connect, mechanism: str, hash_name: str, password: str) -> None:
    client = connect()
    handshake(client, mechanism)
    first = b"n,,n=alice,r=rOprNGfwEbeRWgbNEkqO"
    answer = authenticate(client, first)
    assert (answer.error_code, answer.session_lifetime_ms) == (0, 0)
    answer = authenticate(client, client_final(first, answer.auth_bytes, password, hash_name))
    assert answer.error_code == (0 if password == "secret" else 58)
    assert answer.auth_bytes.startswith(b"v=") == (password == "secret")


def test_a_nonce_that_was_sent_twice(connect: Connect) -> None:
    client = connect()
    handshake(client, "SCRAM-SHA-256")
    first = b"n,,n=alice,r=rOprNGfwEbeRWgbNEkqO"
    server_first = authenticate(client, first).auth_bytes
    final = client_final(first, server_first.replace(b"r=", b"r=rOprNGfwEbeRWgbNEkqO", 1), "secret", "sha256")
    assert authenticate(client, final).error_code == 58


def test_after_the_log_in(connect: Connect) -> None:
    client = connect()
    assert client.api_versions().error_code == 0
    handshake(client, "PLAIN")
    answer = authenticate(client, b"\0alice\0secret")
    assert (answer.error_code, answer.error_message, answer.auth_bytes, answer.session_lifetime_ms) == (0, "", b"", 0)
    assert client.api_versions().error_code == 0
    assert handshake(client, "PLAIN") == (34, [])
    answer = authenticate(client, b"\0alice\0secret")
    assert (answer.error_code, answer.error_message) == (
        34,
        "SaslAuthenticate request received after successful authentication",
    )
    assert len(client.ask(METADATA, 9, ASK).brokers) == 1


def test_bare_tokens_after_a_handshake_of_version_0(connect: Connect) -> None:
    client = connect()
    assert handshake(client, "PLAIN", version=0) == (0, MECHANISMS)
    client.send_bytes(b"\0\0\0\x0d\0alice\0secret")
    assert client.receive_frame() == b""
    assert len(client.ask(METADATA, 9, ASK).brokers) == 1


@pytest.mark.parametrize("before", [(), ("versions",), ("versions", "versions"), ("token",)])
def test_what_may_not_come_ends_the_connection(connect: Connect, before: tuple[str, ...]) -> None:
    client = connect()
    for what in before:
        if what == "versions":
            client.send(API_VERSIONS, 0, {})
        else:
            client.send(SASL_AUTHENTICATE, 2, {"auth_bytes": b"\0alice\0secret"})
    if before != ("versions", "versions"):
        client.send(METADATA, 9, ASK)
    assert client.is_ended()
