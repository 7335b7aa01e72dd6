"""Named filters of Messages, kept in the file.

sandbox.filters.save("orders", "large", "where=$.amount >= 1000")
"""

import json
import threading

from sandbox.kafka.errors import BrokerError
from sandbox.runtime.runtime import Runtime
from sandbox.storage.log import topics

SETTING = "message.filters"
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
        self._lock = threading.Lock()

    def _load(self) -> dict[str, dict[str, str]]:
        with self._runtime.database.reader() as reader:
            text = topics.load_setting(reader, SETTING)
        try:
            found = json.loads(text or "{}")
        except (ValueError, RecursionError):
            found = {}
        # Another program may have written it.
        return {
            topic: {name: query for name, query in filters.items() if isinstance(query, str)}
            for topic, filters in (found.items() if isinstance(found, dict) else ())
            if isinstance(filters, dict)
        }

    def list(self, topic: str) -> dict[str, str]:
        """Return a topic's filters: name to query string of its Messages page, by name."""
        return dict(sorted(self._load().get(topic, {}).items()))

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
        with self._lock:
            found = self._load()
            of_topic = found.setdefault(topic, {})
            if name not in of_topic and len(of_topic) >= FILTERS_MAX:
                raise BrokerError("INVALID_REQUEST", f"A topic has at most {FILTERS_MAX} saved filters: delete one.")
            of_topic[name] = query
            self._store(found)

    def delete(self, topic: str, name: str) -> None:
        """Delete a filter.

        Raises:
            BrokerError: RESOURCE_NOT_FOUND.
        """
        with self._lock:
            found = self._load()
            if name not in found.get(topic, {}):
                raise BrokerError("RESOURCE_NOT_FOUND", f"There is no saved filter {name!r}.")
            del found[topic][name]
            self._store({one: filters for one, filters in found.items() if filters})

    def _store(self, found: dict[str, dict[str, str]]) -> None:
        text = json.dumps(found, ensure_ascii=False)
        database = self._runtime.database
        self._runtime.call(lambda now_ms: topics.save_file_setting(database, SETTING, text))
