"""Pages, data and assets are compressed for browsers that accept it, and the same for those that don't.

Assets that a page links to are kept by browsers, and are not given to those who may not read the page.
"""

import gzip
import http.client
import re
from contextlib import closing
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.web.assets import asset_folder

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


def _get(box: Sandbox, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    assert box.web_address is not None
    host = box.web_address.removeprefix("http://")
    with closing(http.client.HTTPConnection(host, timeout=10)) as connection:
        connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
        answer = connection.getresponse()
        return answer, answer.read()


def test_browsers_keep_the_assets_that_a_page_links_to(box: Sandbox) -> None:
    box.serve(kafka_port=None, web_port=0)
    links = re.findall(r'(?:src|href)="(/static/[^"]+)"', _get(box, "/groups")[1].decode())
    assert len(links) >= 8
    for link in links:
        content = Path(asset_folder("static"), link.removeprefix("/static/").partition("?")[0]).read_bytes()
        plain, packed = _get(box, link), _get(box, link, Accept_Encoding="gzip, br")
        for answer, _ in (plain, packed):
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Vary"] == "Accept-Encoding"
        assert (plain[0].headers["Content-Encoding"], plain[1]) == (None, content)
        if len(content) > 1000:
            assert packed[0].headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(packed[1]) == content
        assert _get(box, link, Accept_Encoding="gzip;q=0")[1] == content
        head, body = _get(box, link, "HEAD")
        assert (head.headers["Content-Length"], body) == (str(len(content)), b"")


def test_an_asset_of_another_version_is_not_kept_forever(box: Sandbox) -> None:
    box.serve(kafka_port=None, web_port=0)
    for path in ("/static/app.css", "/static/app.css?v=0123456789ab"):
        answer, body = _get(box, path)
        assert (answer.status, b"font" in body) == (200, True)
        assert "immutable" not in answer.headers["Cache-Control"]


def test_an_asset_is_not_given_to_those_who_may_not_read_the_page(box: Sandbox) -> None:
    box.serve(kafka_port=None, web_port=0)
    link = re.findall(r'href="(/static/app.css[^"]+)"', _get(box, "/groups")[1].decode())[0]
    assert _get(box, link)[0].status == 200
    assert _get(box, link, Host="evil.example")[0].status == 403
    assert _get(box, link, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0].status == 403
    assert _get(box, link, "POST")[0].status == 405
