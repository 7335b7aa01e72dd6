"""Make the .jsonl files of this folder from their sources. Every figure in them comes from the sources, or from a seed.

    python sample_data/build.py --earthquakes all_week.geojson --flights flights-10k.json

Without --earthquakes or --flights that file is left as it is; payments need no source. README.md says what each field
is.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.demo.clients import DEFAULT_SEED, payments

EARTHQUAKE_PROPERTIES = (
    "mag", "magType", "place", "time", "updated", "tz", "felt", "cdi", "mmi", "alert", "status", "tsunami", "sig",
    "net", "nst", "dmin", "rms", "gap", "type", "url",
)  # fmt: skip
FLIGHT_FIELDS = ("date", "delay", "distance", "origin", "destination")
PAYMENTS_COUNT = 500


def line(topic: str, timestamp_ms: int, key: str, value: str, headers: Iterable[tuple[str, str]] = ()) -> str:
    """Return one line of the export format, without offset and partition: where it lands is for the key to decide."""
    fields = {
        "topic": topic,
        "timestamp": timestamp_ms,
        "timestamp_type": "CreateTime",
        "key": key,
        "value": value,
        "headers": [list(header) for header in headers],
    }
    return json.dumps(fields, ensure_ascii=False)


def earthquake_lines(source: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line per feature of a USGS GeoJSON feed, oldest first. Raises KeyError when a property is missing."""
    for feature in sorted(source["features"], key=lambda each: (each["properties"]["time"], each["id"])):
        properties = feature["properties"]
        longitude, latitude, depth = feature["geometry"]["coordinates"]
        value = {"id": feature["id"], "longitude": longitude, "latitude": latitude, "depth": depth}
        value |= {name: properties[name] for name in EARTHQUAKE_PROPERTIES}
        yield line(
            "earthquakes",
            properties["time"],
            properties["net"],
            json.dumps(value, ensure_ascii=False),
            [("magType", properties["magType"]), ("status", properties["status"])],
        )


def flight_lines(source: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line per flight, earliest departure first. Raises KeyError or ValueError for a field that is not so."""
    for flight in sorted(source, key=lambda each: each["date"]):
        departure = datetime.strptime(flight["date"], "%Y/%m/%d %H:%M").replace(tzinfo=UTC)
        value = {name: flight[name] for name in FLIGHT_FIELDS}
        yield line(
            "flights", int(departure.timestamp()) * 1000, flight["origin"], json.dumps(value, ensure_ascii=False)
        )


def payment_lines(seed: int, count: int) -> Iterator[str]:
    """Yield a line per payment of the generator."""
    for event in payments(seed, count):
        key, value = (event.key or b"").decode(), (event.value or b"").decode()
        headers = [(name, (content or b"").decode()) for name, content in event.headers]
        yield line("payments", event.timestamp_ms or 0, key, value, headers)


def write(path: Path, lines: Iterable[str]) -> None:
    """Write the lines to a file, whole or not at all."""
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text("".join(each + "\n" for each in lines), encoding="utf-8", newline="\n")
    unfinished.replace(path)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Make the sample data from its sources.")
    parser.add_argument("--earthquakes", type=Path, metavar="FILE", help="USGS GeoJSON feed (all_week.geojson)")
    parser.add_argument("--flights", type=Path, metavar="FILE", help="JSON list of flights (flights-10k.json)")
    parser.add_argument(
        "--payments", type=int, default=PAYMENTS_COUNT, metavar="N", help="how many (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="of the payments (default %(default)s)")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent, metavar="FOLDER", help="default: this folder"
    )
    chosen = parser.parse_args(arguments)
    try:
        made = {"payments.jsonl": list(payment_lines(chosen.seed, chosen.payments))}
        if chosen.earthquakes:
            made["earthquakes.jsonl"] = list(earthquake_lines(_read(chosen.earthquakes)))
        if chosen.flights:
            made["flights.jsonl"] = list(flight_lines(_read(chosen.flights)))
        for name, lines in made.items():
            write(chosen.output / name, lines)
            print(f"{name}: {len(lines)} events")
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"not made: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
