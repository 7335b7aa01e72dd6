"""The sample data: built from its sources alone, and described correctly."""

import json
import re
from collections.abc import Mapping
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest

from sample_data import build
from sandbox.demo.clients import payments
from sandbox.demo.samples import SAMPLES, sample_events, samples_folder
from sandbox.kafka.partitioner import murmur2_partition
from sandbox.model.jsonl import EventLine, from_line

FOLDER = Path(__file__).parents[2] / "sample_data"
TOPICS = ("earthquakes", "flights", "payments")
QUAKE = {
    "id": "us1",
    "geometry": {"type": "Point", "coordinates": [-118.5, 34.25, 10]},
    "properties": dict.fromkeys(build.EARTHQUAKE_PROPERTIES)
    | {"time": 1517966773840, "net": "us", "magType": "mww", "status": "reviewed", "mag": 5.0, "detail": "left out"},
}


def lines(topic: str) -> list[EventLine]:
    return [from_line(line) for line in (FOLDER / f"{topic}.jsonl").read_bytes().splitlines()]


def value(line: EventLine) -> Mapping[str, Any]:
    found = json.loads(line.value or b"")
    assert isinstance(found, dict)
    return found


def field_names(section: str) -> set[str]:
    """The names in the first column of the table that describes the value, in one section of the README."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize("topic", TOPICS)
def test_every_line_is_an_event_of_its_topic_in_order_of_time_and_names_no_place(topic: str) -> None:
    found = lines(topic)
    assert {line.topic for line in found} == {topic}
    assert {(line.partition, line.offset) for line in found} == {(None, None)}
    times = [line.timestamp_ms or 0 for line in found]
    assert all(before <= after for before, after in pairwise(times))


def test_the_readme_states_the_number_of_events_and_partitions_of_each_topic() -> None:
    rows = re.findall(
        r"^\| `(\w+)\.jsonl` \| `(\w+)` \| (\d+) \| ([\d,]+) \|", (FOLDER / "README.md").read_text(), flags=re.MULTILINE
    )
    stated = {(topic, int(partitions), int(events.replace(",", ""))) for _, topic, partitions, events in rows}
    assert stated == {(sample.topic, sample.partitions, len(lines(sample.topic))) for sample in SAMPLES}


@pytest.mark.parametrize("topic", ["earthquakes", "flights"])
def test_the_readme_names_each_field_of_the_value_and_no_other(topic: str) -> None:
    assert {frozenset(value(line)) for line in lines(topic)} == {frozenset(field_names(topic))}


def test_an_earthquake_has_its_network_as_key_and_its_original_time_as_timestamp() -> None:
    for line in lines("earthquakes"):
        quake = value(line)
        assert line.key == quake["net"].encode()
        assert line.timestamp_ms == quake["time"]
        assert line.headers == (("magType", quake["magType"].encode()), ("status", quake["status"].encode()))


def test_there_is_one_event_per_quake() -> None:
    ids = [value(line)["id"] for line in lines("earthquakes")]
    assert len(ids) == len(set(ids)) == 1707


def test_a_flight_has_its_origin_as_key() -> None:
    assert all(line.key == value(line)["origin"].encode() for line in lines("flights"))


def test_the_folder_that_the_program_reads_is_this_one() -> None:
    assert samples_folder() == FOLDER
    first = next(sample_events("payments"))
    assert (first.key, first.timestamp_ms) == (b"Credit Card Payment", 1651363200000)


def test_the_first_payment_is_the_one_of_the_lesson_whatever_the_seed() -> None:
    for seed in (0, 1, 20220501):
        first = next(payments(seed))
        assert (first.key, first.value, first.headers) == (
            b"Credit Card Payment",
            b"Paid $12.50 for a ham sandwich",
            (),
        )


def test_a_seed_gives_the_same_payments_each_time_and_another_seed_others() -> None:
    assert list(payments(7, 200)) == list(payments(7, 200))
    assert list(payments(7, 200))[1:] != list(payments(8, 200))[1:]


def test_payments_without_a_count_never_end_and_a_count_is_kept() -> None:
    assert len(list(islice(payments(), 2000))) == 2000
    assert len(list(payments(count=0))) == 0
    with pytest.raises(ValueError, match="count is -1"):
        next(payments(count=-1))


def test_the_payments_reach_every_partition_and_one_of_them_more_than_the_others() -> None:
    counts = [0, 0, 0]
    for event in payments(count=500):
        counts[murmur2_partition(event.key, 3) or 0] += 1
    assert min(counts) > 40
    assert max(counts) > 500 / 3 * 1.3


def test_the_script_makes_the_payments_of_this_folder_byte_for_byte(tmp_path: Path) -> None:
    assert build.main(["--output", str(tmp_path)]) == 0
    assert (tmp_path / "payments.jsonl").read_bytes() == (FOLDER / "payments.jsonl").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["payments.jsonl"]


def test_the_script_makes_events_from_the_sources_that_it_is_given(tmp_path: Path) -> None:
    flight = {"date": "2001/01/31 23:59", "delay": -5, "distance": 407, "origin": "LAS", "destination": "OAK"}
    (tmp_path / "week.geojson").write_text(json.dumps({"features": [QUAKE]}))
    (tmp_path / "flights.json").write_text(json.dumps([flight | {"date": "2001/02/01 00:00"}, flight]))
    sources = ["--earthquakes", str(tmp_path / "week.geojson"), "--flights", str(tmp_path / "flights.json")]
    assert build.main([*sources, "--output", str(tmp_path)]) == 0

    quake = from_line((tmp_path / "earthquakes.jsonl").read_text().strip())
    assert (quake.key, quake.timestamp_ms) == (b"us", 1517966773840)
    assert {"id": "us1", "longitude": -118.5, "depth": 10, "mag": 5.0}.items() <= value(quake).items()
    assert "detail" not in value(quake)
    first, second = (from_line(line) for line in (tmp_path / "flights.jsonl").read_text().splitlines())
    assert value(first) == flight
    assert (first.timestamp_ms, second.timestamp_ms) == (980985540000, 980985600000)


def test_a_source_that_is_not_as_it_should_be_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "flights.json").write_text('[{"date": "yesterday"}]')
    output = tmp_path / "output"
    output.mkdir()
    assert build.main(["--flights", str(tmp_path / "flights.json"), "--output", str(output)]) == 1
    assert "yesterday" in capsys.readouterr().err
    assert list(output.iterdir()) == []
