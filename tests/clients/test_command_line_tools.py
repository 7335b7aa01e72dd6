"""Kafka's command-line tools print on the sandbox what they print on Apache Kafka."""

from __future__ import annotations

import pytest

from tests.clients.catalogue import ClientUnavailableError
from tests.clients.command_line_tools import CALLS, difference, findings, recorded, run
from tests.clients.conftest import Kafka

pytestmark = [pytest.mark.clients, pytest.mark.timeout(180)]


def test_tools_print_what_they_print_on_apache_kafka(kafka: Kafka) -> None:
    try:
        printed = run(kafka.bootstrap)
    except ClientUnavailableError as missing:
        pytest.skip(f"no tools: {missing}")
    wanted = recorded()
    assert sorted(wanted) == sorted(call.name for call in CALLS)
    differences = {name: difference(wanted[name], text) for name, text in printed.items()}
    known = findings() if kafka.name == "sandbox" else {}
    assert {name: lines for name, lines in differences.items() if lines} == known
