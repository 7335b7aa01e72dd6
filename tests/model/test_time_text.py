"""Times as people write them, and numbers that were meant as times."""

import pytest

from sandbox.model.times import duration_ms, iso_ms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("1969-12-31T23:59:59.9999Z", -1),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),
        ("0001-01-01T00:00:00+23:59", -62_135_596_800_000 - 86_340_000),
        ("9999-12-31T24:00:00Z", 253_402_300_800_000),
        ("2024-02-29T24:00", 1_709_251_200_000),
        ("2024-02-29 24:00:00.000+01:00", 1_709_251_200_000 - 3_600_000),
        ("2024-03-01t00:00z", 1_709_251_200_000),
        ("2024-03-31T02:30:00+02:00", 1_711_845_000_000),
        ("2024-10-27T02:30:00+01:00", 1_729_992_600_000),
        ("2024-03-01T00:00:00,5", 1_709_251_200_500),
        (" 2024-03-01 ", 1_709_251_200_000),
    ],
)
def test_an_iso_time_is_read_in_utc_unless_it_names_a_zone(text: str, expected: int) -> None:
    assert iso_ms(text) == expected


@pytest.mark.parametrize(
    "text", ["", "2023-02-29", "2024-01-01T24:01", "2024-01-01T25:00", "2016-12-31T23:59:60Z", "10000-01-01", "noon"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        iso_ms(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PT1H", 3_600_000),
        ("P1DT2H3M4S", 93_784_000),
        ("pt0.25s", 250),
        ("P0D", 0),
        ("P", None),
        ("PT", None),
        ("P1DT", None),
        ("1h", None),
        ("P1Y", None),
        ("PT-1H", None),
        ("2024-01-01", None),
    ],
)
def test_a_duration_is_read_as_kafkas_tools_read_it(text: str, expected: int | None) -> None:
    assert duration_ms(text) == expected
