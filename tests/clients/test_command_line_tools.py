"""Kafka's command-line tools print on the sandbox what they print on Apache Kafka."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.clients.apache_kafka import KafkaUnavailableError, find_or_fetch, running_kafka
from tests.clients.command_line_tools import CALLS, difference, findings, recorded, run
from tests.clients.sandbox_process import running_sandbox

pytestmark = [pytest.mark.clients, pytest.mark.timeout(180)]


# Brokers of their own: other tests leave settings, topics and transactions, which the tools list.
@pytest.mark.parametrize("broker", ["sandbox", pytest.param("apache", marks=pytest.mark.apache_kafka)])
def test_tools_print_what_they_print_on_apache_kafka(broker: str, tmp_path: Path) -> None:
    try:
        find_or_fetch()
    except KafkaUnavailableError as missing:
        pytest.skip(f"no tools: {missing}")
    running: AbstractContextManager[str] = (
        running_sandbox(tmp_path / "tools.db") if broker == "sandbox" else running_kafka()
    )
    with running as bootstrap:
        printed = run(bootstrap)
    wanted = recorded()
    assert sorted(wanted) == sorted(call.name for call in CALLS)
    differences = {name: difference(wanted[name], text) for name, text in printed.items()}
    known = findings() if broker == "sandbox" else {}
    assert {name: lines for name, lines in differences.items() if lines} == known
