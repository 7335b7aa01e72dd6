"""The pytest plugin, in projects that pytest's own pytester creates."""

import importlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sandbox import Sandbox
from sandbox.testing import cluster, kafka
from tests.waiting import eventually

pytest_plugins = "pytester"
# pytester's runs in this process forget the modules that they load, so what they use is loaded here.
for name in ("sandbox.testing.scope", "sandbox.testing.place", "sandbox.web.server", "aiokafka.admin"):
    importlib.import_module(name)
with kafka(topics=["orders"]) as used:
    used.producer()

FAILING = """
def test_paid(kafka):
    kafka.produce("orders", {"status": "open"}, key="user-42")
    kafka.expect("orders", key="user-42", json={"status": "paid"}, within="20ms")
"""


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SANDBOX_TEST_BOOTSTRAP", raising=False)


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)


def kept_file(pytester: pytest.Pytester) -> Path:
    (file,) = pytester.path.rglob("*.db")
    return file


def base(pytester: pytest.Pytester) -> str:
    return f"--basetemp={pytester.path / 'temp'}"


def test_each_test_gets_an_empty_kafka_and_its_file_is_deleted(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", [1, 2])
        def test_empty(kafka, bootstrap_servers, number):
            assert kafka.bootstrap_servers == bootstrap_servers
            assert kafka.sandbox.topics() == ()
            kafka.produce("orders", "x")
        """
    )
    run(pytester, base(pytester)).assert_outcomes(passed=2)
    assert list(pytester.path.rglob("*.db*")) == []


def test_the_ready_made_clients_work(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from confluent_kafka.admin import NewTopic

        def test_clients(kafka, producer, consumer, admin):
            admin.create_topics([NewTopic("orders", 2)])["orders"].result(10)
            producer.produce("orders", "x", key="k")
            consumer.subscribe(["orders"])
            message = consumer.poll(10)
            assert message.value() == b"x"
            kafka.expect("orders", count=1, key="k")
        """
    )
    run(pytester).assert_outcomes(passed=1)


def test_the_asyncio_clients_work(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio
        from aiokafka.admin import NewTopic

        def test_clients(kafka, async_producer, async_consumer, async_admin):
            async def test():
                async with async_admin() as admin:
                    await admin.create_topics([NewTopic("orders", 1, 1)])
                async with async_producer() as producer, async_consumer("orders", group="billing") as consumer:
                    await producer.send_and_wait("orders", b"x")
                    assert (await consumer.getone()).value == b"x"
                    await consumer.commit()
                    await kafka.aio.wait_committed("billing", "orders", 1)
            asyncio.run(test())
        """
    )
    run(pytester).assert_outcomes(passed=1)


def test_the_session_is_shared_and_the_page_opens(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from urllib.request import urlopen

        def test_first(kafka_session):
            kafka_session.produce("orders", "x")

        def test_second(kafka_session, kafka):
            assert len(kafka_session.events("orders")) == 1
            assert kafka.events("orders") == []

        def test_page(kafka_page):
            with urlopen(kafka_page + "/topics.json", timeout=30) as answer:
                assert answer.status == 200
        """
    )
    run(pytester).assert_outcomes(passed=3)


def test_the_marker_prepares_kafka_and_the_closest_one_wins(pytester: pytest.Pytester) -> None:
    (pytester.path / "seed.jsonl").write_text('{"topic": "users", "key": "a", "value": "1"}\n')
    pytester.makepyfile(
        """
        import pytest
        pytestmark = pytest.mark.kafka(topics={"orders": 3}, seed="seed.jsonl")

        @pytest.mark.kafka(topics=["other"], brokers=3, settings={"num.partitions": "4"}, clock="frozen",
                           faults={"api": "Produce", "latency_ms": 1})
        def test_marked(kafka):
            assert sorted(one.topic for one in kafka.sandbox.topics()) == ["other", "users"]
            assert len(kafka.sandbox.brokers.list()) == 3
            assert len(kafka.create_topic("four", None).partitions) == 4
            assert kafka.clock.frozen
            assert kafka.faults.list()[0].latency_ms == 1

        def test_of_the_module(kafka):
            assert len(kafka.sandbox.topic("orders").partitions) == 3
            kafka.expect("users", key="a", value="1")
        """
    )
    run(pytester, "--strict-markers").assert_outcomes(passed=2)


def test_schemas_are_registered_and_the_registry_has_an_address(pytester: pytest.Pytester) -> None:
    (pytester.path / "schemas").mkdir()
    (pytester.path / "schemas" / "users-value.json").write_text('{"type": "object"}')
    (pytester.path / "empty").mkdir()
    pytester.makepyfile(
        """
        import pytest
        from urllib.request import urlopen

        @pytest.mark.kafka(schemas="schemas")
        def test_registry(schema_registry_url):
            with urlopen(schema_registry_url + "/subjects", timeout=30) as answer:
                assert answer.read() == b'["users-value"]'

        @pytest.mark.kafka(schemas="empty")
        def test_without(kafka):
            pass
        """
    )
    result = run(pytester)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*empty is not a folder with schemas: files named SUBJECT.avsc, SUBJECT.json*"])


def test_events_are_produced_and_expected_with_registered_schemas(pytester: pytest.Pytester) -> None:
    (pytester.path / "schemas").mkdir()
    order = '{"type":"record","name":"Order","fields":[{"name":"id","type":"long"}]}'
    (pytester.path / "schemas" / "orders-value.avsc").write_text(order)
    (pytester.path / "schemas" / "orders-key.avsc").write_text('"string"')
    (pytester.path / "schemas" / "pay-value.proto").write_text('syntax = "proto3"; message Pay { int32 n = 1; }')
    pytester.makepyfile(
        """
        import pytest
        from confluent_kafka.schema_registry import SchemaRegistryClient
        from confluent_kafka.schema_registry.avro import AvroDeserializer
        from confluent_kafka.serialization import MessageField, SerializationContext
        from sandbox.schemas.schema import InvalidValue

        pytestmark = pytest.mark.kafka(schemas="schemas")

        def test_a_deserializer_reads_it(kafka, schema_registry_url):
            kafka.produce("orders", {"id": 7}, key="user-1", value_schema="orders-value", key_schema="orders-key")
            consumer = kafka.consumer("orders")
            message = consumer.poll(20)
            with SchemaRegistryClient({"url": schema_registry_url}) as registry:
                read = AvroDeserializer(registry)
                assert read(message.value(), SerializationContext("orders", MessageField.VALUE)) == {"id": 7}
                assert read(message.key(), SerializationContext("orders", MessageField.KEY)) == "user-1"

        def test_json_of_a_decoded_value_is_expected(kafka):
            kafka.produce("orders", {"id": 7}, value_schema="orders-value:1")
            kafka.produce("pay", {"n": 3}, value_schema="pay-value")
            (event,) = kafka.expect("orders", json={"id": 7})
            assert event.json == {"id": 7}
            kafka.expect("pay", json={"n": 3})
            kafka.expect_none("pay", json={"n": 4}, within="50ms")
            assert kafka.events("orders")[0].value[:1] == bytes(1)

        def test_a_value_that_does_not_fit_is_refused(kafka):
            with pytest.raises(InvalidValue, match=r"\\$.id: expected an integer"):
                kafka.produce("orders", {"id": "x"}, value_schema="orders-value")
            with pytest.raises(InvalidValue, match="Subject 'nothing' not found"):
                kafka.produce("orders", {"id": "x"}, value_schema="nothing")
            assert kafka.events("orders") == []
        """
    )
    run(pytester).assert_outcomes(passed=3)


def test_an_unknown_argument_of_the_marker_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.kafka(topic={"orders": 3})
        def test_marked(kafka):
            pass
        """
    )
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the marker kafka has no argument topic; it has topics, brokers, settings*"])


def test_a_failure_explains_itself_and_names_the_kept_file(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FAILING)
    result = run(pytester, base(pytester), "-ra", "--junitxml=junit.xml")
    result.assert_outcomes(failed=1)
    file = kept_file(pytester)
    result.stdout.fnmatch_lines(
        [
            '*ExpectationFailed: Expected an event in orders with key \'user-42\', json {"status": "paid"}, found 0*',
            "*orders/0/0*",
            '*$.status: expected "paid", found "open"*',
            "*No consumer groups.*",
            "*kafka sandbox: kept files*",
            "test_a_failure_explains_itself_and_names_the_kept_file.py::test_paid",
            f"  sandbox up {file}",
            "FAILED *test_paid*",
        ]
    )
    assert "assertions.py" not in result.stdout.str()
    properties = {
        one.get("name"): one.get("value") for one in ElementTree.parse(pytester.path / "junit.xml").iter("property")
    }
    assert properties["kafka_sandbox"] == f"sandbox up {file}"
    with Sandbox(file) as opened:
        assert [event.key for event in opened.read("orders")] == [b"user-42"]


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_a_failure_keeps_the_file_of_the_session(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    pytester.makepyfile(
        """
        def test_fails(kafka_session):
            kafka_session.produce("orders", "x")
            kafka_session.expect("orders", value="y", within="1ms")

        def test_passes(kafka_session):
            kafka_session.expect("orders", value="x")
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", base(pytester), *workers)
    result.assert_outcomes(passed=1, failed=1)
    file = kept_file(pytester)
    result.stdout.fnmatch_lines(["*kafka sandbox: kept files*", f"  sandbox up {file}"])
    assert result.outlines.count(f"  sandbox up {file}") == 1
    with Sandbox(file) as opened:
        assert [event.value for event in opened.read("orders")] == [b"x"]


@pytest.mark.parametrize("obtained", ["kafka_session", "orders"])
def test_a_failure_keeps_the_file_of_the_session_also_if_the_test_obtained_it_late(
    pytester: pytest.Pytester, obtained: str
) -> None:
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.fixture(scope="session")
        def orders(kafka_session):
            return kafka_session

        def test_passes(request):
            request.getfixturevalue({obtained!r}).produce("orders", "x")

        def test_fails(request):
            request.getfixturevalue({obtained!r}).expect("orders", value="y", within="1ms")

        def test_without_kafka():
            assert False
        """
    )
    result = run(pytester, base(pytester))
    result.assert_outcomes(passed=1, failed=2)
    file = kept_file(pytester)
    result.stdout.fnmatch_lines(["*kafka sandbox: kept files*", f"  sandbox up {file}"])
    assert result.outlines.count(f"  sandbox up {file}") == 1


def test_the_file_of_a_session_that_passes_is_deleted(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_passes(kafka_session): kafka_session.produce('orders', 'x')")
    run(pytester, base(pytester)).assert_outcomes(passed=1)
    assert list(pytester.path.rglob("*.db*")) == []


def test_keep_keeps_the_files_of_tests_that_pass(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_passes(kafka): kafka.produce('orders', 'x')")
    result = run(pytester, base(pytester), "--kafka-keep")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"  sandbox up {kept_file(pytester)}"])


def test_golden_files_are_updated_on_request(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_UPDATE_GOLDEN", raising=False)
    pytester.makepyfile(
        """
        def test_golden(kafka):
            kafka.produce("orders", "x", key="a")
            kafka.expect_golden("golden.jsonl", within="10ms")
        """
    )
    run(pytester).stdout.fnmatch_lines(["*golden.jsonl does not exist. To write it*"])
    run(pytester, "--kafka-update-golden").assert_outcomes(passed=1)
    monkeypatch.delenv("KAFKA_UPDATE_GOLDEN", raising=False)
    run(pytester).assert_outcomes(passed=1)


def test_the_same_tests_run_on_a_cluster(pytester: pytest.Pytester, tmp_path: Path) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.kafka(topics={"orders": 2})
        def test_everywhere(kafka):
            assert kafka.topic("orders").endswith("orders")
            kafka.produce("orders", {"id": 1}, key="a")
            consumer = kafka.consumer("orders", group="billing")
            assert consumer.poll(10).value() == b'{"id": 1}'
            consumer.commit(asynchronous=False)
            kafka.expect("orders", count=1, key="a", json={"id": 1})
            kafka.wait_lag("billing")
            kafka.expect_none("none", within="1ms")

        def test_with_the_clock(kafka):
            kafka.clock.advance("8d")

        @pytest.mark.kafka(brokers=3)
        def test_with_brokers(kafka):
            pass

        def test_with_the_page(kafka_page):
            pass
        """
    )
    with Sandbox(tmp_path / "cluster.db") as real:
        real.serve(kafka_port=0, web_port=None)
        real.append("orders", "of somebody else")
        result = run(pytester, f"--kafka-bootstrap={real.kafka_address}", "-rs")
        assert [one.topic for one in real.topics()] == ["orders"]
        assert real.groups() == ()
    result.assert_outcomes(passed=1, skipped=3)
    result.stdout.fnmatch_lines(
        [
            "SKIPPED * The clock needs the sandbox, and this test runs on a Kafka cluster.",
            "SKIPPED * The marker's argument brokers needs the sandbox*",
        ]
    )


def test_a_cluster_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(Exception, match="does not answer"), cluster("127.0.0.1:1"):
        pass


def test_without_the_plugin_there_are_no_fixtures(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FAILING)
    result = pytester.runpytest_subprocess("-p", "no:kafka")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'kafka' not found*"])


def test_a_project_that_uses_no_fixture_imports_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_modules():
            ours = {name for name in sys.modules if name.partition(".")[0] == "sandbox"}
            assert ours == {"sandbox", "sandbox.version", "sandbox.testing", "sandbox.testing.plugin"}
            assert not {"sqlite3", "confluent_kafka", "flask", "click"} & set(sys.modules)
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:timeout", "-p", "no:xdist")
    result.assert_outcomes(passed=1)
    assert [line for line in result.outlines if "kafka" in line and not line.startswith("plugins:")] == []


def test_the_package_is_imported_without_rewriting_its_assertions(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_loaders(kafka):
            rewritten = {name for name, module in sys.modules.items()
                         if type(getattr(module, "__loader__", None)).__name__ == "AssertionRewritingHook"}
            assert "sandbox.api.sandbox" in sys.modules
            ours = {name for name in rewritten if name.partition(".")[0] == "sandbox"}
            assert ours <= {"sandbox", "sandbox.version", "sandbox.testing", "sandbox.testing.plugin"}
        """
    )
    pytester.runpytest_subprocess("-p", "no:xdist").assert_outcomes(passed=1)


def test_workers_of_xdist_have_brokers_of_their_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(8))
        def test_alone(kafka, kafka_session, number):
            kafka.produce("orders", "x")
            assert len(kafka.events("orders")) == 1

        def test_fails(kafka):
            kafka.expect("orders", within="1ms")
        """
    )
    result = pytester.runpytest_subprocess("-n", "2", base(pytester), "--junitxml=junit.xml")
    result.assert_outcomes(passed=8, failed=1)
    result.stdout.fnmatch_lines(["*kafka sandbox: kept files*", f"  sandbox up {kept_file(pytester)}"])
    assert f"sandbox up {kept_file(pytester)}" in (pytester.path / "junit.xml").read_text()


def test_a_crashed_worker_leaves_a_file_that_is_named(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os

        def test_crashes(kafka):
            kafka.produce("orders", "before the crash")
            os._exit(1)
        """
    )
    result = pytester.runpytest_subprocess("-n", "1", "--max-worker-restart=0", base(pytester))
    result.stdout.fnmatch_lines(["*kafka sandbox: kept files*", f"  sandbox up {kept_file(pytester)}"])
    with Sandbox(kept_file(pytester)) as opened:
        assert [event.value for event in opened.read("orders")] == [b"before the crash"]


def test_a_hung_consumer_fails_its_test_and_not_the_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import threading

        def test_hangs(kafka):
            kafka.create_topic("orders")
            consumer = kafka.consumer()
            consumer.subscribe(["orders"], on_assign=lambda *_: threading.Event().wait())
            threading.Thread(target=consumer.poll, args=(60,), daemon=True).start()
            kafka.wait_assigned("nobody", within="300ms")

        def test_goes_on(kafka):
            assert kafka.events("orders") == []
        """
    )
    result = pytester.runpytest_subprocess(timeout=60)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*Group nobody was not assigned within 300ms: it does not exist.*"])


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_after_ctrl_c_the_file_of_the_interrupted_test_is_kept(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pathlib, threading

        def test_waits(kafka):
            kafka.produce("orders", "x")
            pathlib.Path("ready").touch()
            threading.Event().wait(60)
        """
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", base(pytester)]
    with (pytester.path / "output").open("w+") as output:
        process = subprocess.Popen(command, cwd=pytester.path, stdout=output, stderr=subprocess.STDOUT)
        try:
            eventually((pytester.path / "ready").exists, 30)
            os.kill(process.pid, signal.SIGINT)
            assert process.wait(30) == pytest.ExitCode.INTERRUPTED
        finally:
            process.kill()
            process.wait(10)
    assert f"sandbox up {kept_file(pytester)}" in (pytester.path / "output").read_text()


def test_tests_leave_no_threads_and_files(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(30))
        def test_clients(kafka, producer, number):
            pass
        """
    )
    before = threading.active_count()
    run(pytester, base(pytester)).assert_outcomes(passed=30)
    eventually(lambda: threading.active_count() <= before, 10)
    assert list(pytester.path.rglob("*.db*")) == []
