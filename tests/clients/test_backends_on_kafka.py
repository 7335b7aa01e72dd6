"""The promises of tests/web/test_backends.py, kept over a sandbox in another process, and over Apache Kafka."""

from collections.abc import Iterator

import pytest

from sandbox.remote.backend import RemoteBackend
from tests.clients.conftest import Kafka
from tests.web import test_backends

pytestmark = pytest.mark.clients

FIXTURES = ("name", "orders")
OF_A_FILE = "test_what_a_sandbox_does_not_lack_works"

globals().update(
    {
        name: promise
        for name, promise in vars(test_backends).items()
        if name in FIXTURES or (name.startswith("test_") and name != OF_A_FILE)
    }
)


@pytest.fixture(scope="module")
def backend(kafka: Kafka) -> Iterator[RemoteBackend]:
    with RemoteBackend(kafka.bootstrap, allow_writes=True, kept_s=0, every_s=0.1) as cluster:
        yield cluster
