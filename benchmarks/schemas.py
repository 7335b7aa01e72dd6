"""The schema registry over HTTP, and events that are decoded with it."""

import json
import time
import urllib.parse
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.figures import Figure, percentile
from sandbox import NewEvent, Sandbox
from sandbox.model.messages import MessageQuery
from sandbox.schemas.framing import classic_frame
from sandbox.schemas.parsing import parse_schema

PART = "schemas"
PAGE = 100
USER = {
    "type": "record",
    "name": "User",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": "string"},
        {"name": "email", "type": ["null", "string"]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
TEXTS = {
    "AVRO": json.dumps(USER),
    "JSON": json.dumps({"type": "object", "properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}),
    "PROTOBUF": 'syntax = "proto3"; message User { int64 id = 1; string name = 2; string email = 3; }',
}
VALUES = {
    "AVRO": {"id": 12345, "name": "Ada Lovelace", "email": "ada@example.org", "at": 1_700_000_000_000},
    "JSON": {"id": 12345, "name": "Ada Lovelace"},
    "PROTOBUF": {"id": 12345, "name": "Ada Lovelace", "email": "ada@example.org"},
}


def schemas(folder: Path, requests: int, events: int) -> list[Figure]:
    """Registrations of new Avro schemas, look-ups by id, and events decoded on a page and by `read`.

    Args:
        requests: how many registrations and look-ups.
        events: how many events of each format.
    """
    with Sandbox(folder / "schemas.db") as sandbox:
        sandbox.serve(kafka_port=None, web_port=None)
        figures = _requests(str(sandbox.registry_address), requests)
        for schema_type in TEXTS:
            figures += _decoding(sandbox, schema_type, events)
    return figures


def _requests(address: str, count: int) -> list[Figure]:
    place = urllib.parse.urlsplit(address)
    connection = HTTPConnection(place.hostname or "", place.port)

    def ask(method: str, path: str, body: object = None) -> float:
        started = time.perf_counter()
        data = None if body is None else json.dumps(body).encode()
        connection.request(method, path, data, {"Content-Type": "application/json"})
        connection.getresponse().read()
        return (time.perf_counter() - started) * 1000

    ask("POST", "/subjects/first/versions", {"schema": TEXTS["AVRO"]})
    bodies = [{"schema": json.dumps({**USER, "doc": str(number)})} for number in range(count)]
    registered = [ask("POST", f"/subjects/s{number}/versions", body) for number, body in enumerate(bodies)]
    again = [ask("POST", f"/subjects/s{number}/versions", body) for number, body in enumerate(bodies)]
    found = [ask("GET", f"/schemas/ids/{1 + number % count}") for number in range(count)]
    connection.close()
    return [
        Figure(PART, f"{name}, {words}", percentile(took, share), "ms")
        for name, took in (
            ("registration of a new schema", registered),
            ("registration of a known schema", again),
            ("look-up by id", found),
        )
        for words, share in (("p50", 0.5), ("p99", 0.99))
    ]


def _decoding(sandbox: Sandbox, schema_type: str, events: int) -> list[Figure]:
    from sandbox.model.registry import SchemaRequest
    from sandbox.registry.subjects import parse_subject

    topic = f"bench-{schema_type.lower()}"
    sandbox.create_topic(topic, partitions=1)
    subject = parse_subject(f"{topic}-value")
    found = sandbox.schemas.register(subject, SchemaRequest(TEXTS[schema_type], schema_type))
    frame = classic_frame(found.schema_id, (0,) if schema_type == "PROTOBUF" else None)
    value = frame + parse_schema(schema_type, TEXTS[schema_type]).encode(VALUES[schema_type])
    sandbox.append_many(topic, [NewEvent(value) for _ in range(events)])
    page = sandbox.messages(MessageQuery(topic, limit=PAGE)).events
    started = time.perf_counter()
    shown = sandbox.decoder().decoded_events(page)
    page_ms = (time.perf_counter() - started) * 1000
    started = time.perf_counter()
    read = sandbox.read(topic, offset=0, limit=events, decode=True)
    rate = len(read) / (time.perf_counter() - started)
    assert json.loads(shown[0].value or b"")["id"] == json.loads(read[-1].value or b"")["id"] == 12345
    return [
        Figure(PART, f"{PAGE} {schema_type} events of a page decoded, schema parsed anew", page_ms, "ms"),
        Figure(PART, f"read and decode {schema_type} events, as export does", rate, "events/s"),
    ]
