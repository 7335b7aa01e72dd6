"""Serves the pages of a cluster in a separate thread, because there is no sandbox to serve them."""

import asyncio
import threading

from sandbox.model.proxy import NO_PROXY, Proxy
from sandbox.web.backend import Backend
from sandbox.web.server import WebServer


class PageServer:
    """Serves the pages of a backend.

    Args:
        backend: the cluster that the pages show.
        host: the address to listen at.
        port: 0 picks a free one.
        token: the token that every request must have, None for none.
        proxy: the proxy between browsers and the page.
    """

    def __init__(
        self, backend: Backend, host: str, port: int, token: str | None = None, proxy: Proxy = NO_PROXY
    ) -> None:
        self._host = host
        self._loop = asyncio.new_event_loop()
        self._server = WebServer(backend, host, port, token, proxy)
        self._thread = threading.Thread(target=self._loop.run_forever, name="pages", daemon=True)

    def start(self) -> str:
        """Start listening and return the page's URL. Raises OSError if the port can't be opened."""
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
