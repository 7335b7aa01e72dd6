"""Every reader reports damaged events and batches, and leaves them as they are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import BrokerError, NewEvent, Sandbox
from sandbox.kafka.errors import CODE, EventsDamaged
from sandbox.storage.file.database import Reader
from sandbox.storage.log import log
from sandbox.storage.log.checksums import checksum
from tests.clock import START_MS
from tests.log_reading import read_batches
from tests.storage.damage import damage
from tests.storage.older_file import make_older
from tests.wire.raw_client import RawClient

FIRST = 1 << 40
FACTS = (1, 0, 2, 5, 7, 0, 9, -1, -1, -1, 0, 0, 0, 0, 100, 0, 0, None)
STAMPS, KEYS, VALUES = [5, 6, 7], [b"a", b"b", b"c"], [b"1", None, b"3"]


@pytest.fixture
def filled(file: Path) -> Path:
    with Sandbox(file) as box:
        box.create_topic("orders")
        for batch in range(3):
            box.append_all(
                "orders",
                [
                    NewEvent(b"v%d" % one, b"k%d" % one, (("h", b"x"),) if one == 4 else ())
                    for one in range(3 * batch, 3 * batch + 3)
                ],
            )
    return file


def of(**changed: object) -> int:
    """The checksum of three events, with one change."""
    columns: dict[str, object] = {
        "facts": FACTS,
        "offsets": range(3),
        "timestamps": STAMPS,
        "keys": KEYS,
        "values": VALUES,
        "headers": None,
    }
    return checksum(**(columns | changed))  # type: ignore[arg-type]


def test_whatever_differs_gives_another_checksum() -> None:
    found = [
        of(),
        *(of(facts=(*FACTS[:at], (FACTS[at] or 0) + 1, *FACTS[at + 1 :])) for at in range(len(FACTS))),
        of(offsets=range(1, 4)),
        of(offsets=[0, 1, 3]),
        of(timestamps=[5, 7, 6]),
        of(keys=[b"a", b"bc", b""]),
        of(values=[b"1", b"", b"3"]),
        of(keys=VALUES, values=KEYS),
        of(headers=['[["h","x"]]', None, None]),
        of(headers=[None, '[["h","x"]]', None]),
        of(offsets=range(1), timestamps=[5], keys=[b"a"], values=[b""]),
        of(offsets=range(1), timestamps=[5], keys=[b"a"], values=[None]),
        of(offsets=range(1), timestamps=[5], keys=[b"a"], values=[b""], headers=["[]"]),
        of(offsets=(), timestamps=[], keys=[], values=[]),
    ]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE events SET value = 'v5' WHERE id = {FIRST + 4}",
        f"UPDATE events SET key = NULL WHERE id = {FIRST + 4}",
        f"UPDATE events SET timestamp = timestamp + 1 WHERE id = {FIRST + 4}",
        f"UPDATE events SET timestamp = 'soon' WHERE id = {FIRST + 4}",
        f'UPDATE events SET headers = \'[["h","y"]]\' WHERE id = {FIRST + 4}',
        f"UPDATE events SET headers = x'00' WHERE id = {FIRST + 4}",
        f"DELETE FROM events WHERE id = {FIRST + 4}",
        "UPDATE batches SET producer_id = 7 WHERE base_offset = 3",
        "UPDATE batches SET last_offset = 4 WHERE base_offset = 3",
        "UPDATE batches SET last_offset = 4398046511104 WHERE base_offset = 3",
    ],
)
def test_a_reader_gets_what_is_before_the_damage_and_then_kafkas_error(filled: Path, statement: str) -> None:
    damage(filled, statement)
    with Sandbox(filled) as box:
        with pytest.raises(EventsDamaged, match="orders-0, offsets 3 to") as told:
            box.read("orders", offset=0)
        assert (told.value.topic, told.value.partition, told.value.first_offset) == ("orders", 0, 3)
        assert "Go back to a snapshot" in str(told.value)
        with pytest.raises(BrokerError, match="CORRUPT_MESSAGE"):
            box.event("orders", 0, 4)
        partition = box._broker.topic("orders").partitions[0]
        read = read_batches(box._broker.log, partition, 0, 1 << 20, partition.high_watermark)
        assert [record[3] for stored in read for record in stored.records] == [b"v0", b"v1", b"v2"]
        assert [event.value for event in box.read("orders", offset=6)] == [b"v6", b"v7", b"v8"]


def test_damage_is_logged_once_and_told_until_it_is_gone(filled: Path, caplog: pytest.LogCaptureFixture) -> None:
    damage(filled, f"UPDATE events SET value = 'other' WHERE id = {FIRST + 1}")
    damage(filled, f"UPDATE events SET value = 'other' WHERE id = {FIRST + 4}")
    with Sandbox(filled) as box:
        box.serve(kafka_port=0, web_port=None)
        client = RawClient(box.kafka_address or "")
        for offset in (0, 0, 3, 4):
            assert client.fetch("orders", offset=offset).error_code == CODE["CORRUPT_MESSAGE"]
        client.close()
        watch = box._runtime.watch
        for start, told in ((0, "orders-0, offsets 0 to 2"), (3, "orders-0, offsets 3 to 5"), (6, None)):
            if start:
                box.delete_records("orders", {0: start})
            box._runtime.call(lambda now_ms: watch.look())
            assert (box.trouble or "None").startswith(str(told))
        assert not watch.failures
    assert [record.getMessage().split(": ")[1] for record in caplog.records if record.levelname == "ERROR"] == [
        "orders-0, offsets 0 to 2",
        "orders-0, offsets 3 to 5",
    ]


def test_a_consumer_gets_kafkas_error_and_the_page_says_where(filled: Path) -> None:
    damage(filled, f"UPDATE events SET value = 'other' WHERE id = {FIRST + 4}")
    with Sandbox(filled) as box:
        box.serve(kafka_port=0, web_port=None)
        client = RawClient(box.kafka_address or "")
        assert client.fetch("orders", 0).error_code == 0
        assert client.fetch("orders", offset=3).error_code == CODE["CORRUPT_MESSAGE"]
        assert "orders-0, offsets 3 to 5" in (box.trouble or "")
        assert client.fetch("orders", offset=6).error_code == 0
        client.close()


def test_deleting_the_records_before_it_is_a_way_out(filled: Path) -> None:
    damage(filled, f"UPDATE events SET value = 'other' WHERE id = {FIRST + 4}")
    with Sandbox(filled) as box:
        box.delete_records("orders", {0: 5})
        with pytest.raises(EventsDamaged):
            box.read("orders", offset=0)
        box.delete_records("orders", {0: 6})
        assert [event.value for event in box.read("orders", offset=0)] == [b"v6", b"v7", b"v8"]


def test_a_log_that_starts_within_a_batch_is_compared_from_there_on(filled: Path) -> None:
    with Sandbox(filled) as box:
        box.delete_records("orders", {0: 1})
        box.delete_records("orders", {0: 5})
        assert [event.value for event in box.read("orders", offset=0)] == [b"v5", b"v6", b"v7", b"v8"]
        assert box.check().whole
    damage(filled, f"UPDATE events SET value = 'other' WHERE id = {FIRST + 5}")
    with Sandbox(filled) as box, pytest.raises(EventsDamaged):
        box.read("orders", offset=0)


@pytest.fixture
def compacted(file: Path) -> Iterator[Path]:
    with Sandbox(file, clock=lambda: START_MS) as box:
        box.create_topic("orders", settings={"cleanup.policy": "compact"})
        for number in range(6):
            box.append_all("orders", [NewEvent(b"%d" % number, key) for key in (b"a", b"k%d" % number, b"b")])
    return file  # type: ignore[return-value]


def test_what_compaction_leaves_is_compared(compacted: Path) -> None:
    with Sandbox(compacted, clock=lambda: START_MS) as box:
        assert box.compact("orders") > 5
        left = [event.offset for event in box.read("orders", offset=0)]
        assert left != list(range(left[0], left[-1] + 1))
        report = box.check()
        assert (report.whole, report.events, report.without_checksum) == (True, len(left), 0)
    damage(compacted, f"UPDATE events SET value = 'other' WHERE id = {FIRST + left[0]}")
    with Sandbox(compacted) as box, pytest.raises(EventsDamaged):
        box.read("orders", offset=0)


def test_compaction_neither_judges_by_a_damaged_batch_nor_changes_it(compacted: Path) -> None:
    damage(compacted, f"UPDATE events SET key = 'k0' WHERE id = {FIRST + 9}")
    with Sandbox(compacted, clock=lambda: START_MS) as box:
        box.compact("orders")
        left = [event.offset for event in box.read("orders", since_ms=0)]
    assert 1 in left, "the key that a damaged event seems to have hides nothing"
    assert left[-9:] == list(range(9, 18)), "from the damaged batch on all is there"


def test_an_older_file_has_no_checksums_until_something_is_written(filled: Path) -> None:
    make_older(filled, 2)
    damage(filled, f"UPDATE events SET value = 'other' WHERE id = {FIRST + 4}")
    with Sandbox(filled) as box:
        assert [event.value for event in box.read("orders", offset=3, limit=2)] == [b"v3", b"other"]
        box.append("orders", b"new")
        report = box.check()
    assert report.whole
    assert report.without_checksum >= 3
    damage(filled, f"UPDATE events SET value = 'newer' WHERE id = {FIRST + 9}")
    with Sandbox(filled) as box, pytest.raises(EventsDamaged):
        box.read("orders", offset=3)


def test_a_restored_snapshot_is_whole_and_goes_on(filled: Path) -> None:
    with Sandbox(filled) as box:
        box.commit("billing", "orders", 0, 2)
        box.snapshots.take("before")
        box.append("orders", b"later")
        box.snapshots.restore("before")
        box.commit("billing", "orders", 0, 3)
        box.append("orders", b"other")
        report = box.check()
    assert report.findings == []
    assert report.without_checksum == 0


def test_a_batch_is_read_and_compared_once_however_many_of_its_events_are_picked(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []
    compare = log.compare

    def counted(reader: Reader, batch: log.BatchRow, rows: list[Any]) -> None:
        compared.append(batch.base_offset)
        compare(reader, batch, rows)

    with Sandbox(filled) as box:
        monkeypatch.setattr(log, "compare", counted)
        found = box.survey.events("orders", {0: range(9)})
    assert [(event.offset, event.value, event.headers) for event in found] == [
        (one, b"v%d" % one, (("h", b"x"),) if one == 4 else ()) for one in range(9)
    ]
    assert compared == [0, 3, 6]


def test_damage_is_told_of_a_picked_event_whose_neighbour_it_hit(filled: Path) -> None:
    damage(filled, f"UPDATE events SET value = 'v9' WHERE id = {FIRST + 4}")
    with Sandbox(filled) as box:
        assert [event.offset for event in box.survey.events("orders", {0: [0, 8]})] == [0, 8]
        with pytest.raises(EventsDamaged):
            box.survey.events("orders", {0: [5]})
