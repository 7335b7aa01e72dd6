"""The pages of a cluster on a port of their own, in a thread of their own: there is no sandbox to serve them."""

import asyncio
import threading

from sandbox.model.proxy import NO_PROXY, Proxy
from sandbox.web.backend.backend import Backend
from sandbox.web.server import WebServer


class PageServer:
    """Serves the pages of a backend.

    Args:
        backend: what the pages show.
        host: address to listen on.
        port: 0 picks a free one.
        token: what every request must bring, None for nothing.
        proxy: what stands between browsers and the page.
    """

    def __init__(
        self, backend: Backend, host: str, port: int, token: str | None = None, proxy: Proxy = NO_PROXY
    ) -> None:
        self._host = host
        self._loop = asyncio.new_event_loop()
        self._server = WebServer(backend, host, port, token, proxy)
        self._thread = threading.Thread(target=self._loop.run_forever, name="pages", daemon=True)

    def start(self) -> str:
        """Listen; the address of the page. OSError where the port cannot be had."""
        self._thread.start()
        try:
            port = asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result()
        except OSError:
            self._end()
            raise
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{port}"

    def stop(self) -> None:
        """Close the port."""
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result()
        self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
