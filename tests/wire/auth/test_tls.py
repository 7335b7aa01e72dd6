"""TLS handshakes: what is counted is released, however a handshake ends."""

import asyncio
import ssl
from typing import Any, cast

from sandbox.kafka.broker_config import BrokerConfig
from sandbox.wire.admission import Admission
from sandbox.wire.auth.tls import TlsDoor


class Transport:
    """A connection that nothing was sent over."""

    aborted = False

    def pause_reading(self) -> None:
        """It was accepted."""

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else None

    def abort(self) -> None:
        self.aborted = True


def test_a_handshake_that_is_cancelled_before_it_begins_is_counted_no_longer() -> None:
    async def begin_and_end() -> None:
        admission = Admission(BrokerConfig(), lambda: 0)
        doors: set[TlsDoor] = set()
        transport = Transport()
        door = TlsDoor(ssl.create_default_context(), lambda: cast(Any, None), doors, admission)
        door.connection_made(cast(Any, transport))
        assert (len(doors), admission.count) == (1, 1)
        door.end()
        await asyncio.sleep(0)
        assert (len(doors), admission.count, transport.aborted) == (0, 0, True)

    asyncio.run(begin_and_end())
