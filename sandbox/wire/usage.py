"""Statistics of one connection's requests: small counts per API, updated with each request and answer."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class ApiCount:
    """The usage of one API.

    Attributes:
        requests: number of requests.
        answers: number of requests that were answered, or needed no answer (acks=0).
        total_s: total time from request to answer, in seconds.
        longest_s: the longest time from request to answer, in seconds.
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
        """The mean time to an answer in ms, None before the first."""
        return 1000 * self.total_s / self.answers if self.answers else None

    @property
    def max_ms(self) -> float | None:
        """The longest time to an answer in ms, None before the first."""
        return 1000 * self.longest_s if self.answers else None


@dataclass(slots=True)
class Usage:
    """The usage of one connection.

    Attributes:
        client_id: the client id of its latest request.
        software: name and version that the client sent in ApiVersions (KIP-511), or "".
        apis: API key to its count.
    """

    client_id: str | None = None
    software: str = ""
    apis: dict[int, ApiCount] = field(default_factory=dict)

    def asked(self, key: int, client_id: str | None) -> ApiCount:
        """Count a request. Returns the count in which to record its answer."""
        self.client_id = client_id
        count = self.apis.get(key)
        if count is None:
            count = self.apis[key] = ApiCount()
        count.requests += 1
        return count
