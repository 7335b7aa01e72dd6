"""The server is killed after it has acknowledged a schema: the schema is there, with its id."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.storage.check import check
from tests.web.registry.client import Registry

pytestmark = pytest.mark.crash

SERVER = """
import sys, time
from sandbox import Sandbox

box = Sandbox(sys.argv[1])
box.serve(kafka_port=None, web_port=None)
print(box.registry_address, flush=True)
time.sleep(60)
"""


def test_an_acknowledged_schema_survives_a_kill(tmp_path: Path) -> None:
    file = tmp_path / "dev.db"
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(file)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        registry = Registry(server.stdout.readline().strip())
        for number in range(1, 6):
            fixed = {"schema": json.dumps({"type": "fixed", "name": f"F{number}", "size": number})}
            assert registry.ask(f"POST /subjects/s{number}/versions", fixed).value["id"] == number
        assert registry.ask("PUT /config/s1", {"compatibility": "FULL"}).status == 200
        server.send_signal(signal.SIGKILL)
    finally:
        server.kill()
        server.communicate()
    assert check(file).findings == []
    with Sandbox(file) as box, box.schemas.rows() as rows:
        assert [(str(row.subject), row.schema_id) for row in rows.all_versions()] == [(f"s{n}", n) for n in range(1, 6)]
        config = rows.config(rows.all_versions()[0].subject)
        assert config is not None
        assert config.level == "FULL"
