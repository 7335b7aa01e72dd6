"""Valid values of settings, in the forms of Kafka's documentation, and the sentences of what is refused."""

import time

import pytest

from sandbox.kafka.broker_config import BROKER_SETTINGS
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.resource_settings import CLIENT_METRICS_SETTINGS, GROUP_SETTINGS
from sandbox.kafka.setting import BOOLEAN, DOUBLE, INT, LIST, LONG, REPLICAS, SHORT, STRING, Setting, java_text
from sandbox.kafka.topic_settings import TOPIC_SETTINGS

ALL = (*TOPIC_SETTINGS, *BROKER_SETTINGS, *GROUP_SETTINGS, *CLIENT_METRICS_SETTINGS)


def checked(kind: int, valid: str, value: str) -> str:
    """The value in Kafka's spelling, or the reason why it is refused."""
    try:
        return Setting("name", kind, None, "", valid=valid).check(value)
    except BrokerError as error:
        return error.detail.removeprefix("Invalid value ").replace(" for configuration name: ", " | ")


@pytest.mark.parametrize(
    ("kind", "valid", "value", "found"),
    [
        (INT, "[1,...]", " 7 ", "7"),
        (INT, "[1,...]", "+07", "7"),
        (INT, "[1,...]", "-0", "0 | Value must be at least 1"),
        (INT, "", "2147483648", "2147483648 | Not a number of type INT"),
        (INT, "", "1_000", "1_000 | Not a number of type INT"),
        (INT, "", "", " | Not a number of type INT"),
        (SHORT, "", "32768", "32768 | Not a number of type SHORT"),
        (LONG, "", "-9223372036854775808", "-9223372036854775808"),
        (LONG, "", "9223372036854775808", "9223372036854775808 | Not a number of type LONG"),
        (INT, "[1,...,17]", "18", "18 | Value must be no more than 17"),
        (INT, "[1,...,9] or -1", "-1", "-1"),
        (INT, "[1,...,9] or -1", "0", "0 | Value must be between 1 and 9 or equal to -1"),
        (DOUBLE, "[0,...,1]", "0.5", "0.5"),
        (DOUBLE, "[0,...,1]", "2", "2.0 | Value must be no more than 1"),
        (DOUBLE, "[0,...,1]", "1e10", "1.0E10 | Value must be no more than 1"),
        (DOUBLE, "[0,...,1]", "-0.0001", "-1.0E-4 | Value must be at least 0"),
        (DOUBLE, "[0,...,1]", "NaN", "NaN | Value must be at least 0"),
        (DOUBLE, "[0,...,0.5]", "0.6", "0.6 | Value must be no more than 0.5"),
        (DOUBLE, "", "1d", "1d"),
        (DOUBLE, "", "0x1", "0x1 | Not a number of type DOUBLE"),
        (BOOLEAN, "", " TRUE", "true"),
        (BOOLEAN, "", "yes", "yes | Expected value to be either true or false"),
        (STRING, "[a, b]", " a ", "a"),
        (STRING, "[a, b]", "A", "A | String must be one of: a, b"),
        (STRING, "(case insensitive) [UP, DOWN]", "up", "up"),
        (STRING, "(case insensitive) [UP, DOWN]", "x", "x | String must be one of (case insensitive): UP, DOWN"),
        (STRING, "non-empty string", "", " | String must be non-empty"),
        (STRING, "[latest, earliest, by_duration:PnDTnHnMn.nS]", "by_duration:P1D", "by_duration:P1D"),
        (LIST, "[compact, delete]", " delete , compact", "delete,compact"),
        (LIST, "[compact, delete]", "", ""),
        (LIST, "[compact, delete]", "delete,x", "x | String must be one of: compact, delete"),
        (LIST, "[compact, delete]", "delete,", "Configuration 'name' values must not be empty."),
        (LIST, "", "a,,b", "Configuration 'name' values must not be empty."),
        (LIST, REPLICAS, "*", "*"),
        (LIST, REPLICAS, "0:1, 1:2", "0:1,1:2"),
        (LIST, REPLICAS, "", ""),
        (
            LIST,
            REPLICAS,
            "0:x",
            f"[0:x] | name must be the literal '*' or a list of replicas in the following format: {REPLICAS}",
        ),
    ],
)
def test_a_value_is_spelled_as_kafka_does_or_refused_in_its_words(
    kind: int, valid: str, value: str, found: str
) -> None:
    assert checked(kind, valid, value) == found


def test_a_long_number_is_checked_in_linear_time() -> None:
    began = time.process_time()
    for text in ("1" * 30_000 + "x", "1." * 15_000, "1e" + "1" * 30_000 + "x"):
        assert checked(DOUBLE, "", text).endswith("Not a number of type DOUBLE")
    assert time.process_time() - began < 2


def test_the_sandboxs_own_limits_apply_too() -> None:
    setting = next(one for one in BROKER_SETTINGS if one.name == "group.consumer.assignors")
    assert setting.check("range") == "range"
    with pytest.raises(BrokerError, match="String must be one of: uniform, range"):
        setting.check("org.example.Assignor")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (7, "7"),
        (7.0, "7.0"),
        (0.001, "0.001"),
        (1e7, "1.0E7"),
        (-12345678.9, "-1.23456789E7"),
        (1.5e300, "1.5E300"),
        (2e-5, "2.0E-5"),
    ],
)
def test_numbers_are_written_as_java_writes_them(number: float, text: str) -> None:
    assert java_text(number) == text


@pytest.mark.parametrize("setting", ALL, ids=lambda setting: setting.name)
def test_every_default_is_valid_and_every_setting_is_documented(setting: Setting) -> None:
    if setting.default is not None and setting.valid != "non-empty list":
        setting.check(setting.default)
    assert setting.text.endswith(".")
