"""Appends are counted from rows, and by look-up where there are more rows than may be read."""

from sandbox.api.sandbox import Sandbox
from sandbox.storage.log import log_samples
from tests.clock import START_MS, Clock


def test_more_batches_than_may_be_read_are_counted_all_the_same(box: Sandbox, clock: Clock) -> None:
    box.create_topic("orders", partitions=1)
    wanted = [0] * 10
    for n in range(300):
        step = n * n * 10 // 90_000
        clock.now_ms = START_MS + step * 1000 + n % 100
        box.append("orders", "x")
        wanted[step] += 1
    with box._database.reader() as reader:
        look = log_samples._EndsOfLogs(reader, 0, {})
        place = reader.query("SELECT p.id FROM partitions p")[0][0]
        for limit in (1000, 40, 3):
            counts = [0] * 10
            log_samples._count_partition(look, place, 0, 300, START_MS, 1000, counts, limit)
            assert counts == wanted
        counts = [0] * 5
        log_samples._count_partition(look, place, 0, 300, START_MS + 5000, 1000, counts, 3)
        assert counts == wanted[5:]


def test_the_newest_keys_of_a_log_come_with_where_they_lie(box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    box.append("orders", "x", key="k")
    with box._database.reader() as reader:
        logs = log_samples.dirty_logs(reader, "orders")
        assert logs[0][2:] == (0, 1)
        assert log_samples.newest_keys(reader, logs, 10) == [(0, 0, b"k")]
        assert log_samples.newest_keys(reader, [], 10) == []
