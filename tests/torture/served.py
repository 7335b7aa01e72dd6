"""Random requests to a running broker: `python -m tests.torture.served --inputs 100000 --seed 1`.

The broker must answer each or close the connection. A traceback in its log is a defect, and so is a broker that no
longer serves other connections.
"""

import argparse
import logging
import random
import select
import sys
import tempfile
import uuid
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from sandbox.api.sandbox import Sandbox
from sandbox.wire.api_table import APIS
from sandbox.wire.messages import messages
from sandbox.wire.messages.schemas import MessageField, fields_at
from sandbox.wire.records.batch import encode_batch
from tests.torture.fuzz import Found
from tests.torture.mutation import mutated
from tests.wire.raw_client import METADATA, RawClient, framed, request_header, rows

TOGETHER = 4
"""The number of requests that one connection sends before it is closed."""
ANSWERS_S = 0.005
HEADER_BYTES = 8
WORDS = {"topic": "orders", "name": "orders", "group_id": "app", "transactional_id": "writer", "key": "app"}


def filled(fields: tuple[MessageField, ...], topic_id: uuid.UUID, dice: random.Random) -> dict[str, Any]:
    """Return a message in which every field has a value, as a client might send it."""

    def one(field: MessageField) -> Any:
        if field.type == "struct":
            return filled(field.fields, topic_id, dice)
        if field.type == "string":
            return WORDS.get(field.name, "range")
        if field.type in ("bytes", "records"):
            return encode_batch(0, rows(b"ham")) if field.type == "records" else b"\0\0\0\0\0\0"
        if field.type == "uuid":
            return topic_id
        if field.type == "bool":
            return dice.random() < 0.5
        return float(dice.randrange(3)) if field.type == "float64" else dice.choice((0, 0, 1, 2, -1))

    return {
        field.name: [one(field)] if field.is_array else one(field)
        for field in fields
        if field.present and not (field.tag is not None and dice.random() < 0.7)
    }


def corpus(topic_id: uuid.UUID, dice: random.Random) -> list[bytes]:
    """Return requests of each served API and version, filled in three ways."""
    found = []
    for api in APIS:
        for version in range(api.first, api.last + 1):
            fields, _ = fields_at(str(api.key), "request", version)
            for _ in range(3):
                with suppress(messages.UnencodableMessage):
                    body = messages.encode_request(api.key, version, filled(fields, topic_id, dice))
                    found.append(request_header(api.key, version, 7) + body)
    return found


class Tracebacks(logging.Handler):
    """Collects what the broker logged with a traceback."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record that has a traceback."""
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            at = error.__traceback__
            while at is not None and at.tb_next is not None:
                at = at.tb_next
            where = f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at else "?"
            self.found.append(f"{record.getMessage()} {type(error).__name__}: {error} ({where})")


def exchange(address: str, frames: list[bytes]) -> None:
    """Send requests on one connection, read the answers that arrive soon, and close it."""
    with closing(RawClient(address)) as client, suppress(OSError):
        client.send_bytes(b"".join(map(framed, frames)))
        while select.select([client.socket], [], [], ANSWERS_S)[0]:
            if not client.socket.recv(1 << 16):
                break


def _topic_id(address: str) -> uuid.UUID:
    with closing(RawClient(address)) as client:
        found: uuid.UUID = client.ask(METADATA, 12, {"topics": None}).topics[0].topic_id
        return found


def run(file: Path, inputs: int, seed: int) -> list[Found]:
    """Send `inputs` requests. Returns each kind of defect once, with the requests of its connection."""
    dice = random.Random(seed)
    tracebacks = Tracebacks()
    logger = logging.getLogger("sandbox")
    logger.addHandler(tracebacks)
    found: dict[str, Found] = {}
    try:
        with Sandbox(file) as box:
            box.serve(kafka_port=0, web_port=None)
            box.create_topic("orders", partitions=2)
            address = box.kafka_address or ""
            requests = corpus(_topic_id(address), dice)
            for start in range(0, inputs, TOGETHER):
                frames = []
                for _ in range(min(TOGETHER, inputs - start)):
                    request = dice.choice(requests)
                    changed = mutated(dice, request[HEADER_BYTES:], dice.choice(requests)[HEADER_BYTES:])
                    keep = dice.random() < 0.2
                    frames.append(request if keep else request[:HEADER_BYTES] + changed)
                exchange(address, frames)
                for what in tracebacks.found:
                    found.setdefault(what.partition("failed")[2][-120:], Found("the broker", b" | ".join(frames), what))
                tracebacks.found.clear()
            with closing(RawClient(address)) as client:
                if client.api_versions().error_code:
                    found["last"] = Found("the broker", b"", "it no longer serves others")
    finally:
        logger.removeHandler(tracebacks)
    return list(found.values())


def main() -> int:
    """Run, and return the exit code: 1 if there are defects."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.getLogger("sandbox").propagate = False
    with tempfile.TemporaryDirectory(prefix="sandbox-fuzz-") as folder:
        found = run(Path(folder) / "fuzz.db", arguments.inputs, arguments.seed)
    for one in found:
        print(f"WRONG: {one.target}: {one.what}\n  {one.data[:2_000]!r}")
    print(f"fuzz of a broker: {arguments.inputs:,} requests, seed {arguments.seed}: {len(found)} defects")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
