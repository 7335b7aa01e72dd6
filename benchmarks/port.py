"""Throughput and latency through the Kafka port."""

from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import peers, raw_sqlite
from benchmarks.figures import Figure, at_least, at_most, median_of, percentile
from benchmarks.processes import Server, run_job, sandbox_up
from benchmarks.workload import Kind

PART = "through the port"
PARTITIONS = 3
KINDS: tuple[Kind, ...] = ("varied", "equal")
NAMES: dict[Kind, str] = {"varied": "varied JSON", "equal": "equal values of 100 bytes"}


def throughput(folder: Path, events: int, rounds: int) -> list[Figure]:
    """Produce, consume the tail, and consume from rows after a restart, for each workload."""
    return [figure for kind in KINDS for figure in _throughput(folder, kind, events, rounds)]


def _throughput(folder: Path, kind: Kind, events: int, rounds: int) -> list[Figure]:
    """The same rounds measure SQLite's own inserts and librdkafka's mock, as limits."""
    limits: dict[str, list[float]] = {"own": [], "together": [], "bare": [], "mock": []}
    into, tail = _Timed(), _Timed()
    sandbox_file = folder / f"port-{kind}.db"
    with sandbox_up(sandbox_file) as server, peers.started("librdkafka's mock", folder / "mock") as mock:
        for number in range(rounds):
            topic = f"round-{number}"
            for name, own_schema, together in (("own", True, False), ("together", True, True), ("bare", False, False)):
                file = folder / f"{name}-{kind}-{number}.db"
                rate = raw_sqlite.insert_rate(file, events, kind, own_schema=own_schema, together=together)
                limits[name].append(rate)
            run_job("create", servers=server.kafka, topic=topic, partitions=PARTITIONS)
            into.run(server, "produce", topic, events, events=events, kind=kind)
            _rate("produce", mock, topic, events=events, kind=kind)
            tail.run(server, "consume", topic, events)
            limits["mock"].append(_rate("consume", mock, topic))
    cold = _Timed()
    with sandbox_up(sandbox_file) as server:
        for number in range(rounds):
            cold.run(server, "consume", f"round-{number}", events)
    own, fifty, bare, mock_rate = (median(values) for values in limits.values())
    load = NAMES[kind]
    part, port = f"the limits of this run, {load}", f"{PART}, {load}"
    return [
        Figure(part, "SQLite's own insert, row by row, same table and triggers", own, "events/s"),
        Figure(part, "SQLite's own insert, 50 rows per statement", fifty, "events/s"),
        Figure(part, "SQLite's own insert, row by row, a bare table", bare, "events/s"),
        Figure(part, "consume from librdkafka's mock", mock_rate, "events/s"),
        at_least(port, "produce", into.rate, "events/s", own, 0.6, "SQLite row by row"),
        at_least(port, "produce, against the faster insert", into.rate, "events/s", fifty, 0.6, "SQLite, 50 rows"),
        at_least(port, "consume the tail", tail.rate, "events/s", mock_rate, 0.9, "librdkafka's mock"),
        at_least(port, "consume from rows, after a restart", cold.rate, "events/s", into.rate, 3, "produce"),
        Figure(port, "the broker's processor time per event: produce", into.cpu_us, "µs"),
        Figure(port, "the broker's processor time per event: tail", tail.cpu_us, "µs"),
        Figure(port, "the broker's processor time per event: from rows", cold.cpu_us, "µs"),
    ]


class _Timed:
    """Rounds of one job: what the client saw, and what the broker spent."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.cpu: list[float] = []

    def run(self, server: Server, job: str, topic: str, count: int, **arguments: Any) -> None:
        """One round with `count` events."""
        before = server.cpu_s()
        self.rates.append(_rate(job, server.kafka, topic, **arguments))
        self.cpu.append((server.cpu_s() - before) / count * 1e6)

    @property
    def rate(self) -> float:
        """Events per second, the median."""
        return median(self.rates)

    @property
    def cpu_us(self) -> float:
        """Microseconds of the broker's processor time for each event, the median."""
        return median(self.cpu)


def _rate(job: str, servers: str, topic: str, **arguments: Any) -> float:
    return float(run_job(job, servers=servers, topic=topic, **arguments)["events_per_s"])


def transactions(folder: Path, count: int, rounds: int) -> tuple[list[Figure], list[str]]:
    """Transactions of 100 events, one after the other, beside Apache Kafka in the same run; and why it is left out."""
    job = {"transactions": max(10, count // 1_000), "events": 100}
    name = "transactions of 100 events"
    with sandbox_up(folder / "transactions.db") as server:
        run_job("create", servers=server.kafka, topic="t", partitions=PARTITIONS)
        try:
            with peers.apache_kafka(folder) as kafka:
                run_job("create", servers=kafka, topic="t", partitions=PARTITIONS)
                pairs = [[_rate("transact", one, "t", **job) for one in (server.kafka, kafka)] for _ in range(rounds)]
        except peers.PeerMissing as reason:
            rate = median_of(rounds, lambda _: _rate("transact", server.kafka, "t", **job))
            return [Figure(PART, name, rate, "events/s")], [str(reason)]
    ours, theirs = (median(rates) for rates in zip(*pairs, strict=True))
    return [at_least(PART, name, ours, "events/s", theirs, 1, "Apache Kafka")], []


def waits(folder: Path, events: int, rounds: int) -> list[Figure]:
    """One event at a time: acknowledged, and at a waiting consumer; and the first event of a fresh group."""
    figures = []
    with sandbox_up(folder / "waits.db") as server:
        for job, name, limits in (
            ("acknowledged", "one acknowledged event", (0.3, 1.0)),
            ("end_to_end", "one event to a waiting consumer", (0.7, 2.0)),
        ):
            run_job("create", servers=server.kafka, topic=job, partitions=PARTITIONS)
            measured = [run_job(job, servers=server.kafka, topic=job, events=events)["ms"] for _ in range(rounds)]
            for share, limit in zip((0.5, 0.99), limits, strict=True):
                value = median(percentile(times, share) for times in measured)
                figures.append(at_most(PART, f"{name}, p{share * 100:g}", value, "ms", limit))
        fresh = median_of(
            rounds,
            lambda number: run_job("fresh_group", servers=server.kafka, topic="acknowledged", group=f"fresh-{number}")[
                "s"
            ],
        )
    return [*figures, at_most(PART, "subscribe to first event, fresh group", fresh, "s", 0.25)]


def others(folder: Path, events: int) -> tuple[list[Figure], list[str]]:
    """Every peer that runs here, once; and why the others do not."""
    figures, missing = [], []
    for name in peers.PEERS:
        try:
            with peers.started(name, folder / name.partition(" ")[0]) as address:
                into = _rate("produce", address, "peer", events=events, kind="varied")
                out = _rate("consume", address, "peer")
                ack = run_job("acknowledged", servers=address, topic="peer", events=200)["ms"]
        except peers.PeerMissing as reason:
            missing.append(f"{name}: {reason}")
            continue
        figures += [
            Figure("peers, one run", f"{name}: produce", into, "events/s"),
            Figure("peers, one run", f"{name}: consume", out, "events/s"),
            Figure("peers, one run", f"{name}: one acknowledged event, p50", percentile(ack, 0.5), "ms"),
        ]
    return figures, missing
