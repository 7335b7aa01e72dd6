"""The targets of random inputs: the function to feed, its allowed errors, and its first inputs."""

import json
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import google_crc32c

from sandbox.generator.template import EventTemplate, TemplateRefused, template_from_json
from sandbox.kafka.errors import BrokerError
from sandbox.model.json_conditions import Condition, JsonPath, meets, paths_in
from sandbox.model.json_values import json_text, parse_value
from sandbox.model.jsonl import LineRefused, from_line
from sandbox.model.sql_tokens import ordered_limit, parameters, tokens
from sandbox.wire.connection import Connection, ProtocolViolation
from sandbox.wire.messages import messages
from sandbox.wire.records.batch import BatchError, decode_batches, encode_batch
from sandbox.wire.records.compression import COMPRESSION_NAMES, CompressionError, compress, decompress
from tests.torture.schema_targets import event_corpus, feed_event, feed_schema, schema_corpus
from tests.wire.raw_client import PRODUCE, framed, produce_body, request_header, rows

OUTPUT_MAX = 1 << 20
BOMB_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Target:
    """One target of random inputs.

    Attributes:
        feed: takes one input. Any exception that it raises is a defect: it catches the allowed ones.
        corpus: returns the inputs that mutations begin with.
        share: percentage of all inputs.
    """

    feed: Callable[[bytes], None]
    corpus: Callable[[], Sequence[bytes]]
    share: float


def request_corpus() -> list[bytes]:
    """Return one request of each API and version, with its header and as few fields as possible."""
    found = []
    for key, (first, last) in messages.api_versions_known().items():
        for version in range(first, last + 1):
            with suppress(messages.UnencodableMessage, messages.UnsupportedVersion):
                found.append(request_header(key, version, 7) + messages.encode_request(key, version, {}))
            found.append(request_header(key, version, 7) + bytes(64))
    produce = messages.encode_request(PRODUCE, 11, produce_body("orders", rows(b"ham", b"eggs", None)))
    return [*found, request_header(PRODUCE, 11, 7) + produce]


def feed_request(data: bytes) -> None:
    """Decode the header and the body of a request."""
    with suppress(messages.MalformedMessage, messages.UnsupportedVersion):
        header = messages.decode_header(data)
        messages.decode_request(header.api_key, header.api_version, data, header.body_offset)


def batch_corpus() -> list[bytes]:
    """Return batches of every compression, with headers and nulls, in transactions, and compression bombs."""
    some = [
        (offset, 1_700_000_000_000 + offset, b"k", b"v" * offset, (("h", b"x"), ("n", None))) for offset in range(9)
    ]
    plain = [encode_batch(0, some, compression=codec) for codec in range(len(COMPRESSION_NAMES))]
    transaction = encode_batch(0, rows(None, b""), producer_id=5, producer_epoch=1, base_sequence=0, transactional=True)
    bombs = [encode_batch(0, rows(bytes(4 << 20)), compression=codec) for codec in range(1, len(COMPRESSION_NAMES))]
    return [*plain, transaction, plain[0] + plain[1], *bombs]


def feed_batches(data: bytes) -> None:
    """Decode record batches, first unchanged and then with a correct checksum."""
    for gaps_allowed in (False, True):
        with suppress(BatchError):
            decode_batches(data, gaps_allowed=gaps_allowed, decompressed_bytes_max=OUTPUT_MAX)
    if len(data) > 21:
        right = data[:17] + struct.pack(">I", google_crc32c.value(data[21:])) + data[21:]
        right = right[:8] + struct.pack(">i", len(right) - 12) + right[12:]
        with suppress(BatchError):
            decode_batches(right, gaps_allowed=True, decompressed_bytes_max=OUTPUT_MAX)


def compressed_corpus() -> list[bytes]:
    """Return each codec's number and its data, with bombs of 64 MiB."""
    found = []
    for codec in range(1, len(COMPRESSION_NAMES)):
        found += [bytes([codec]) + compress(codec, data) for data in (b"", b"ham" * 50, bytes(BOMB_BYTES))]
    return found


def feed_compressed(data: bytes) -> None:
    """Decompress with one codec. The output must not be larger than allowed."""
    with suppress(CompressionError):
        assert len(decompress(data[0] % 6 if data else 0, data[1:], OUTPUT_MAX)) <= OUTPUT_MAX


def feed_connection(data: bytes) -> None:
    """Receive a stream of frames, in pieces."""
    connection = Connection(lambda _: None, lambda: None, 1 << 16)
    with suppress(ProtocolViolation):
        for start in range(0, len(data), 7):
            connection.receive(data[start : start + 7])


LINES = (
    b'{"topic": "t", "partition": 1, "offset": 9223372036854775807, "timestamp": -1, "key": "k", "value": "v"}',
    b'{"value": {"base64": "AAECAw=="}, "headers": [["a", null], [{"base64": "/w=="}, "b"]], "key": null}',
    '{"value": "\\ud83d\\ude00 ü", "timestamp_type": "LogAppendTime"}'.encode(),
    b'{"value": ' + b"[" * 300 + b"]" * 300 + b"}",
)


def feed_line(data: bytes) -> None:
    """Read a line of an import file."""
    with suppress(LineRefused):
        from_line(data).new_event()


VALUE = b'{"amount": 100.5, "tags": ["red", 1], "big": 9007199254740993, "a b": {"c": null}, "e": 1E400, "s": "1e9"}'
CONDITIONS = (
    b"$.amount >= 100",
    b"$.tags contains red",
    b'$["a b"].c = null',
    b"$.e < 1e999999999",
    b"$[0] exists",
    b"$.s > 5",
)


def feed_condition(data: bytes) -> None:
    """Parse a filter as typed. A valid one is applied to values, and must be the same after it was formatted and
    parsed.
    """
    text, _, value = data.decode("utf-8", "replace").partition("\x1e")
    with suppress(BrokerError):
        condition = Condition.parse(text)
        meets((condition,), VALUE)
        meets((condition,), value.encode())
        assert Condition.parse(str(condition)) == condition
    with suppress(BrokerError):
        path = JsonPath.parse(text)
        assert JsonPath.parse(str(path)) == path


def feed_value(data: bytes) -> None:
    """Parse a value as filters and columns do, and read each of its paths."""
    root = parse_value(data)
    for path in paths_in(root):
        path.find(root)
    if isinstance(root, dict | list):
        assert (
            parse_value(json_text(root).encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode())
            is not None
        )


QUERIES = (
    b"SELECT partition, offset FROM orders ORDER BY offset DESC LIMIT 10",
    b"SELECT count(*), 'it''s', \"a\"\"b\", x'00' -- no\n FROM [or ders] WHERE a = :name /* c */ AND b = ?1",
)


def feed_query(data: bytes) -> None:
    """Tokenize a query's text, as happens before SQLite parses it."""
    text = data.decode("utf-8", "replace")
    tokens(text)
    parameters(text)
    ordered_limit(text, "orders")


TEMPLATES = (
    b'{"id": {{seq}}, "at": "{{now}}", "total": {{decimal 1 100}}, "who": "{{name}}", "k": "{{key}}"}',
    b"{{choice a b 'c d'}} {{weighted a:1 b:2}} {{int 1 9}} {{uuid}} {{bool}} {{hex 8}} {{words 3}} {{normal 5 2}}",
    b'{"key": "{{pool}}", "value": "{{seq}}", "keys": 5, "skew": 1.5, "headers": [["a", "{{ip}}"]], "null_percent": 1}',
)


def feed_template(data: bytes) -> None:
    """Parse a generator's template, as text and as JSON. A valid one generates events."""
    text = data.decode("utf-8", "replace")
    with suppress(TemplateRefused):
        list(EventTemplate(text, key=text).events(count=2, now_ms=lambda: 1))
    with suppress(TemplateRefused):
        template = template_from_json(text)
        json.loads(template.to_json())


TARGETS = {
    "requests": Target(feed_request, request_corpus, 22),
    "record batches": Target(feed_batches, batch_corpus, 22),
    "compressed data": Target(feed_compressed, compressed_corpus, 10),
    "connections": Target(feed_connection, lambda: [framed(one) for one in request_corpus()[:50]], 8),
    "import lines": Target(feed_line, lambda: LINES, 8),
    "filters": Target(feed_condition, lambda: [one + b"\x1e" + VALUE for one in CONDITIONS], 8),
    "JSON values": Target(feed_value, lambda: [VALUE, *LINES], 6),
    "queries": Target(feed_query, lambda: QUERIES, 5),
    "templates": Target(feed_template, lambda: TEMPLATES, 5),
    "events with a schema": Target(feed_event, event_corpus, 4),
    "schemas": Target(feed_schema, schema_corpus, 2),
}
