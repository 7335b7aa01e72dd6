"""Settings in plain words, and what people write for them."""

import pytest

from sandbox.kafka.setting import LONG_MAX
from sandbox.kafka.topic_settings import TOPIC_SETTINGS
from sandbox.web.formats import percent
from sandbox.web.topics.setting_words import LABELS, in_words, parse_setting


def test_every_setting_that_changes_something_has_a_plain_name() -> None:
    assert set(LABELS) == {setting.name for setting in TOPIC_SETTINGS if setting.in_effect}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("retention.ms", "7d", "604800000"),
        ("retention.ms", "1.5 hours", "5400000"),
        ("retention.ms", "30 min", "1800000"),
        ("retention.ms", "for ever", "-1"),
        ("max.compaction.lag.ms", "no limit", str(LONG_MAX)),
        ("retention.ms", "-1", "-1"),
        ("retention.ms", "soon", "soon"),
        ("retention.bytes", "10 MB", "10485760"),
        ("max.message.bytes", "1.5kb", "1536"),
        ("retention.bytes", "5 d", "5 d"),
        ("cleanup.policy", " compact ", "compact"),
    ],
)
def test_times_and_sizes_may_be_written_with_a_unit(name: str, text: str, value: str) -> None:
    assert parse_setting(name, text) == value


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("retention.ms", "-1", "forever"),
        ("retention.ms", "604800000", "7 d"),
        ("retention.bytes", "-1", "no limit"),
        ("max.message.bytes", "1048588", "1.00 MB"),
        ("cleanup.policy", "compact", "the latest of each key is kept"),
        ("min.cleanable.dirty.ratio", "0.5", "50 %"),
        ("flush.messages", "1", "after 1 event"),
        ("flush.messages", str(LONG_MAX), "when the system does"),
        ("min.insync.replicas", "2", "2"),
        ("compression.type", "producer", "producer"),
    ],
)
def test_a_value_says_what_it_means(name: str, value: str, said: str) -> None:
    assert in_words(name, value) == said


@pytest.mark.parametrize(
    ("share", "digits", "said"),
    [
        (0, 0, "0 %"),
        (0.3, 0, "<1 %"),
        (0.04, 1, "<0.1 %"),
        (12.5, 1, "12.5 %"),
        (49.6, 0, "50 %"),
        (99.7, 0, "99 %"),
        (99.99, 1, "99.9 %"),
        (100, 0, "100 %"),
        (100, 1, "100.0 %"),
    ],
)
def test_all_is_said_of_all_alone_and_nothing_of_nothing(share: float, digits: int, said: str) -> None:
    assert percent(share, digits) == said
