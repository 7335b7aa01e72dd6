"""A query that asks for too much, of time or of memory, is refused or stopped, and the sandbox continues."""

import resource
import time

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.web.app import create_app

LIMIT_S = 0.5
STOPPED_WITHIN_S = 8
MEMORY_MAX_KB = 400_000

ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)"


@pytest.mark.parametrize(
    "query",
    [
        f"{ENDLESS} SELECT max(n) FROM c",
        f"{ENDLESS} SELECT n FROM c",
        f"{ENDLESS} SELECT group_concat(hex(randomblob(100000))) FROM c",
        f"{ENDLESS} SELECT DISTINCT hex(randomblob(10000)) FROM c ORDER BY 1",
        f"{ENDLESS} SELECT json_group_array(n) FROM c",
        f"{ENDLESS} SELECT count(*) FROM c WHERE hex(zeroblob(20000)) LIKE '%a%b%c%d%e%f%'",
        f"{ENDLESS} SELECT count(*) FROM c WHERE hex(zeroblob(20000)) GLOB '*a*b*c*d*e*f*'",
        "SELECT zeroblob(1000000000)",
        "SELECT length(zeroblob(1000000000))",
        "SELECT randomblob(1000000000)",
        "SELECT printf('%.*c', 1000000000, 'x')",
        "SELECT replace(hex(zeroblob(30000000)), '00', 'xxxxxxxxxxxxxxxx')",
        "SELECT " + "(" * 5000 + "1" + ")" * 5000,
        "SELECT 1" + " UNION ALL SELECT 1" * 5000,
        "SELECT " + ",".join(["1"] * 5000),
        "SELECT count(*) FROM " + ", ".join(f"sqlite_master s{n}" for n in range(12)),
    ],
    ids=range(16),
)
def test_a_bomb_goes_off_nowhere(box: Sandbox, query: str) -> None:
    page = create_app(box).test_client()
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun_s = time.monotonic()
    answer = page.get("/sql.json", query_string={"q": query, "limit_s": LIMIT_S})
    took_s = time.monotonic() - begun_s
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    print(f"{answer.status_code} after {took_s:.2f} s, {grown_kb} KB: {answer.text[:120]!r}")
    assert answer.status_code in (200, 400)
    assert took_s < STOPPED_WITHIN_S
    assert grown_kb < MEMORY_MAX_KB
    assert len(answer.data) < 20_000_000
    box.append("t", "still here")


@pytest.mark.parametrize(
    "query",
    [
        "ATTACH DATABASE ':memory:' AS x",
        "ATTACH '/tmp/x.db' AS x",
        "DETACH main",
        "VACUUM INTO '/tmp/x.db'",
        "PRAGMA writable_schema=1",
        "PRAGMA journal_mode=DELETE",
        "PRAGMA query_only=OFF",
        "CREATE TEMP TABLE x (a)",
        "CREATE TEMP VIEW x AS SELECT 1",
        "CREATE TEMP TRIGGER x AFTER INSERT ON events BEGIN SELECT 1; END",
        "CREATE VIRTUAL TABLE temp.x USING fts5(a)",
        "INSERT INTO t VALUES (1)",
        "INSERT INTO messages (value) VALUES ('x')",
        "WITH c AS (SELECT 1) UPDATE events SET value = 'x'",
        "REPLACE INTO topics SELECT * FROM topics",
        "SELECT load_extension('x')",
        "SELECT readfile('/etc/passwd')",
        "SELECT edit('x')",
        "BEGIN",
        "SAVEPOINT x",
        "SELECT 1; DROP TABLE events",
        "REINDEX",
        "ANALYZE",
        "DROP VIEW messages",
        "ALTER TABLE topics RENAME TO x",
    ],
)
def test_what_is_no_question_is_refused(box: Sandbox, query: str) -> None:
    box.append("t", "kept")
    answer = create_app(box).test_client().get("/sql.json", query_string={"q": query})
    assert answer.status_code == 400
    assert [event.value for event in box.read("t")] == [b"kept"]
