"""Apache Kafka itself, as the judge: fetched once from Maven Central and run as one KRaft process on loopback.

The broker and the controller share one process and one temporary log directory. Kafka's own start script is not
used: the class path is a folder of jars.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clients.processes import CACHE, end, tail
from tests.ports import free_port

VERSION = "4.4.0"
# The jar that carries Kafka's log lines to log4j; Kafka's own release adds it outside Maven's dependencies.
LOG4J = "2.25.3"
# The jars of the broker, its command-line tools and Kafka Streams.
JARS = CACHE / "apache_kafka" / f"{VERSION}-tools-streams"
HEAP = "-Xmx512m"
FETCH_S = 300
START_S = 90

POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>sandbox.tests</groupId><artifactId>apache-kafka</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka-streams</artifactId><version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>{LOG4J}</version>
    </dependency>
  </dependencies>
</project>
"""

# Retention is off because the tests produce events of the past. The rebalance delay is off because it only makes
# tests slow. Every internal topic has one partition and one replica: there is one broker.
SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={log_dir}
num.partitions=1
auto.create.topics.enable={auto_create}
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.heartbeat.interval.ms=500
group.consumer.min.heartbeat.interval.ms=500
group.consumer.session.timeout.ms=6000
group.consumer.min.session.timeout.ms=1000
group.consumer.assignment.interval.ms=0
group.consumer.min.assignment.interval.ms=0
group.consumer.assignor.offload.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.share.min.heartbeat.interval.ms=500
group.share.heartbeat.interval.ms=500
group.share.assignment.interval.ms=0
group.share.min.assignment.interval.ms=0
group.share.min.record.lock.duration.ms=1000
log.retention.ms=-1
"""
# The sandbox has no streams groups: it is judged by a cluster without them.
FEATURES = ("--feature", "streams.version=0")


class KafkaUnavailableError(Exception):
    """Apache Kafka cannot be run here; the text says what is missing."""


def find_or_fetch() -> Path:
    """Find Apache Kafka's jars in the project's cache, or fetch them from Maven Central.

    Returns:
        The folder of jars; `folder/*` is the class path.

    Raises:
        KafkaUnavailableError: java or mvn is missing, or Maven Central cannot be reached.
    """
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            raise KafkaUnavailableError(f"{tool} is not installed")
    return fetch_jars(JARS, POM, f"Apache Kafka {VERSION}")


def fetch_jars(jars: Path, pom: str, name: str) -> Path:
    """Return a folder with the jars that a Maven project needs at run time; fetches them if it does not exist.

    Args:
        jars: the folder.
        pom: the project's pom.xml.
        name: what it is, for the error.

    Raises:
        KafkaUnavailableError: Maven could not fetch them.
    """
    if jars.exists():
        return jars
    jars.parent.mkdir(parents=True, exist_ok=True)
    # Fetched beside its place and renamed, so that an interrupted fetch is not taken for a whole one.
    with tempfile.TemporaryDirectory(dir=jars.parent) as scratch:
        (Path(scratch) / "pom.xml").write_text(pom)
        command = [
            "mvn",
            "-q",
            "-B",
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            "-DoutputDirectory=jars",
        ]
        try:
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=FETCH_S, check=False)
        except subprocess.TimeoutExpired:
            raise KafkaUnavailableError(f"Maven did not fetch {name} within {FETCH_S} s") from None
        if done.returncode != 0:
            raise KafkaUnavailableError(f"Maven could not fetch {name}: {done.stdout[-600:]}")
        (Path(scratch) / "jars").rename(jars)
    return jars


@contextmanager
def running_kafka(*, auto_create: bool = True) -> Iterator[str]:
    """Run Apache Kafka on a free loopback port, with an empty log, until the block ends.

    Args:
        auto_create: `auto.create.topics.enable`.

    Returns:
        A context manager that gives the bootstrap address.

    Raises:
        KafkaUnavailableError: see `find_or_fetch`.
        RuntimeError: the broker did not come up; the text ends with its log.
    """
    jars = find_or_fetch()
    with tempfile.TemporaryDirectory(prefix="apache-kafka-") as scratch:
        for attempt in range(3):
            home = Path(scratch) / str(attempt)
            home.mkdir()
            process, bootstrap = _start(jars, home, auto_create)
            if _is_ready(process, home / "kafka.log"):
                break
            end(process)
        else:
            raise RuntimeError(f"Apache Kafka did not start: {tail(home / 'kafka.log')}")
        try:
            yield bootstrap
        finally:
            end(process, within_s=20)


def _start(jars: Path, home: Path, auto_create: bool) -> tuple[subprocess.Popen[bytes], str]:
    port, controller_port = free_port(), free_port()
    settings = home / "server.properties"
    settings.write_text(
        SETTINGS.format(
            port=port,
            controller_port=controller_port,
            log_dir=home / "log",
            auto_create=str(auto_create).lower(),
        )
    )
    java = ["java", HEAP, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*"]
    cluster_id = uuid.uuid4().hex[:22]
    formatted = subprocess.run(
        [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(settings), *FEATURES],
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    if formatted.returncode != 0:
        raise RuntimeError(f"Apache Kafka's storage was not formatted: {formatted.stdout}{formatted.stderr}")
    with (home / "kafka.log").open("wb") as log:
        process = subprocess.Popen(
            [*java, "-Dlog4j2.configurationFile=" + str(_logging(home)), "kafka.Kafka", str(settings)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=home,
        )
    return process, f"127.0.0.1:{port}"


def _logging(home: Path) -> Path:
    path = home / "log4j2.properties"
    path.write_text(
        "status=error\nappender.out.type=Console\nappender.out.name=out\nappender.out.layout.type=PatternLayout\n"
        "appender.out.layout.pattern=%d %p %m (%c)%n\nrootLogger.level=info\nrootLogger.appenderRef.out.ref=out\n"
    )
    return path


def _is_ready(process: subprocess.Popen[bytes], log: Path) -> bool:
    deadline = time.monotonic() + START_S
    pause = threading.Event()
    while time.monotonic() < deadline and process.poll() is None:
        if "Kafka Server started" in tail(log, 20_000):
            return True
        pause.wait(0.1)
    return False
