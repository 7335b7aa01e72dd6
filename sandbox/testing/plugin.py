"""The pytest plugin: fixtures, the marker `kafka`, options, and the list of kept files. See docs/testing.md.

pytest imports this module in every project of the environment, so it imports nothing else until a fixture is used.
"""

import os
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient

    from sandbox.testing.handle import Kafka

BOOTSTRAP_VARIABLE = "SANDBOX_TEST_BOOTSTRAP"
GOLDEN_VARIABLE = "KAFKA_UPDATE_GOLDEN"
PROPERTY = "kafka_sandbox"
"""The property of a test's report, also in JUnit XML: the command that opens the kept file."""
MARKER = (
    "kafka(topics, brokers, settings, faults, seed, schemas, clock): the Kafka of this test. topics: names, or name to "
    "partitions; settings: of the broker; faults: arguments of inject; seed: JSON lines files; schemas: a folder; "
    "clock: 'real' or 'frozen'."
)
AsyncClient = Callable[..., AbstractAsyncContextManager[Any]]

kept_key: "pytest.StashKey[dict[str, str]]" = pytest.StashKey()
"""Test to the command that opens its kept file, for the files that this process kept."""
broken_key = pytest.StashKey[bool]()
"""True for a test that failed, and for a session with such a test."""
_interrupted: list[bool] = []
command_key = pytest.StashKey[str]()
"""The command that opens the file of a test, or of a session, that is running."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("kafka sandbox")
    group.addoption(
        "--kafka-keep", action="store_true", help="Keep the sandbox file of every test, not only of failed ones."
    )
    group.addoption(
        "--kafka-bootstrap",
        metavar="HOST:PORT",
        default=os.environ.get(BOOTSTRAP_VARIABLE) or None,
        help="Run the tests on this Kafka cluster, with topics and groups under a prefix. What needs the sandbox is "
        f"skipped. [env: {BOOTSTRAP_VARIABLE}]",
    )
    group.addoption(
        "--kafka-property",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="A property of librdkafka for --kafka-bootstrap, such as security.protocol=SSL. Repeatable.",
    )
    registry = "The schema registry of --kafka-bootstrap, for schema_registry_url."
    group.addoption("--kafka-schema-registry", metavar="URL", help=registry)
    group.addoption(
        "--kafka-update-golden",
        action="store_true",
        help="Write the golden files of expect_golden instead of comparing.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Describe the marker."""
    config.addinivalue_line("markers", MARKER)
    _import_as_usual(config)
    config.stash[kept_key] = {}
    _interrupted.clear()
    if config.getoption("--kafka-update-golden"):
        before = os.environ.get(GOLDEN_VARIABLE, "")
        os.environ[GOLDEN_VARIABLE] = "1"
        config.add_cleanup(lambda: os.environ.update({GOLDEN_VARIABLE: before}))


def _import_as_usual(config: pytest.Config) -> None:
    """Import the package without pytest's rewriting of assertions.

    pytest rewrites all modules of a distribution that has a plugin. Here that is 200 modules without an assertion of a
    test; compiling them takes seconds in each run without cached bytecode, as with PYTHONDONTWRITEBYTECODE=1.
    """
    hook: Any = config.pluginmanager.rewrite_hook
    marked, cache = (getattr(hook, name, None) for name in ("_must_rewrite", "_marked_for_rewrite_cache"))
    if isinstance(marked, set) and isinstance(cache, dict):
        marked.discard("sandbox")
        cache.clear()


# Fixtures


@pytest.fixture
def kafka(request: pytest.FixtureRequest) -> Iterator["Kafka"]:
    """Kafka for this test alone: an empty sandbox, or topics under a prefix with --kafka-bootstrap."""
    from sandbox.testing.scope import opened

    with opened(request) as made:
        yield made


@pytest.fixture(scope="session")
def kafka_session(request: pytest.FixtureRequest) -> Iterator["Kafka"]:
    """Kafka for all tests of a process; with pytest-xdist, one per worker. Tests share its topics."""
    from sandbox.testing.scope import opened

    with opened(request) as made:
        yield made


@pytest.fixture
def bootstrap_servers(kafka: "Kafka") -> str:
    """The address of this test's Kafka, "host:port"."""
    return kafka.bootstrap_servers


@pytest.fixture
def schema_registry_url(kafka: "Kafka") -> str:
    """The URL of this test's schema registry."""
    from sandbox.testing.scope import skipped_on_a_cluster

    with skipped_on_a_cluster():
        return kafka.schema_registry_url


@pytest.fixture
def producer(kafka: "Kafka") -> "Producer":
    """confluent-kafka's Producer, flushed and closed after the test."""
    return kafka.producer()


@pytest.fixture
def consumer(kafka: "Kafka") -> "Consumer":
    """confluent-kafka's Consumer in a new group, from the beginning of the logs. It is closed after the test."""
    return kafka.consumer()


@pytest.fixture
def admin(kafka: "Kafka") -> "AdminClient":
    """confluent-kafka's AdminClient."""
    return kafka.admin()


@pytest.fixture
def async_producer(kafka: "Kafka") -> AsyncClient:
    """Creates aiokafka's producers: `async with async_producer() as producer:`."""
    return lambda **settings: kafka.async_clients.producer(settings)


@pytest.fixture
def async_consumer(kafka: "Kafka") -> AsyncClient:
    """Creates aiokafka's consumers: `async with async_consumer("orders", group="billing") as consumer:`."""
    return lambda *topics, group=None, **settings: kafka.async_clients.consumer(topics, group, settings)


@pytest.fixture
def async_admin(kafka: "Kafka") -> AsyncClient:
    """Creates aiokafka's admin clients: `async with async_admin() as admin:`."""
    return lambda **settings: kafka.async_clients.admin(settings)


@pytest.fixture
def kafka_page(kafka: "Kafka") -> str:
    """The address of the page over this test's Kafka, to look around while the test is paused."""
    from sandbox.testing.scope import skipped_on_a_cluster

    with skipped_on_a_cluster():
        return kafka.page


# Outcomes


def was_interrupted() -> bool:
    """True after Ctrl-C."""
    return bool(_interrupted)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, None]:
    """Skip a test on a cluster that uses what only the sandbox has."""
    outcome = yield
    place = sys.modules.get("sandbox.testing.place")
    if place is not None and outcome.excinfo is not None and issubclass(outcome.excinfo[0], place.NeedsSandbox):
        outcome.force_exception(pytest.skip.Exception(str(outcome.excinfo[1]), _use_item_location=True))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Note that a test failed, before its sandbox ends, and name the kept file in its report."""
    outcome = yield
    report = outcome.get_result()
    # The failure of any test that uses kafka_session keeps the session's file.
    shared = [item.session] if "kafka_session" in _fixtures(item) else []
    for node in (item, *shared):
        command = node.stash.get(command_key, None)
        if command is None:
            continue
        if report.failed:
            node.stash[broken_key] = True
        if report.when == "call" and (report.failed or item.config.getoption("--kafka-keep")):
            item.user_properties.append((PROPERTY, command))
            report.user_properties.append((PROPERTY, command))


def _fixtures(item: pytest.Item) -> set[str]:
    """Return the fixtures of a test, also those that it obtained by `request.getfixturevalue` and what these need."""
    # pytest has no public list of them.
    obtained: Mapping[str, Any] = getattr(getattr(item, "_request", None), "_fixture_defs", {})
    return {
        *getattr(item, "fixturenames", ()),
        *obtained,
        *(name for one in obtained.values() for name in one.argnames),
    }


def pytest_keyboard_interrupt(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Keep the file of the interrupted test: its fixtures end after this."""
    _interrupted.append(True)


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: Any) -> None:
    """Name the file that a crashed worker of pytest-xdist left behind."""
    from sandbox.testing.scope import left_behind

    command = left_behind(crashitem, report.node)
    if command is not None:
        report.user_properties.append((PROPERTY, command))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """List the kept files with the commands that open them."""
    # By command, as the tests of a session share its file.
    kept = {command: test for test, command in config.stash[kept_key].items()}
    for outcome in ("failed", "error", "passed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, command in getattr(report, "user_properties", ()):
                if name == PROPERTY:
                    kept.setdefault(command, report.nodeid)
    if kept:
        terminalreporter.section("kafka sandbox: kept files")
        for command, test in kept.items():
            terminalreporter.write_line(f"{test}\n  {command}")
