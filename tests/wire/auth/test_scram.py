"""SCRAM on the side of the server, against the vectors of its RFC."""

import base64
import hashlib
import hmac
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.broker.credentials import keys
from sandbox.storage.resources import ScramCredential
from sandbox.wire.auth.scram import AuthenticationFailed, ScramExchange, is_password, salted_password

# RFC 7677, section 3.
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
SHA256, SHA512 = "SCRAM-SHA-256", "SCRAM-SHA-512"


@cache
def credential(
    mechanism: str = SHA256, user: str = "user", password: str = "pencil", iterations: int = 4096
) -> ScramCredential:
    salted = salted_password(mechanism, password, SALT, iterations)
    return ScramCredential(user, mechanism, iterations, SALT, *keys(mechanism, salted))


def exchange(*known: ScramCredential, mechanism: str = SHA256, nonce: str = SERVER_NONCE) -> ScramExchange:
    users = {one.user: one for one in known}
    return ScramExchange(mechanism, users.get, lambda: nonce)


def client_final(first: bytes, server_first: bytes, password: str, hash_name: str) -> bytes:
    """The proof of a client that knows the password (RFC 5802, section 3)."""
    fields = dict(part.split("=", 1) for part in server_first.decode().split(","))
    salted = hashlib.pbkdf2_hmac(hash_name, password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
    key = hmac.digest(salted, b"Client Key", hash_name)
    bare = f"c={base64.b64encode(b'n,,').decode()},r={fields['r']}"
    signed = b",".join((first.removeprefix(b"n,,"), server_first, bare.encode()))
    signature = hmac.digest(hashlib.new(hash_name, key).digest(), signed, hash_name)
    proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
    return f"{bare},p={base64.b64encode(proof).decode()}".encode()


def test_the_vectors_of_rfc_7677_are_met() -> None:
    server = exchange(credential())
    assert server.step(CLIENT_FIRST) == SERVER_FIRST
    assert not server.complete
    assert server.step(CLIENT_FINAL) == SERVER_FINAL
    assert (server.complete, server.user) == (True, "user")


@pytest.mark.parametrize(("mechanism", "hash_name"), [(SHA256, "sha256"), (SHA512, "sha512")])
def test_a_client_that_knows_the_password_is_let_in_and_another_is_not(mechanism: str, hash_name: str) -> None:
    for password, known in (("pencil", True), ("pen", False)):
        server = exchange(credential(mechanism), mechanism=mechanism)
        final = client_final(CLIENT_FIRST, server.step(CLIENT_FIRST), password, hash_name)
        if known:
            assert server.step(final).startswith(b"v=")
        else:
            with pytest.raises(AuthenticationFailed, match="password of user 'user' is wrong") as failed:
                server.step(final)
            assert failed.value.told is None
        assert server.complete is known


def test_a_name_with_a_comma_and_an_equals_sign_is_unescaped() -> None:
    server = exchange(credential(user="a,b=c"))
    first = b"n,,n=a=2Cb=3Dc,r=abc"
    server.step(client_final(first, server.step(first), "pencil", "sha256"))
    assert server.user == "a,b=c"


def test_a_user_may_name_himself_and_nobody_else_as_the_one_to_be() -> None:
    exchange(credential()).step(b"n,a=user,n=user,r=abc")
    with pytest.raises(AuthenticationFailed) as failed:
        exchange(credential()).step(b"n,a=root,n=user,r=abc")
    assert failed.value.told == (
        "Authentication failed: Client requested an authorization id that is different from username"
    )


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (b"n,,n=nobody,r=abc", "there is no user 'nobody'"),
        (b"n,,n=user,r=abc,tokenauth=true", "delegation tokens"),
        (b"p=tls-unique,,n=user,r=abc", "without channel binding"),
        (b"y,,n=user,r=abc", "without channel binding"),
        (b"n,,n=user", "first message"),
        (b"n,,n=,r=abc", "first message"),
        (b"n,,n=a=b,r=abc", "first message"),
        (b"n,,n=user,r=a b", "first message"),
        (b"", "first message"),
        (b"\xff\x00", "first message"),
    ],
)
def test_a_first_message_that_is_not_one_is_refused(first: bytes, reason: str) -> None:
    with pytest.raises(AuthenticationFailed, match=reason):
        exchange(credential()).step(first)


@pytest.mark.parametrize(
    ("final", "reason"),
    [
        (CLIENT_FINAL.replace(b"%hvY", b"%hvZ"), "nonce"),
        (b"c=biws,r=rOprNGfwEbeRWgbNEkqO,p=AAAA", "nonce"),
        (CLIENT_FINAL.split(b",p=")[0] + b",p=AAAA", "wrong length"),
        (CLIENT_FINAL.split(b",p=")[0] + b",p=AAA", "not base64"),
        (CLIENT_FINAL.split(b",p=")[0], "final message"),
        (b"c=biwt" + CLIENT_FINAL[6:], "password of user 'user' is wrong"),
        (b"", "final message"),
    ],
)
def test_a_final_message_that_was_changed_is_refused(final: bytes, reason: str) -> None:
    server = exchange(credential())
    server.step(CLIENT_FIRST)
    with pytest.raises(AuthenticationFailed, match=reason):
        server.step(final)
    assert not server.complete


def test_a_client_that_sends_its_nonce_twice_is_refused_as_by_kafka_4_and_the_log_says_which_one_does() -> None:
    server = exchange(credential())
    server.step(CLIENT_FIRST)
    with pytest.raises(AuthenticationFailed, match=r"librdkafka before 2\.6\.1"):
        server.step(CLIENT_FINAL.replace(b",r=", b",r=rOprNGfwEbeRWgbNEkqO"))


def test_each_exchange_has_a_nonce_of_its_own() -> None:
    nonces = set()
    for _ in range(10):
        answer = ScramExchange(SHA256, lambda user: credential()).step(CLIENT_FIRST).decode()
        nonces.add(answer.split(",")[0].removeprefix("r=rOprNGfwEbeRWgbNEkqO"))
    assert len(nonces) == 10
    assert all(len(nonce) >= 24 for nonce in nonces)


def test_a_password_is_known_by_its_salted_key() -> None:
    for mechanism in (SHA256, SHA512):
        assert is_password(credential(mechanism), "pencil")
        assert not is_password(credential(mechanism), "Pencil")


@given(st.lists(st.binary(max_size=80), min_size=1, max_size=3))
def test_whatever_a_stranger_sends_he_is_not_let_in(messages: list[bytes]) -> None:
    server = exchange(credential())
    for message in messages:
        try:
            server.step(message)
        except AuthenticationFailed:
            break
    assert not server.complete
