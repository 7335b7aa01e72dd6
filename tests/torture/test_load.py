"""The judge of the load test finds figures that grow. `make torture` runs the load itself."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.torture.load import Sample, draw, not_flat


def samples(memory_mib: float = 0, files: int = 0, threads: int = 0, minutes: float = 7) -> list[Sample]:
    """Forty samples. The arguments are the growth from one sample to the next."""
    return [
        Sample(
            number * minutes / 40,
            80 + memory_mib * number,
            50 + files * number,
            11 + threads * number,
            1_000 * number,
            1.0,
        )
        for number in range(40)
    ]


def test_what_stays_is_flat() -> None:
    assert not_flat(samples()) == []


@pytest.mark.parametrize(
    ("grown", "said"),
    [({"memory_mib": 3}, "memory_mib grew"), ({"files": 3}, "files grew"), ({"threads": 1}, "threads grew")],
)
def test_what_grows_is_found(grown: dict[str, int], said: str) -> None:
    (found,) = not_flat(samples(**grown))
    assert found.startswith(said)


def test_what_may_grow_while_caches_fill_may_not_grow_in_an_hour() -> None:
    assert not_flat(samples(memory_mib=1)) == []
    (found,) = not_flat(samples(memory_mib=1, minutes=62))
    assert found == "memory_mib grew from 94 to 114"


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    draw(tmp_path / "load.svg", samples(memory_mib=1))
    drawn = ElementTree.parse(tmp_path / "load.svg").getroot()
    assert len(drawn.findall(".//{*}polyline")) == 3
