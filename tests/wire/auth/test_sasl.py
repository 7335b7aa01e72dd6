"""The allowed order of requests on a listener with SASL, byte by byte."""

import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BY_CODE
from sandbox.storage.resources import ScramCredential
from sandbox.wire.auth.listener import Listener
from sandbox.wire.auth.sasl import REQUEST_BYTES_MAX
from sandbox.wire.auth.scram import is_password
from tests.wire.raw_client import METADATA, RawClient, framed, request_header

SASL_HANDSHAKE, API_VERSIONS, SASL_AUTHENTICATE = 17, 18, 36
GOOD, BAD = b"\0alice\0secret", b"\0alice\0wrong"

Connect = Callable[[], RawClient]


@pytest.fixture
def sasl(box: Sandbox) -> Iterator[Connect]:
    """Connect to a listener where alice may log in with "secret"."""
    box.add_user("alice", "secret")
    box.serve(kafka_port=0, web_port=None, listeners=[Listener("SASL_PLAINTEXT")])
    clients: list[RawClient] = []

    def connect() -> RawClient:
        clients.append(RawClient(box.listener_addresses["SASL_PLAINTEXT"]))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


def name(answer: SimpleNamespace) -> str:
    return BY_CODE[answer.error_code].name if answer.error_code else "NONE"


def handshake(client: RawClient, mechanism: str = "PLAIN", version: int = 1) -> SimpleNamespace:
    return client.ask(SASL_HANDSHAKE, version, {"mechanism": mechanism})


def authenticate(client: RawClient, token: bytes, version: int = 2) -> SimpleNamespace:
    return client.ask(SASL_AUTHENTICATE, version, {"auth_bytes": token})


def metadata(client: RawClient) -> SimpleNamespace:
    return client.ask(METADATA, 9, {"topics": [], "allow_auto_topic_creation": False})


@pytest.mark.parametrize("version", [0, 1, 2])
def test_after_the_log_in_requests_are_served(sasl: Connect, version: int) -> None:
    client = sasl()
    assert client.api_versions().error_code == 0
    answer = handshake(client)
    assert (name(answer), answer.mechanisms) == ("NONE", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
    answer = authenticate(client, GOOD, version)
    assert (name(answer), answer.auth_bytes, answer.session_lifetime_ms) == ("NONE", b"", 0)
    assert len(metadata(client).brokers) == 1


def test_a_client_need_not_ask_for_versions_first(sasl: Connect) -> None:
    client = sasl()
    assert name(handshake(client)) == "NONE"
    assert name(authenticate(client, GOOD)) == "NONE"
    assert client.api_versions().error_code == 0


def test_before_the_log_in_nothing_else_is_served(sasl: Connect) -> None:
    client = sasl()
    client.send(METADATA, 9, {"topics": [], "allow_auto_topic_creation": False})
    assert client.is_ended()


def test_versions_are_asked_for_once_and_a_version_that_is_too_new_does_not_count(sasl: Connect) -> None:
    client = sasl()
    client.send_bytes(framed(request_header(API_VERSIONS, 99, 1)))
    assert struct.unpack_from(">ih", client.receive_frame()) == (1, 35)
    assert client.api_versions().error_code == 0
    client.send(API_VERSIONS, 0, {})
    assert client.is_ended()


def test_a_token_before_the_handshake_ends_the_connection(sasl: Connect) -> None:
    client = sasl()
    client.send(SASL_AUTHENTICATE, 2, {"auth_bytes": GOOD})
    assert client.is_ended()


def test_another_request_between_handshake_and_token_ends_the_connection(sasl: Connect) -> None:
    client = sasl()
    handshake(client)
    client.send(METADATA, 9, {"topics": [], "allow_auto_topic_creation": False})
    assert client.is_ended()


def test_a_mechanism_that_is_not_offered_is_refused_with_those_that_are(sasl: Connect) -> None:
    client = sasl()
    answer = handshake(client, "GSSAPI")
    assert name(answer) == "UNSUPPORTED_SASL_MECHANISM"
    assert answer.mechanisms == ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
    assert client.is_ended()


def test_a_listener_may_offer_less(box: Sandbox) -> None:
    listener = Listener("SASL_PLAINTEXT", mechanisms=("SCRAM-SHA-512",))
    box.serve(kafka_port=None, web_port=None, listeners=[listener])
    client = RawClient(box.listener_addresses["SASL_PLAINTEXT"])
    answer = handshake(client)
    assert (name(answer), answer.mechanisms) == ("UNSUPPORTED_SASL_MECHANISM", ["SCRAM-SHA-512"])
    client.close()


@pytest.mark.parametrize("token", [BAD, b"\0nobody\0secret"])
def test_a_wrong_password_is_told_as_kafka_does_and_ends_the_connection(
    sasl: Connect, token: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    client = sasl()
    handshake(client)
    answer = authenticate(client, token)
    assert name(answer) == "SASL_AUTHENTICATION_FAILED"
    assert answer.error_message == "Authentication failed: Invalid username or password"
    assert client.is_ended()
    assert "authentication failed: there is no user" in caplog.text
    assert "secret" not in caplog.text
    assert "wrong" not in caplog.text


@pytest.mark.parametrize("token", [b"", b"alice", b"\0alice", b"\0\0secret", b"\0alice\0", b"\0alice\0secret\0"])
def test_a_token_that_is_not_one_of_plain_lets_nobody_in(sasl: Connect, token: bytes) -> None:
    client = sasl()
    handshake(client)
    assert name(authenticate(client, token)) == "SASL_AUTHENTICATION_FAILED"
    assert client.is_ended()


def test_nobody_is_anybody_else(sasl: Connect) -> None:
    client = sasl()
    handshake(client)
    answer = authenticate(client, b"root\0alice\0secret")
    assert answer.error_message == (
        "Authentication failed: Client requested an authorization id that is different from username"
    )
    assert client.is_ended()


def test_a_user_that_scram_does_not_know_is_told_no_more_than_one_with_a_wrong_password(sasl: Connect) -> None:
    client = sasl()
    handshake(client, "SCRAM-SHA-256")
    answer = authenticate(client, b"n,,n=nobody,r=abc")
    assert name(answer) == "SASL_AUTHENTICATION_FAILED"
    assert answer.error_message == (
        "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256"
    )
    assert client.is_ended()


def test_requests_that_follow_a_failed_log_in_at_once_are_not_served(sasl: Connect, box: Sandbox) -> None:
    client = sasl()
    handshake(client)
    client.send(SASL_AUTHENTICATE, 2, {"auth_bytes": BAD})
    client.send(METADATA, 3, {"topics": [{"name": "sneaked-in"}]})
    assert name(client.receive()) == "SASL_AUTHENTICATION_FAILED"
    assert client.is_ended()
    assert box.topics() == ()


def test_after_a_handshake_of_version_0_tokens_come_bare(sasl: Connect) -> None:
    client = sasl()
    assert name(handshake(client, version=0)) == "NONE"
    client.send_bytes(framed(GOOD))
    assert client.receive_frame() == b""
    assert len(metadata(client).brokers) == 1


def test_a_bare_token_that_is_wrong_ends_the_connection(sasl: Connect) -> None:
    client = sasl()
    handshake(client, version=0)
    client.send_bytes(framed(BAD))
    assert client.is_ended()


def test_after_the_log_in_another_is_an_illegal_state_and_the_connection_goes_on(sasl: Connect) -> None:
    client = sasl()
    handshake(client)
    authenticate(client, GOOD)
    answer = handshake(client)
    assert (name(answer), answer.mechanisms) == ("ILLEGAL_SASL_STATE", [])
    assert name(authenticate(client, BAD)) == "ILLEGAL_SASL_STATE"
    assert len(metadata(client).brokers) == 1


def test_on_the_plain_port_a_log_in_is_an_illegal_state(client: RawClient) -> None:
    assert name(handshake(client)) == "ILLEGAL_SASL_STATE"
    assert name(authenticate(client, GOOD)) == "ILLEGAL_SASL_STATE"
    assert client.api_versions().error_code == 0


def test_a_stranger_may_not_send_large_requests_and_a_user_may(sasl: Connect, box: Sandbox) -> None:
    stranger = sasl()
    stranger.send_bytes(struct.pack(">i", REQUEST_BYTES_MAX + 1))
    assert stranger.is_ended()
    client = sasl()
    handshake(client)
    authenticate(client, GOOD)
    topics = [{"name": f"{number:0200}"} for number in range(4_000)]
    client.send(METADATA, 9, {"topics": topics, "allow_auto_topic_creation": False})
    assert len(client.receive().topics) == 4_000


def test_a_password_that_was_changed_counts_from_the_next_log_in_on(sasl: Connect, box: Sandbox) -> None:
    before = sasl()
    handshake(before)
    authenticate(before, GOOD)
    box.add_user("alice", "new")
    for token, expected in ((GOOD, "SASL_AUTHENTICATION_FAILED"), (b"\0alice\0new", "NONE")):
        client = sasl()
        handshake(client)
        assert name(authenticate(client, token)) == expected
    assert len(metadata(before).brokers) == 1


def test_an_injected_error_hits_the_log_in_too(sasl: Connect, box: Sandbox) -> None:
    client = sasl()
    handshake(client)
    with box.inject("SaslAuthenticate", error="SASL_AUTHENTICATION_FAILED", times=1):
        assert name(authenticate(client, GOOD)) == "SASL_AUTHENTICATION_FAILED"
    assert name(authenticate(client, GOOD)) == "NONE"


def test_passwords_are_checked_outside_the_event_loop(sasl: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    def noted(credential: ScramCredential, password: str) -> bool:
        threads.append(threading.current_thread().name)
        return is_password(credential, password)

    monkeypatch.setattr("sandbox.wire.auth.sasl.is_password", noted)
    client = sasl()
    handshake(client)
    assert name(authenticate(client, GOOD)) == "NONE"
    assert threads
    assert all(thread.startswith("sandbox-passwords") for thread in threads)


def test_while_one_password_is_checked_others_are_served(sasl: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    may_end = threading.Event()
    monkeypatch.setattr("sandbox.wire.auth.sasl.is_password", lambda credential, password: may_end.wait(30))
    slow, other = sasl(), sasl()
    handshake(slow)
    slow.send(SASL_AUTHENTICATE, 2, {"auth_bytes": GOOD})
    slow.send(METADATA, 9, {"topics": [], "allow_auto_topic_creation": False})
    assert other.api_versions().error_code == 0
    may_end.set()
    assert name(slow.receive()) == "NONE"
    assert len(slow.receive().brokers) == 1, "what followed the token waited for it"


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_a_failed_log_in_is_answered_after_kafkas_delay(file: Path, mechanism: str) -> None:
    with Sandbox(file, settings={"connection.failed.authentication.delay.ms": "60000"}) as box:
        box.add_user("alice", "secret")
        box.serve(kafka_port=None, web_port=None, listeners=[Listener("SASL_PLAINTEXT")])
        guesser, client = (RawClient(box.listener_addresses["SASL_PLAINTEXT"]) for _ in range(2))
        handshake(guesser, mechanism)
        guesser.send(SASL_AUTHENTICATE, 2, {"auth_bytes": BAD if mechanism == "PLAIN" else b"n,,n=nobody,r=abc"})
        handshake(client)
        assert name(authenticate(client, GOOD)) == "NONE"
        guesser.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            guesser.receive_bytes(1)
        for one in (guesser, client):
            one.close()


def test_a_check_that_breaks_ends_its_connection(sasl: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(credential: ScramCredential, password: str) -> bool:
        raise RuntimeError("no")

    monkeypatch.setattr("sandbox.wire.auth.sasl.is_password", broken)
    client = sasl()
    handshake(client)
    client.send(SASL_AUTHENTICATE, 2, {"auth_bytes": GOOD})
    assert client.is_ended()
