"""The pages over a cluster decode with the schemas of a registry: here a sandbox is both."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from click.testing import CliRunner

from sandbox.api.sandbox import Sandbox
from sandbox.cli.main import main
from sandbox.model.deserializers import Deserializer
from sandbox.model.messages import MessageQuery
from sandbox.model.registry import AVRO, SchemaReference, SchemaRequest, Subject
from sandbox.remote.backend import RemoteBackend
from sandbox.remote.schema_registry import MISSING_S, RegistryConnection, RemoteSchemas, split_settings
from sandbox.schemas.decoding import EventDecoder, FoundSchema
from sandbox.schemas.framing import classic_frame
from sandbox.web.app import create_app
from tests.waiting import eventually

CITY = '{"type":"record","name":"City","fields":[{"name":"name","type":"string"}]}'
ORDER = '{"type":"record","name":"Order","fields":[{"name":"id","type":"int"},{"name":"city","type":"City"}]}'
VALUE = classic_frame(2) + b"\x0e\x08Rome"
TOKEN = "a-secret-token"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "dev.db") as sandbox:
        sandbox.serve(kafka_port=0, web_port=0, web_token=TOKEN)
        register(sandbox)
        sandbox.append("orders", VALUE, key="k")
        yield sandbox


def register(box: Sandbox) -> None:
    box.schemas.register(Subject(".", "city"), SchemaRequest(CITY))
    reference = SchemaReference("City", "city", 1)
    box.schemas.register(Subject(".", "orders-value"), SchemaRequest(ORDER, references=(reference,)))


def settings(box: Sandbox, **more: str) -> dict[str, str]:
    return {"url": str(box.registry_address), **{name.replace("_", "."): value for name, value in more.items()}}


@pytest.mark.parametrize("access", [{"basic_auth_user_info": f"me:{TOKEN}"}, {"bearer_auth_token": TOKEN}])
def test_pages_filters_and_columns_decode_with_the_registrys_schemas(box: Sandbox, access: dict[str, str]) -> None:
    with RemoteBackend(box.kafka_address or "", kept_s=0, schema_registry=settings(box, **access)) as cluster:
        page = create_app(cluster).test_client()

        def decoded() -> bool:
            html = page.get("/topics/orders/messages?col=$.city.name").text
            return "AVRO, orders-value version 1, schema id 2" in html and "Rome" in html

        eventually(decoded)
        assert page.get("/topics/orders/messages.json?where=$.id+%3D+7").get_json()["events"]
        assert page.get("/topics/orders/messages.json?value=%22Rome%22").get_json()["events"]
        assert not page.get("/topics/orders/messages.json?value=%22Paris%22").get_json()["events"]


def test_a_wrong_password_is_named_beside_the_bytes(box: Sandbox) -> None:
    with RemoteBackend(box.kafka_address or "", schema_registry=settings(box, bearer_auth_token="no")) as cluster:
        page = create_app(cluster).test_client()
        eventually(lambda: f"{box.registry_address} answers 401" in page.get("/topics/orders/messages").text)


def test_a_bound_schema_is_kept_in_memory_without_a_registry(box: Sandbox) -> None:
    with RemoteBackend(box.kafka_address or "") as cluster:
        page = create_app(cluster).test_client()
        assert "no schema registry is connected" in page.get("/topics/orders/messages").text
        cluster.deserializers.set("orders", "value", Deserializer(AVRO, ORDER, (("City", CITY),)))
        assert "Rome" in page.get("/topics/orders/messages").text
        assert cluster.messages(MessageQuery("orders", value="Rome")).events
        html = page.get("/topics/orders/deserializers").text
        assert "kept until this program ends" in html
        form = {"part": "value", "format": "AUTOMATIC", "action": "save"}
        assert page.post("/topics/orders/deserializers", data=form).status_code == 303
        assert cluster.deserializers.of("orders") == {}


class Slow:
    """A registry that answers when it is let."""

    url = "http://slow"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.let = threading.Event()

    def ask(self, path: str) -> Any:
        self.asked.append(path)
        assert self.let.wait(30)
        return [] if path.endswith("/versions") else {"schema": '"int"'}


def test_a_page_does_not_wait_for_a_registry_that_is_slow() -> None:
    slow, arrived = Slow(), threading.Event()
    schemas = RemoteSchemas(slow, lambda topic: arrived.set())  # type: ignore[arg-type]
    decoder = EventDecoder(schemas.finder(0.05).find)
    found = decoder.decode("t", classic_frame(7) + b"\x02")
    assert found is not None
    assert found.problem == "schema id 7: is being fetched from http://slow"
    slow.let.set()
    assert arrived.wait(30)
    assert EventDecoder(schemas.finder(5).find).readable("t", classic_frame(7) + b"\x02") == b"1"
    assert slow.asked == ["/schemas/ids/7", "/schemas/ids/7/versions"]
    schemas.close()


def test_found_schemas_are_cached_for_good_and_missing_ones_for_a_while(box: Sandbox) -> None:
    now_s = [0.0]
    connection = RegistryConnection(settings(box, bearer_auth_token=TOKEN))
    schemas = RemoteSchemas(connection, clock=lambda: now_s[0])
    assert schemas.look_up(9, "orders", is_key=False, wait_s=20) is None
    box.schemas.register(Subject(".", "late"), SchemaRequest('"long"'))
    box.schemas.register(Subject(".", "later"), SchemaRequest('"int"'))
    assert isinstance(schemas.look_up(3, "late", is_key=False, wait_s=20), FoundSchema)
    assert schemas.look_up(9, "orders", is_key=False, wait_s=20) is None
    for number in range(5):
        box.schemas.register(
            Subject(".", f"s{number}"), SchemaRequest(f'{{"type":"fixed","name":"f","size":{number + 1}}}')
        )
    assert schemas.look_up(9, "orders", is_key=False, wait_s=20) is None
    now_s[0] += MISSING_S + 1
    assert isinstance(schemas.look_up(9, "orders", is_key=False, wait_s=20), FoundSchema)
    schemas.close()
    box.close()
    assert isinstance(schemas.look_up(3, "late", is_key=False, wait_s=0), FoundSchema)


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"schema": '"int"'} if self.path == "/sr/schemas/ids/1" else []).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Write no log."""


@contextmanager
def over_tls(authority: trustme.CA) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}/sr"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_certificate_of_a_registry_is_checked(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with over_tls(authority) as url:
        for more, works in (
            ({}, False),
            ({"ssl.ca.location": str(tmp_path / "ca.pem")}, True),
            ({"enable.ssl.certificate.verification": "false"}, True),
        ):
            schemas = RemoteSchemas(RegistryConnection({"url": url, **more}))
            found = schemas.look_up(1, "t", is_key=False, wait_s=20)
            assert isinstance(found, FoundSchema) == works, (more, found)
            if not works:
                assert "does not answer" in str(found)
            schemas.close()


def test_settings_are_those_of_confluents_files() -> None:
    kafka, registry = split_settings(
        {
            "sasl.username": "a",
            "schema.registry.url": "https://r",
            "basic.auth.credentials.source": "USER_INFO",
            "basic.auth.user.info": "a:b",
        }
    )
    assert kafka == {"sasl.username": "a"}
    assert registry["basic.auth.user.info"] == "a:b"
    with pytest.raises(ValueError, match=r"schema\.registry\.urls is not known"):
        split_settings({"schema.registry.urls": "x"})
    for wrong, said in (
        ({"url": "ftp://x"}, "http://host:port"),
        ({"url": "https://x", "ssl.ca.location": "/no"}, "certif"),
    ):
        with pytest.raises(ValueError, match=said):
            RegistryConnection(wrong)


def test_a_password_in_the_url_is_sent_and_never_shown(box: Sandbox) -> None:
    url = str(box.registry_address).replace("http://", f"http://me:{TOKEN}@")
    connection = RegistryConnection({"url": url})
    assert TOKEN not in connection.url
    assert connection.ask("/subjects") == ["city", "orders-value"]


def test_the_command_refuses_wrong_settings_before_it_connects() -> None:
    for arguments, said in (
        (["--schema-registry", "ftp://x"], "http://host:port"),
        (["-X", "basic.auth.user.info=a:b"], "--schema-registry URL"),
        (["-X", "schema.registry.uri=x"], "is not known"),
    ):
        found = CliRunner().invoke(main, ["ui", "--bootstrap", "127.0.0.1:1", *arguments])
        assert (found.exit_code, said in found.stderr) == (2, True), found.stderr
