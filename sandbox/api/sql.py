"""Read-only SQL over a sandbox's file.

result = sandbox.sql("SELECT key, count(*) AS events FROM orders GROUP BY key LIMIT :top", {"top": 5})
for key, events in result.rows:
    print(key, events)
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sandbox.model.sql_result import ROWS_MAX, TIME_LIMIT_S, Bounds, SqlResult, SqlTable
from sandbox.runtime.runtime import Runtime
from sandbox.storage.sql import sql as storage
from sandbox.storage.sql.sql import Parameters

if TYPE_CHECKING:
    from sandbox.schemas.decoding import EventDecoder


class SandboxQueries:
    """SQL queries over a sandbox's file.

    Args:
        runtime: the owner of the file.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def sql(
        self, query: str, values: Parameters = (), *, limit_s: float = TIME_LIMIT_S, rows: int = ROWS_MAX
    ) -> SqlResult:
        """Run one query on the currently committed data.

        Args:
            query: one SELECT in SQLite's dialect, over the file's tables and views and one view per topic. The view has
                the topic's name, and as columns the fields of its values: JSON, and what can be decoded. The fields
                of keys are `key.NAME`.
            values: the query's parameters: a mapping for `:name`, a sequence for `?`.
            limit_s: time limit in seconds, up to 30.
            rows: maximum number of rows, up to 100,000; `SqlResult.more` is True if there are more.

        Raises:
            SqlRefused: the query would change something, is invalid, or took too long; `.position` is the error's
            position.
        """
        return self.run(query, values, Bounds(limit_s, rows))

    def run(self, query: str, values: Parameters, bounds: Bounds) -> SqlResult:
        """Run a query with other limits: the page shows only the beginning of long values."""
        self._runtime.check_place()
        with self._runtime.database.working():
            return storage.run_query(self._runtime.database.path, query, values, bounds, self._decoder())

    def _decoder(self) -> "EventDecoder":
        from sandbox.registry.decoding import registry_decoder

        return registry_decoder(self._runtime.database.reader)

    def tables(self, detailed: Iterable[str] = (), topics_max: int = 200) -> list[SqlTable]:
        """List the tables and views.

        Args:
            detailed: topics whose JSON fields are included; empty for the first twelve.
            topics_max: maximum number of topics.
        """
        self._runtime.check_place()
        with self._runtime.database.working():
            return storage.list_tables(self._runtime.database.path, detailed, topics_max, self._decoder())
