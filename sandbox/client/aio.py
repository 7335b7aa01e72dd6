"""confluent_kafka's asyncio clients, whose `bootstrap.servers` may also be a sandbox file.

The serializing ones are created with `await`, as confluent_kafka's are.
"""

from typing import Any

import confluent_kafka.aio

from sandbox.client.client import Released, connected, hold, let_go


class AIOProducer(confluent_kafka.aio.AIOProducer):
    """confluent_kafka's AIOProducer; `bootstrap.servers` may be a sandbox file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        args, kwargs, self._attachment = connected(args, kwargs)
        with Released(self._attachment):
            super().__init__(*args, **kwargs)
        hold(self, self._attachment, None)

    async def close(self) -> None:
        """Close the producer like confluent_kafka's, then release the sandbox file."""
        try:
            await super().close()
        finally:
            let_go(self._attachment)


class AIOConsumer(confluent_kafka.aio.AIOConsumer):
    """confluent_kafka's AIOConsumer; `bootstrap.servers` may be a sandbox file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        args, kwargs, self._attachment = connected(args, kwargs)
        with Released(self._attachment):
            super().__init__(*args, **kwargs)
        hold(self, self._attachment, None)

    async def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the consumer like confluent_kafka's, then release the sandbox file."""
        try:
            return await super().close(*args, **kwargs)
        finally:
            let_go(self._attachment)


class AsyncSerializingProducer(confluent_kafka.aio.AsyncSerializingProducer[Any, Any]):
    """confluent_kafka's AsyncSerializingProducer; `bootstrap.servers` may be a sandbox file."""

    async def __init__(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[misc]
        args, kwargs, self._attachment = connected(args, kwargs)
        with Released(self._attachment):
            await super().__init__(*args, **kwargs)
        hold(self, self._attachment, None)

    async def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the producer like confluent_kafka's, then release the sandbox file."""
        try:
            return await super().close(*args, **kwargs)
        finally:
            let_go(self._attachment)


class AsyncDeserializingConsumer(confluent_kafka.aio.AsyncDeserializingConsumer[Any, Any]):
    """confluent_kafka's AsyncDeserializingConsumer; `bootstrap.servers` may be a sandbox file."""

    async def __init__(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[misc]
        args, kwargs, self._attachment = connected(args, kwargs)
        with Released(self._attachment):
            await super().__init__(*args, **kwargs)
        hold(self, self._attachment, None)

    async def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the consumer like confluent_kafka's, then release the sandbox file."""
        try:
            return await super().close(*args, **kwargs)
        finally:
            let_go(self._attachment)
