"""confluent_kafka's consumers of share groups (KIP-932), whose `bootstrap.servers` may also be a sandbox file."""

from typing import Any

import confluent_kafka

from sandbox.client.client import Released, connected, hold, let_go, open_consumers
from sandbox.model.process import is_inherited


class ShareConsumer(confluent_kafka.ShareConsumer):
    """confluent_kafka's ShareConsumer; `bootstrap.servers` may be a sandbox file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        args, kwargs, self._attachment = connected(args, kwargs)
        with Released(self._attachment):
            super().__init__(*args, **kwargs)
        hold(self, self._attachment, open_consumers)

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the consumer like confluent_kafka's, then release the sandbox file."""
        try:
            return super().close(*args, **kwargs)
        finally:
            let_go(self._attachment)

    def __exit__(self, *exception: Any) -> Any:
        if is_inherited(self):
            return None
        try:
            return super().__exit__(*exception)
        finally:
            let_go(self._attachment)


class DeserializingShareConsumer(confluent_kafka.DeserializingShareConsumer):
    """confluent_kafka's DeserializingShareConsumer; `bootstrap.servers` may be a sandbox file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        args, kwargs, self._attachment = connected(args, kwargs)
        with Released(self._attachment):
            super().__init__(*args, **kwargs)
        hold(self, self._attachment, open_consumers)

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the consumer like confluent_kafka's, then release the sandbox file."""
        try:
            return super().close(*args, **kwargs)
        finally:
            let_go(self._attachment)
