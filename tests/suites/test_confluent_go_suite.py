"""confluent-kafka-go's own tests of its schema registry client pass on a sandbox.

They come with the Go module, which is fetched by Go's module proxy into `.cache` and never kept in this project. They
use a running registry if `testconf.json` names one, and a simulated one otherwise.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox import Sandbox
from tests.clients.processes import CACHE

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

MODULE, VERSION = "github.com/confluentinc/confluent-kafka-go/v2", "v2.11.1"
HOME = CACHE / "suites" / f"confluent-kafka-go-{VERSION}"
FETCH_S, SUITE_S = 120, 240
MUST_PASS = {"TestClient", "TestConfigWithAuthentication", "TestConfigWithBearerAuth"}
"""All tests of the package."""


@pytest.fixture(scope="module")
def suite() -> Path:
    """The folder of the suite's package, in a copy of the module that can be written."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    if not HOME.exists():
        command = ["go", "mod", "download", "-json", f"{MODULE}@{VERSION}"]
        HOME.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(command, cwd=HOME.parent, capture_output=True, text=True, timeout=FETCH_S, check=False)
        if done.returncode != 0:
            pytest.skip(f"go could not fetch {MODULE}: {(done.stderr or done.stdout)[-400:]}")
        scratch = HOME.with_suffix(".part")
        shutil.rmtree(scratch, ignore_errors=True)
        # The module cache is read-only.
        shutil.copytree(json.loads(done.stdout)["Dir"], scratch, copy_function=shutil.copyfile)
        for folder in (scratch, *(one for one in scratch.rglob("*") if one.is_dir())):
            folder.chmod(0o755)
        scratch.rename(HOME)
    return HOME / "schemaregistry"


def test_its_client_finds_what_it_expects_of_a_registry(suite: Path, tmp_path: Path) -> None:
    with Sandbox(tmp_path / "dev.db") as box:
        box.serve(kafka_port=None, web_port=None)
        (suite.parent / "kafka" / "testconf.json").write_text(json.dumps({"SchemaRegistryURL": box.registry_address}))
        command = ["go", "test", "-count=1", "-json", "."]
        done = subprocess.run(command, cwd=suite, capture_output=True, text=True, timeout=SUITE_S, check=False)
        with box.schemas.rows() as rows:
            assigned_ids = rows.last_id(".")
        assert box.check().findings == []
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    ended = {one["Test"]: one["Action"] for one in lines if "Test" in one and one["Action"] in ("pass", "fail", "skip")}
    assert ended == dict.fromkeys(MUST_PASS, "pass"), done.stdout[-4000:] + done.stderr[-2000:]
    assert assigned_ids > 10, "the suite used its simulated registry"
