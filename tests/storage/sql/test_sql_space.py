"""A query's temporary files and memory are bounded, however it uses them."""

import os
import sys
import threading
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.model.sql_result import Bounds, SqlRefused
from sandbox.storage.sql import clock
from sandbox.storage.sql.sql import run_query

MB = 1024 * 1024
ENDLESS = (
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n), "
    "m AS MATERIALIZED (SELECT randomblob(1000) AS r FROM n) "
)
TEMPORARY = {
    "sort": "SELECT x FROM n ORDER BY randomblob(1000) DESC",
    "sort of large values": "SELECT length(r) FROM (SELECT randomblob(2000000) AS r FROM n) ORDER BY r",
    "distinct": "SELECT count(*) FROM (SELECT DISTINCT randomblob(1000) FROM n)",
    "group by": "SELECT count(*) FROM (SELECT randomblob(1000) AS g, count(*) FROM n GROUP BY 1)",
    "count distinct": "SELECT count(DISTINCT randomblob(1000)) FROM n",
    "materialized with": "SELECT count(*) FROM m AS a, m AS b",
    "window": "SELECT sum(length(y)) FROM (SELECT lag(r) OVER (ORDER BY x) AS y FROM "
    "(SELECT x, randomblob(1000) AS r FROM n))",
    "recursive union": "SELECT * FROM (WITH RECURSIVE c(x) AS (SELECT randomblob(1000) UNION SELECT randomblob(1000) "
    "FROM c) SELECT count(*) FROM c)",
    "in": "SELECT 1 WHERE 5 IN (SELECT randomblob(1000) FROM n)",
    "except": "SELECT randomblob(1000) FROM n EXCEPT SELECT 1",
    "automatic index": "SELECT count(*) FROM m AS a JOIN m AS b ON a.r = b.r",
}
BOUNDS = Bounds(limit_s=30)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("space") / "dev.db"
    with Sandbox(file):
        pass
    return file


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "TEMPORARY_MAX_BYTES", 8 * MB)
    monkeypatch.setattr(clock, "LOOK_S", 0.005)


@pytest.mark.skipif(os.name == "nt", reason="Windows does not report temporary files that are open")
@pytest.mark.parametrize("query", TEMPORARY.values(), ids=list(TEMPORARY))
def test_temporary_files_are_bounded(empty: Path, query: str) -> None:
    before = clock.used().temporary
    with pytest.raises(SqlRefused, match="needs more than 8 MB of temporary space") as refused:
        run_query(empty, ENDLESS + query, bounds=BOUNDS)
    assert not refused.value.extendable, "more time would not help"
    assert "add a WHERE" in refused.value.hint
    assert clock.used().temporary == before, "the files are gone with the query"


@pytest.mark.skipif(os.name == "nt", reason="Windows does not report temporary files that are open")
def test_all_queries_share_the_space(empty: Path) -> None:
    refused: list[str] = []

    def run() -> None:
        try:
            run_query(empty, ENDLESS + TEMPORARY["sort"], bounds=BOUNDS)
        except SqlRefused as error:
            refused.append(error.reason)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert refused == ["The query needs more than 8 MB of temporary space."] * 4


@pytest.mark.skipif(sys.platform != "linux", reason="other systems report only the most that was ever used")
@pytest.mark.parametrize(
    "query",
    [
        "SELECT length(json_group_array(hex(zeroblob(50000)))) FROM n",
        "SELECT length(json_group_object(x, hex(zeroblob(50000)))) FROM n",
    ],
)
def test_memory_is_bounded(empty: Path, monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    monkeypatch.setattr(clock, "MEMORY_MAX_BYTES", 64 * MB)
    with pytest.raises(SqlRefused, match="needs more than 64 MB of memory"):
        run_query(empty, ENDLESS + query, bounds=BOUNDS)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT " + ", ".join(f"hex(zeroblob({4_900_000 + n}))" for n in range(400)),
        "SELECT 1 IN (" + ", ".join(f"hex(zeroblob({4_900_000 + n}))" for n in range(400)) + ")",
        "SELECT " + ", ".join(f"v || '{n}'" for n in range(400)) + " FROM (SELECT hex(zeroblob(4900000)) AS v)",
        "SELECT " + ", ".join(f"group_concat(hex(zeroblob({n + 900_000})))" for n in range(400)),
    ],
)
def test_a_row_of_many_large_values_is_refused_before_it_is_made(empty: Path, query: str) -> None:
    before = clock.used().memory
    with pytest.raises(SqlRefused, match="in a query with this number of parts"):
        run_query(empty, query, bounds=BOUNDS)
    assert clock.used().memory - before < 256 * MB


def test_a_list_of_constants_does_not_make_values_smaller(empty: Path) -> None:
    listed = ", ".join(f"'{n}'" for n in range(2000))
    found = run_query(empty, f"SELECT length(hex(zeroblob(4000000))) WHERE '7' IN ({listed})", bounds=BOUNDS)
    assert found.rows == ((8_000_000,),)


def test_what_fits_is_answered(empty: Path) -> None:
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 800) "
    found = run_query(empty, numbers + "SELECT count(*) FROM (SELECT DISTINCT randomblob(1000) FROM n)", bounds=BOUNDS)
    assert found.rows == ((800,),)
