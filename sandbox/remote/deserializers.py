"""The deserializers that were chosen for the topics of a cluster: kept in memory, for as long as this program runs."""

from sandbox.model.dead_letters import letters_of
from sandbox.model.deserializers import KEY, VALUE, Deserializer


class RemoteDeserializers:
    """The chosen deserializers of a cluster's topics (`backend.deserializers`)."""

    def __init__(self) -> None:
        self._chosen: dict[str, dict[str, Deserializer]] = {}

    def of(self, topic: str) -> dict[str, Deserializer]:
        """Return what was chosen for a topic, by part."""
        return dict(self._chosen.get(topic, {}))

    def set(self, topic: str, part: str, chosen: Deserializer | None) -> None:
        """Choose a deserializer; None to decode automatically again."""
        found = self.of(topic)
        found.pop(part, None)
        self._chosen[topic] = found if chosen is None else {**found, part: chosen}

    def chosen(self, topic: str, *, is_key: bool) -> Deserializer | None:
        """Return what was chosen for a topic; a dead-letter topic without a choice has the one of its topic."""
        part = KEY if is_key else VALUE
        return self.of(topic).get(part) or self.of(letters_of(topic) or "").get(part)
