"""What the client of one connection asks for: a small count for each API, kept as requests come and are answered."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class ApiCount:
    """How one API was used.

    Attributes:
        requests: how many came.
        answers: how many of them were answered, or needed no answer (acks=0).
        total_s: from request to answer, over all answers.
        longest_s: the longest of them.
    """

    requests: int = 0
    answers: int = 0
    total_s: float = 0.0
    longest_s: float = 0.0

    def answered(self, elapsed_s: float) -> None:
        """Count an answer."""
        self.answers += 1
        self.total_s += elapsed_s
        if elapsed_s > self.longest_s:
            self.longest_s = elapsed_s

    @property
    def mean_ms(self) -> float | None:
        """The mean time to an answer, None before the first."""
        return 1000 * self.total_s / self.answers if self.answers else None

    @property
    def max_ms(self) -> float | None:
        """The longest time to an answer, None before the first."""
        return 1000 * self.longest_s if self.answers else None


@dataclass(slots=True)
class Usage:
    """What one connection was used for.

    Attributes:
        client_id: that of its latest request.
        software: name and version that the client gave in ApiVersions (KIP-511), or "".
        apis: key of the API to its count.
    """

    client_id: str | None = None
    software: str = ""
    apis: dict[int, ApiCount] = field(default_factory=dict)

    def asked(self, key: int, client_id: str | None) -> ApiCount:
        """Count a request; gives the count that its answer belongs to."""
        self.client_id = client_id
        count = self.apis.get(key)
        if count is None:
            count = self.apis[key] = ApiCount()
        count.requests += 1
        return count
