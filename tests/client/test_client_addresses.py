"""The client API: a sandbox file told from the address of a cluster."""

from pathlib import Path

import pytest

from sandbox import FileRefused, Producer
from sandbox.client.client import sandbox_file


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ("dev.db", "dev.db"),
        ("  dev.db ", "dev.db"),
        ("orders.SQLITE", "orders.SQLITE"),
        ("x.sqlite3", "x.sqlite3"),
        ("./x/dev", "x/dev"),
        ("/abs/dev.db", "/abs/dev.db"),
        ("sqlite:dev.db", "dev.db"),
        ("sqlite:dev", "dev"),
        ("SQLite:./dev.db", "dev.db"),
        ("sqlite:/abs/dev.db", "/abs/dev.db"),
        ("sqlite:///abs/dev.db", "/abs/dev.db"),
        ("sqlite:////abs/dev.db", "/abs/dev.db"),
        ("dir/odd:9092", "dir/odd:9092"),
        (Path("anything"), "anything"),
        ("localhost", None),
        ("localhost:9092", None),
        ("a:9092,b:9092", None),
        ("a:9092, b", None),
        ("broker.db:9092", None),
        ("[::1]:9092", None),
        ("PLAINTEXT://localhost:9092", None),
        ("SSL://broker.db", None),
        (None, None),
        (7, None),
    ],
)
def test_a_file_is_told_from_an_address(servers: object, expected: str | None) -> None:
    assert sandbox_file(servers) == (None if expected is None else Path(expected))


def test_a_tilde_is_the_home_folder() -> None:
    assert sandbox_file("~/dev.db") == Path.home() / "dev.db"


@pytest.mark.parametrize("servers", ["sqlite:", "sqlite:///", ":memory:", "sqlite::memory:", "sqlite://dev.db"])
def test_what_can_only_be_a_file_and_names_none_is_refused(servers: str) -> None:
    with pytest.raises(FileRefused):
        Producer({"bootstrap.servers": servers})
