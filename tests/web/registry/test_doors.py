"""Access to the schema registry: clients, ports and forms of requests."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.wire.auth.listener import Advertised
from tests.web.registry.client import V1, Registry

STRING = {"schema": '"string"'}
REGISTER = "POST /subjects/s/versions"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "dev.db") as sandbox:
        yield sandbox


def served(box: Sandbox, **options: object) -> Registry:
    box.serve(kafka_port=None, web_port=None, **options)  # type: ignore[arg-type]
    return Registry(str(box.registry_address))


@pytest.mark.parametrize(
    "kind", [V1, "application/vnd.schemaregistry+json", "application/json; charset=utf-8", "application/octet-stream"]
)
def test_a_body_of_each_content_type_is_taken(box: Sandbox, kind: str) -> None:
    assert served(box).ask(REGISTER, STRING, {"Content-Type": kind}).status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", ""])
def test_another_content_type_is_415(box: Sandbox, kind: str) -> None:
    answer = served(box).ask(REGISTER, STRING, {"Content-Type": kind})
    assert (answer.status, answer.value["error_code"]) == (415, 415)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", V1),
        ("application/json", "application/json"),
        ("application/vnd.schemaregistry+json; q=0.9, application/json; q=0.5", "application/vnd.schemaregistry+json"),
        (f"{V1}, application/vnd.schemaregistry+json, application/json", V1),
        ("text/html, image/gif, *; q=.2, */*; q=.2", V1),
        ("application/*", V1),
        ("*/anything", V1),
        ("application/vnd.schemaregistry.v2+json; q=0.9, application/json; q=0.1", "application/json"),
        ("application/json, */*; q=0.1", "application/json"),
    ],
)
def test_the_first_content_type_that_is_accepted_is_sent(box: Sandbox, accept: str, kind: str) -> None:
    assert served(box).ask("GET /subjects", headers={"Accept": accept}).headers["content-type"] == kind


def test_answers_have_the_headers_of_confluents_registry(box: Sandbox) -> None:
    headers = served(box).ask("GET /v1/metadata/id").headers
    assert headers["x-xss-protection"] == "1; mode=block"
    assert headers["cache-control"] == "no-cache, no-store, must-revalidate"


def test_who_accepts_no_json_gets_406(box: Sandbox) -> None:
    registry = served(box)
    for kind in ("text/html", "text/*", "application/vnd.schemaregistry.v2+json", "application/json; q=0"):
        assert registry.ask("GET /subjects", headers={"Accept": kind}).value["error_code"] == 406


def test_other_sites_and_unknown_hosts_are_refused(box: Sandbox) -> None:
    registry = served(box)
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}):
        answer = registry.ask(REGISTER, STRING, headers)
        assert (answer.status, answer.value.keys()) == (403, {"error_code", "message"})
    assert registry.ask("GET /subjects", headers={"Sec-Fetch-Site": "cross-site"}).status == 403
    assert registry.ask("GET /subjects").value == []


def test_the_advertised_name_is_known(box: Sandbox) -> None:
    registry = served(box, advertised=Advertised("sandbox"))
    assert registry.ask("GET /subjects", headers={"Host": "sandbox:8081"}).status == 200
    assert registry.ask("GET /subjects", headers={"Host": "other:8081"}).status == 403


def test_a_token_is_required_where_the_page_requires_one(box: Sandbox) -> None:
    registry = served(box, web_token="secret")
    refused = registry.ask("GET /subjects")
    assert (refused.status, refused.headers["www-authenticate"]) == (401, 'Basic realm="Kafka Sandbox"')
    # me:secret, me:wrong
    assert registry.ask("GET /subjects", headers={"Authorization": "Basic bWU6c2VjcmV0"}).status == 200
    assert registry.ask("GET /subjects", headers={"Authorization": "Basic bWU6d3Jvbmc="}).status == 401
    assert registry.ask("GET /subjects", headers={"Authorization": "Bearer secret"}).status == 200


def test_a_read_only_sandbox_refuses_changes(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "dev.db") as box:
        served(box).ask(REGISTER, STRING)
    with Sandbox(tmp_path / "dev.db", read_only=True) as box:
        registry = served(box)
        assert registry.ask(REGISTER, STRING).value["id"] == 1
        for line, body in (
            (REGISTER, {"schema": '"int"'}),
            ("PUT /config", {"compatibility": "NONE"}),
            ("DELETE /subjects/s", None),
        ):
            assert registry.ask(line, body).value["error_code"] in (409, 42205)
        assert registry.ask("PUT /config", {"compatibility": "NONE"}).value["error_code"] == 42205
        assert registry.ask("GET /subjects").value == ["s"]


def test_the_error_code_of_an_incompatible_schema_is_a_setting(box: Sandbox) -> None:
    registry = served(box, registry_conflict_code=40901)
    registry.ask(REGISTER, STRING)
    answer = registry.ask(REGISTER, {"schema": '"int"'})
    assert (answer.status, answer.value["error_code"]) == (409, 40901)


def test_the_pages_port_has_the_registry_too(box: Sandbox) -> None:
    box.serve(kafka_port=None, web_port=0)
    below = Registry(f"{box.web_address}/registry")
    assert below.ask("POST /subjects/a%2Fb/versions", STRING).value["id"] == 1
    assert Registry(str(box.registry_address)).ask("GET /subjects").value == ["a/b"]
    assert below.ask("GET ").value == {}
    assert Registry(str(box.web_address)).ask("GET /topics.json").status == 200


def test_the_first_free_port_is_taken(box: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        box.serve(kafka_port=None, web_port=None, registry_port=(taken.getsockname()[1], 0))
        assert Registry(str(box.registry_address)).ask("GET /subjects").value == []


def test_no_port_is_opened_if_none_is_wanted(box: Sandbox) -> None:
    box.serve(kafka_port=0, web_port=None, registry_port=None)
    assert box.registry_address is None


def test_a_start_does_not_wait_for_the_registry(tmp_path: Path) -> None:
    program = (
        "import sys; from sandbox import Sandbox\n"
        "with Sandbox(sys.argv[1]) as box:\n"
        "    box.serve(kafka_port=0, web_port=None)\n"
        "    print(sorted(name for name in sys.modules if name.split('.')[0] in ('flask', 'uvicorn', 'a2wsgi')\n"
        "        or name.startswith(('sandbox.web', 'sandbox.registry', 'sandbox.schemas.parsing'))))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "dev.db")], capture_output=True, text=True, timeout=60
    )
    assert (found.stdout, found.stderr) == ("[]\n", "")


def test_the_start_of_the_page_does_not_wait_for_the_registrys_rules(tmp_path: Path) -> None:
    program = (
        "import sys; from urllib.request import urlopen; from sandbox import Sandbox\n"
        "rules = ('sandbox.registry.', 'sandbox.schemas.', 'sandbox.web.registry.')\n"
        "light = ('errors', 'decoding', 'framing', 'schema', 'values', 'json_text', 'pages')\n"
        "with Sandbox(sys.argv[1]) as box:\n"
        "    box.append('orders', b'{\"id\": 1}')\n"
        "    box.serve(kafka_port=0, web_port=0)\n"
        "    urlopen(box.web_address + '/topics/orders/messages').read()\n"
        "    print(sorted(n for n in sys.modules if n.startswith(rules) and n.rpartition('.')[2] not in light))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "dev.db")], capture_output=True, text=True, timeout=60
    )
    assert (found.stdout, found.stderr) == ("[]\n", "")


def test_connections_that_come_before_the_server_is_loaded_are_all_answered(box: Sandbox) -> None:
    box.serve(kafka_port=None, web_port=None)
    host, _, port = str(box.registry_address).removeprefix("http://").partition(":")
    clients = [socket.create_connection((host, int(port)), timeout=30) for _ in range(20)]
    for client in clients:
        client.sendall(b"GET /subjects HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    for client in clients:
        with client, client.makefile("rb") as answer:
            assert answer.read().endswith(b"[]")


def test_a_schema_above_the_limit_is_refused(box: Sandbox) -> None:
    large = {"schema": json.dumps({"type": "fixed", "name": "F", "size": 1, "doc": "x" * 1024 * 1024})}
    assert served(box).ask(REGISTER, large).value["error_code"] == 42209


def test_a_restored_snapshot_brings_schemas_back_and_assigns_no_id_again(box: Sandbox) -> None:
    registry = served(box)
    registry.ask(REGISTER, STRING)
    box.snapshots.take("before")
    assert registry.ask("POST /subjects/t/versions", {"schema": '"int"'}).value["id"] == 2
    box.snapshots.restore("before")
    assert registry.ask("GET /subjects").value == ["s"]
    assert registry.ask("POST /subjects/u/versions", {"schema": '"long"'}).value["id"] == 3
    assert box.check().findings == []
