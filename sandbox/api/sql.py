"""SQL over a sandbox, from Python: read-only, beside whatever else goes on.

result = sandbox.sql("SELECT key, count(*) AS events FROM orders GROUP BY key LIMIT :top", {"top": 5})
for key, events in result.rows:
    print(key, events)
"""

from collections.abc import Iterable

from sandbox.model.sql_result import ROWS_MAX, TIME_LIMIT_S, Bounds, SqlResult, SqlTable
from sandbox.runtime.runtime import Runtime
from sandbox.storage.sql import sql as storage
from sandbox.storage.sql.sql import Parameters


class SqlControl:
    """What can be asked of the file of a sandbox.

    Args:
        runtime: its owner.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def sql(
        self, query: str, values: Parameters = (), *, limit_s: float = TIME_LIMIT_S, rows: int = ROWS_MAX
    ) -> SqlResult:
        """Run one query over what is committed now.

        Args:
            query: one SELECT of SQLite's, over the tables and views of the file, and a view for each topic, which has
                the topic's name and the fields of its JSON values as columns.
            values: of the parameters in it: a mapping for `:name`, a sequence for `?`.
            limit_s: seconds after which it is stopped, 30 at most.
            rows: at most so many, 100,000 at most; `SqlResult.more` says where there were more.

        Raises:
            SqlRefused: it would change something, is wrong, or took too long; `.position` says where it is wrong.
        """
        return self.run(query, values, Bounds(limit_s, rows))

    def run(self, query: str, values: Parameters, bounds: Bounds) -> SqlResult:
        """The same, within other bounds: the page shows the beginning of long values."""
        self._runtime.check_open()
        with self._runtime.database.working():
            return storage.run_query(self._runtime.database.path, query, values, bounds)

    def tables(self, detailed: Iterable[str] = (), topics_max: int = 200) -> list[SqlTable]:
        """What can be asked for.

        Args:
            detailed: topics whose JSON fields are looked up; the first dozen where empty.
            topics_max: at most so many topics.
        """
        self._runtime.check_open()
        with self._runtime.database.working():
            return storage.list_tables(self._runtime.database.path, detailed, topics_max)
