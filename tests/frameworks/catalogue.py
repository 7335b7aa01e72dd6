"""The frameworks that `make frameworks` runs: the packages of each, and its program in `programs/`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

PROGRAMS = Path(__file__).with_name("programs")


class Tool(Enum):
    """What installs a framework; the value is the command that must exist."""

    PIP = "python3"
    NPM = "npm"
    GO = "go"
    CARGO = "cargo"
    MAVEN = "mvn"


@dataclass(frozen=True)
class Framework:
    """One framework.

    Attributes:
        name: its name, as people write it.
        tool: what installs it.
        program: a file or folder of `programs/`. It prints `NAME VERSION ok` as its last line if all is right.
        packages: what is installed, each in its newest release. Cargo and Maven have them in the program's
            `Cargo.toml` and `pom.xml`.
        arguments: arguments of the program.
        main: the main class of a program in Java.
    """

    name: str
    tool: Tool
    program: str
    packages: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    main: str = "Program"

    @property
    def source(self) -> Path:
        """The program's file or folder."""
        return PROGRAMS / self.program


FRAMEWORKS = (
    Framework("FastStream (aiokafka)", Tool.PIP, "faststream_program.py", ("faststream[kafka]",), ("aiokafka",)),
    Framework("FastStream (confluent)", Tool.PIP, "faststream_program.py", ("faststream[confluent]",), ("confluent",)),
    Framework("aiokafka", Tool.PIP, "aiokafka_program.py", ("aiokafka",)),
    Framework("Celery", Tool.PIP, "celery_program.py", ("celery", "confluent-kafka")),
    Framework("Quix Streams", Tool.PIP, "quix_program.py", ("quixstreams",)),
    Framework("Faust", Tool.PIP, "faust_program.py", ("faust-streaming",)),
    Framework("Bytewax", Tool.PIP, "bytewax_program.py", ("bytewax[kafka]",)),
    Framework("Pathway", Tool.PIP, "pathway_program.py", ("pathway", "confluent-kafka")),
    Framework("kafkajs", Tool.NPM, "kafkajs_program.mjs", ("kafkajs",)),
    Framework("sarama", Tool.GO, "sarama", ("github.com/IBM/sarama",)),
    Framework("kafka-go", Tool.GO, "kafka_go", ("github.com/segmentio/kafka-go",)),
    Framework("franz-go", Tool.GO, "franz", ("github.com/twmb/franz-go",)),
    Framework("rskafka", Tool.CARGO, "rskafka"),
    Framework("krafka", Tool.CARGO, "krafka"),
    Framework("Spring Boot", Tool.MAVEN, "spring", main="billing.Program"),
    Framework("Kafka Connect (standalone)", Tool.MAVEN, "connect", arguments=("standalone",)),
    Framework("Kafka Connect (distributed)", Tool.MAVEN, "connect", arguments=("distributed",)),
    Framework("Flink", Tool.MAVEN, "flink"),
    Framework("Spark", Tool.MAVEN, "spark"),
)
