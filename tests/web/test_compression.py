"""Pages, data and assets are compressed for browsers that accept it, and the same for those that don't."""

import gzip

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox

GZIP = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.mark.parametrize("path", ["/topics/orders/messages", "/topics/orders/messages.json", "/static/app.css"])
def test_an_answer_is_compressed_without_loss(page: FlaskClient, box: Sandbox, path: str) -> None:
    box.create_topic("orders", partitions=1)
    for n in range(50):
        box.append("orders", b'{"n": %d, "text": "abc"}' % n)
    plain, compressed = page.get(path, buffered=True), page.get(path, headers=GZIP, buffered=True)
    assert "Content-Encoding" not in plain.headers
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in compressed.headers["Vary"]
    assert int(compressed.headers["Content-Length"]) == len(compressed.data) < len(plain.data) / 3
    if path.startswith("/static/"):
        assert gzip.decompress(compressed.data) == plain.data
        again = page.get(path, headers=GZIP | {"If-None-Match": compressed.headers["ETag"]}, buffered=True)
        assert (again.status_code, again.data) == (304, b"")
    else:
        assert b"abc" in gzip.decompress(compressed.data)


def test_small_answers_and_downloads_of_bytes_stay_as_they_are(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    box.append("orders", b"x" * 5000)
    for path in ("/topics/orders/0/0/value", "/search.json?q=nothing"):
        assert "Content-Encoding" not in page.get(path, headers=GZIP).headers
