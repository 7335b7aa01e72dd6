"""`sandbox consume` decodes what a schema registry's serializers wrote."""

from pathlib import Path

from click.testing import CliRunner

from sandbox.api.sandbox import Sandbox
from sandbox.cli.main import main
from sandbox.model.registry import SchemaReference, SchemaRequest, Subject
from sandbox.schemas.framing import classic_frame

CITY = '{"type":"record","name":"City","fields":[{"name":"name","type":"string"}]}'
ORDER = '{"type":"record","name":"Order","fields":[{"name":"id","type":"int"},{"name":"city","type":"City"}]}'


def filled(path: Path) -> None:
    with Sandbox(path) as sandbox:
        sandbox.schemas.register(Subject(".", "city"), SchemaRequest(CITY))
        reference = SchemaReference("City", "city", 1)
        found = sandbox.schemas.register(Subject(".", "orders-value"), SchemaRequest(ORDER, references=(reference,)))
        sandbox.create_topic("orders", partitions=1)
        sandbox.append("orders", classic_frame(found.schema_id) + b"\x0e\x08Rome", key="k")
        sandbox.append("orders", b"\0\0\0\0\x63abc")
        sandbox.append("orders", b"plain")


def test_values_are_decoded_with_their_references_and_problems_go_to_stderr(tmp_path: Path) -> None:
    path = tmp_path / "dev.db"
    filled(path)
    shown = CliRunner().invoke(main, ["consume", "orders", "--file", str(path)])
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines[0].endswith('k  {"id":7,"city":{"name":"Rome"}}')
    assert lines[2].endswith("plain")
    assert shown.stderr == "Not decoded: value: schema id 99 is not registered here\n"
    raw = CliRunner().invoke(main, ["consume", "orders", "--file", str(path), "--raw"])
    assert "Rome" not in raw.stdout.splitlines()[0] or "{" not in raw.stdout.splitlines()[0]
    assert raw.stderr == ""


def test_python_reads_decoded_events(tmp_path: Path) -> None:
    path = tmp_path / "dev.db"
    filled(path)
    with Sandbox(path) as sandbox:
        values = [event.value for event in sandbox.read("orders", decode=True)]
        assert values == [b'{"id":7,"city":{"name":"Rome"}}', b"\0\0\0\0\x63abc", b"plain"]
        assert sandbox.read("orders", offset=0, limit=1)[0].value == b"\0\0\0\0\2\x0e\x08Rome"
