"""Named filters of Messages, kept in the file.

sandbox.filters.save("orders", "large", "where=$.amount >= 1000")
"""

from collections.abc import Callable, MutableMapping

from sandbox.kafka.errors import BrokerError
from sandbox.runtime.runtime import Runtime
from sandbox.storage.log import topics

FILTERS_MAX = 50
"""Of one topic."""
NAME_MAX, QUERY_MAX = 60, 4000


class SandboxFilters:
    """The named filters of a file, in one of its settings. All methods are thread-safe.

    Args:
        runtime: the owner of the file.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def list(self, topic: str) -> dict[str, str]:
        """Return a topic's filters: name to query string of its Messages page, by name."""
        with self._runtime.database.reader() as reader:
            return dict(sorted(topics.load_filters(reader).get(topic, {}).items()))

    def save(self, topic: str, name: str, query: str) -> None:
        """Save a filter, in place of the earlier one of that name.

        Args:
            topic: the topic.
            name: 1 to 60 characters.
            query: the query string of the topic's Messages page, at most 4,000 characters.

        Raises:
            BrokerError: INVALID_REQUEST for an empty or long name, a long query, or too many filters.
        """
        name = " ".join(name.split())
        if not name or len(name) > NAME_MAX:
            raise BrokerError("INVALID_REQUEST", f"A filter's name has 1 to {NAME_MAX} characters.")
        if len(query) > QUERY_MAX:
            raise BrokerError("INVALID_REQUEST", f"A saved filter has at most {QUERY_MAX:,} characters.")

        def save(filters: MutableMapping[str, str]) -> None:
            if name not in filters and len(filters) >= FILTERS_MAX:
                raise BrokerError("INVALID_REQUEST", f"A topic has at most {FILTERS_MAX} saved filters: delete one.")
            filters[name] = query

        self._change(topic, save)

    def delete(self, topic: str, name: str) -> None:
        """Delete a filter.

        Raises:
            BrokerError: RESOURCE_NOT_FOUND.
        """

        def delete(filters: MutableMapping[str, str]) -> None:
            if filters.pop(name, None) is None:
                raise BrokerError("RESOURCE_NOT_FOUND", f"There is no saved filter {name!r}.")

        self._change(topic, delete)

    def _change(self, topic: str, change: Callable[[MutableMapping[str, str]], None]) -> None:
        """Change the filters of a topic in the thread that writes, so that no other change is lost."""
        database = self._runtime.database

        def run(now_ms: int) -> None:
            filters = topics.load_filters(database).get(topic, {})
            change(filters)
            topics.save_filters(database, topic, filters)

        self._runtime.call(run)
