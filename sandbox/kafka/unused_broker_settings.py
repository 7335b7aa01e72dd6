"""Kafka's broker settings that have no effect in the sandbox, but that tools expect.

`idle_broker_settings.json` has one row for each: name, type, default (null for none), valid values, whether it can be
altered at run time, and its effect. The facts are from Apache Kafka 4.4
(https://kafka.apache.org/documentation/#brokerconfigs); a test compares them with Kafka's own definitions.
"""

import json
import os.path

from sandbox.kafka.setting import TYPE_NAMES, Setting

_TYPES = {name: number for number, name in TYPE_NAMES.items()}


def _load() -> tuple[Setting, ...]:
    with open(os.path.join(os.path.dirname(__file__), "idle_broker_settings.json"), encoding="utf-8") as file:
        rows = json.load(file)
    return tuple(
        Setting(name, _TYPES[kind], default, text, valid=valid, in_effect=False, dynamic=dynamic)
        for name, kind, default, valid, dynamic, text in rows
    )


IDLE_BROKER_SETTINGS = _load()
