"""Templates make events that look real, and the same ones for the same seed."""

import json
import re
import subprocess
import sys
from collections import Counter

import pytest

from sandbox.generator.examples import EXAMPLES
from sandbox.generator.placeholders import PLACEHOLDERS
from sandbox.generator.template import EventTemplate, TemplateRefused, template_from_json


def values(text: str, count: int = 200, seed: int = 1) -> list[str]:
    """What a template of a value makes."""
    made = EventTemplate(value=text).events(seed, count, now_ms=lambda: 1714566600123)
    return [(event.value or b"").decode() for event in made]


def test_the_same_seed_makes_the_same_events_and_another_seed_others() -> None:
    for template in EXAMPLES.values():
        first, again, other = (list(template.events(seed, 50, now_ms=lambda: 1714566600123)) for seed in (7, 7, 8))
        assert first == again
        assert first != other


def test_the_events_of_a_seed_are_the_same_in_another_process() -> None:
    program = (
        "from sandbox.generator.examples import EXAMPLES\nfor event in EXAMPLES['payments'].events(5, 3): print(event)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == [repr(event) for event in EXAMPLES["payments"].events(5, 3)]


def test_a_change_of_the_value_leaves_the_keys_as_they_were() -> None:
    one = EventTemplate(value="{{uuid}}", key="k-{{pool}}", skew=1).events(3, 100)
    other = EventTemplate(value="x", key="k-{{pool}}", skew=1).events(3, 100)
    assert [event.key for event in one] == [event.key for event in other]


def test_every_value_of_an_example_is_json() -> None:
    for name, template in EXAMPLES.items():
        for event in template.events(1, 300):
            assert event.value is None or isinstance(json.loads(event.value), dict), name


def test_every_placeholder_does_what_its_own_line_in_the_table_shows() -> None:
    for name, placeholder in PLACEHOLDERS.items():
        assert placeholder.usage.split()[0] == name
        template = EventTemplate(value=f"{{{{{placeholder.usage}}}}}", key="k")
        assert next(template.events(1)).value, name


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("{{uuid}}", r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        ("{{now}}", "1714566600123"),
        ("{{time}}", r"2024-05-01T12:30:00\.123Z"),
        ("{{date}}", "2024-05-01"),
        ("{{decimal 1 2 3}}", r"1\.\d{3}"),
        ("{{hex 8}}", "[0-9a-f]{8}"),
        ("{{email}}", r"[a-z.]+@example\.com"),
        ("{{ip}}", r"(192\.0\.2|198\.51\.100|203\.0\.113)\.\d+"),
        ('{{choice "New York" Paris}}', "New York|Paris"),
        ('{"a":{"b":{{int 7 7}}}}', r'\{"a":\{"b":7\}\}'),
        ('{{text "{{"}}', r"\{\{"),
        ("{ {a}} }", r"\{ \{a\}\} \}"),
    ],
)
def test_a_placeholder_gives_what_it_says(text: str, pattern: str) -> None:
    for value in values(text):
        assert re.fullmatch(pattern, value), value


def test_whole_numbers_reach_both_ends_and_no_further() -> None:
    assert set(values("{{int -1 3}}")) == {"-1", "0", "1", "2", "3"}


def test_numbers_count_up_from_where_they_are_told() -> None:
    assert values("{{seq}}", 3) == ["1", "2", "3"]
    assert values("{{seq 1001}}", 3) == ["1001", "1002", "1003"]


def test_weights_are_kept() -> None:
    counts = Counter(values("{{weighted ok:90 failed:10 never:0}}", 2000))
    assert set(counts) == {"ok", "failed"}
    assert 140 < counts["failed"] < 260


def test_a_bell_curve_lies_around_its_mean() -> None:
    drawn = [float(value) for value in values("{{normal 20 2 3}}", 1000)]
    assert 19.7 < sum(drawn) / len(drawn) < 20.3
    assert 600 < sum(18 < one < 22 for one in drawn) < 760


def test_what_was_drawn_under_a_name_is_said_again() -> None:
    template = EventTemplate(
        key="{{int 1 1000 as id}}", value="{{same id}}", headers=(("id", "{{same id}}"), ("key", "{{key}}"))
    )
    for event in template.events(1, 50):
        assert {event.key, event.value, *(value for _, value in event.headers)} == {event.key}


def test_a_skewed_pool_makes_a_few_keys_frequent() -> None:
    even = Counter(event.key for event in EventTemplate("v", "k{{pool}}", keys=10).events(1, 5000))
    skewed = Counter(event.key for event in EventTemplate("v", "k{{pool}}", keys=10, skew=1).events(1, 5000))
    assert len(even) == len(skewed) == 10
    assert max(even.values()) < 600
    # Zipf's law: 1 / (1 + 1/2 + ... + 1/10) of all is 34 %.
    assert 1600 < skewed[b"k1"] < 1820
    assert 780 < skewed[b"k2"] < 930
    assert EventTemplate("v", keys=10, skew=1).shares(2) == pytest.approx([0.3414, 0.1707], abs=0.001)


def test_so_many_percent_are_tombstones() -> None:
    made = list(EventTemplate("v", "k", null_percent=10).events(1, 2000))
    assert 140 < sum(event.value is None for event in made) < 260
    assert all(event.key == b"k" for event in made)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{int a 9}}", "value, line 1, column 1: {{int a 9}}: 'a' is not a whole number; write {{int 1 100}}"),
        ("ok\n  {{it}}", "value, line 2, column 3: {{it}}: unknown placeholder 'it'; did you mean int?"),
        ("{{int 1", "no closing }}"),
        ('{{choice "a}}', "no closing }}"),
        ("{{int 9 1}}", "the smaller number comes first"),
        ("{{int 1}}", "it takes 2 arguments, not 1"),
        ("{{name x}}", "it takes no argument, not 1"),
        ("{{weighted ok}}", "'ok' is not CHOICE:WEIGHT"),
        ("{{weighted a:0}}", "the weights are all 0"),
        ("{{bool 101}}", "must be 0 to 100"),
        ("{{same x}}", "no earlier placeholder has that name"),
        ("{{int 1 2 as 3x}}", "'3x' is not a valid name"),
        ("{{}}", "it is empty"),
        ("{{hex 1000000000}}", "must be 1 to 100000"),
        ("x" * 300_000, "longer than 262,144 characters"),
        ("{{seq}} " * 1100, "more than 1000 placeholders"),
    ],
)
def test_what_is_no_placeholder_is_named_with_its_place(text: str, said: str) -> None:
    with pytest.raises(TemplateRefused, match=re.escape(said)):
        EventTemplate(value=text)


def test_the_part_that_is_wrong_is_named() -> None:
    with pytest.raises(TemplateRefused, match=r"^key, line 1, column 3: .*the key cannot hold itself"):
        EventTemplate("v", key="a {{key}}")
    with pytest.raises(TemplateRefused, match=r"^header trace, line 1, column 1"):
        EventTemplate("v", headers=(("trace", "{{no}}"),))


@pytest.mark.parametrize("more", [{"keys": 0}, {"keys": 100_001}, {"skew": -1}, {"skew": 6}, {"null_percent": 101}])
def test_a_number_outside_its_range_is_refused(more: dict[str, int]) -> None:
    with pytest.raises(TemplateRefused, match="must be"):
        EventTemplate("v", **more)  # type: ignore[arg-type]


def test_a_template_comes_back_from_json_as_it_was() -> None:
    for template in EXAMPLES.values():
        assert template_from_json(template.to_json()) == template


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "a template is a JSON object"),
        ("{", "a template is a JSON object"),
        ('{"key": "k"}', '"value" is missing'),
        ('{"value": 1}', '"value" must be a text or null'),
        ('{"value": "v", "keys": 1.5}', "whole number"),
        ('{"value": "v", "keys": Infinity}', "whole number"),
        ('{"value": "v", "headers": [["a"]]}', '"headers" must be a list'),
        ('{"value": "v", "colour": 1}', "unknown field 'colour'"),
    ],
)
def test_json_that_is_no_template_is_refused(text: str, said: str) -> None:
    with pytest.raises(TemplateRefused, match=re.escape(said)):
        template_from_json(text)
