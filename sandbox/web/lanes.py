"""Runs the pages (WSGI) in worker threads, with limits on everything that clients can make wait.

A request's body is read on the event loop before the request gets a thread, so that a slow client occupies none. There
are three lanes, each with its own threads and its own bounded queue: costly requests (SQL, searches, snapshots), quick
requests, and uploads, which are read while they arrive. If a lane's queue is full, the request is answered 503 with
Retry-After.

If its client disconnects, a waiting request leaves the queue, and a running request that only reads is cancelled, which
interrupts its statement in SQLite. A change runs to its end.
"""

import asyncio
import json
import queue
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar, cast

from a2wsgi import WSGIMiddleware

from sandbox.model import cancellation
from sandbox.model.cancellation import Cancellation, Cancelled
from sandbox.web import guard
from sandbox.web.connections import ABORT
from sandbox.web.serving import Message, Receive, Scope, Send

COSTLY = re.compile(
    r"/sql($|[./])|/search($|\.)|/snapshots/|/snapshots(\.json)?$"
    r"|/topics/~selected|/topics/[^/]+/messages(\.csv$|\.jsonl$|/)|/topics/[^/]+/produce/many|/schemas?($|[./])"
)
"""Paths of pages that may take seconds."""
SEARCHED = re.compile(r"/topics/[^/]+/messages(\.json)?$")
"""Paths of pages that may take seconds if they have a query string."""


def is_costly(path: str, query: bytes | str) -> bool:
    """Return True if a page may take seconds.

    Args:
        path: the path without the query string.
        query: the query string.
    """
    return bool(COSTLY.match(path) or (query and SEARCHED.match(path)))


BODY_MAX_BYTES = 32 * 1024 * 1024
"""The largest request body, except an upload's."""


P = ParamSpec("P")
T = TypeVar("T")
Job = tuple["Future[Any]", Callable[[], Any]]


class DaemonThreads(Executor):
    """Up to `count` daemon threads; a thread is started when all others are busy.

    Args:
        count: how many, 1 and up.
        name: the prefix of the threads' names.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._closed = False

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Run a function in one of the threads; RuntimeError after `shutdown`."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("these threads were shut down")
            self._jobs.put((future, lambda: function(*args, **kwargs)))
            if self._idle:
                # One idle thread is counted as busy now, before it wakes up.
                self._idle -= 1
                return future
            if self._threads == self._count:
                return future
            self._threads += 1
        threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = True) -> None:
        """Drop the waiting jobs, and end each thread after its current one, without waiting for it."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            while not self._jobs.empty():
                if (job := self._jobs.get()) is not None:
                    job[0].cancel()
            for _ in range(self._threads):
                self._jobs.put(None)

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += self._jobs.empty()
            job = self._jobs.get()
            if job is None:
                return
            future, function = job
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function())
                except BaseException as error:
                    future.set_exception(error)
            del job, future, function


UPLOADS = re.compile(r"/snapshots/upload(\.json)?$")
THREADS = {"quick": 4, "costly": 3, "upload": 2}
QUEUE_MAX = {"quick": 128, "costly": 64, "upload": 8}
"""How many requests of a lane may wait; the next one is answered 503."""
RETRY_S = 2
BODIES_MAX_BYTES = 128 * 1024 * 1024
"""The limit on the total size of request bodies in memory, until their requests are answered."""
UNREAD_MAX_BYTES = 128 * 1024 * 1024
"""The limit on the total size of answers in memory that clients haven't read. Above it, no request is served."""
BODY_WITHIN_S = 30.0
BODY_PROGRESS_BYTES = 16 * 1024
"""The bytes of a body that must arrive within each `BODY_WITHIN_S`, unless it ends."""
END_WITHIN_S = 0.3
"""How long `close` waits for running requests to finish."""
CANCEL_WITHIN_S = 0.7
"""How long `close` then waits for the requests that it cancelled."""
JOINED_MAX_BYTES = 1024 * 1024
"""An answer of a known length up to this is passed on in one piece, so that a slow reader occupies no thread."""
Refusal = Callable[[Scope, int, str], tuple[str, str]]
GONE = "The client has gone."
CLOSING = "The sandbox is closing."
WAITING = "Too many requests are waiting."


class _Unserved(Cancelled):
    """A request that won't be served: its body doesn't arrive completely, or too many requests wait.

    Args:
        status: the answer's status, None if no client waits for it.
        reason: the answer's text.
    """

    def __init__(self, status: int | None, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Lane:
    """A pool of threads with a bounded queue.

    Args:
        name: a key of `THREADS`.
        app: the pages.
    """

    def __init__(self, name: str, app: Any) -> None:
        self._free = THREADS[name]
        self._queue_max = QUEUE_MAX[name]
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.run = WSGIMiddleware(app, workers=1)
        self.threads = DaemonThreads(THREADS[name], f"page-{name}")
        self.run.executor = cast(Any, self.threads)

    @property
    def full(self) -> bool:
        """True if no thread is free and the queue is full."""
        return self._free == 0 and len(self._waiting) >= self._queue_max

    def enter(self) -> "asyncio.Future[None]":
        """Return a place in the queue: a future that is done when a thread is free. Call `give_up` or, after the work,
        `leave`.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._free:
            self._free -= 1
            turn.set_result(None)
        else:
            self._waiting.append(turn)
        return turn

    def give_up(self, turn: "asyncio.Future[None]") -> None:
        """Leave the queue, or release the thread if it was already assigned."""
        if turn.done():
            self.leave()
        else:
            self._waiting.remove(turn)

    def leave(self) -> None:
        """Give the thread to the request that has waited longest."""
        if self._waiting:
            self._waiting.popleft().set_result(None)
        else:
            self._free += 1


def page_lane(scope: Scope) -> str:
    """Return the lane of a page's request."""
    path = scope["path"]
    if scope["method"] == "POST" and UPLOADS.match(path):
        return "upload"
    return "costly" if is_costly(path, scope["query_string"]) else "quick"


def page_refusal(scope: Scope, status: int, text: str) -> tuple[str, str]:
    """Return content type and body of a page that isn't shown."""
    if scope["path"].endswith(".json"):
        return "application/json; charset=utf-8", json.dumps({"error": "BUSY", "message": text}) + "\n"
    return "text/plain; charset=utf-8", f"{text}\n"


class Pages:
    """A WSGI application, as an ASGI application. Bound to the event loop that runs when it is created.

    Args:
        app: the application.
        unread_bytes: returns how many bytes of answers the clients haven't read yet.
        lane_of: returns the name of a request's lane.
        refusal: returns content type and body of an answer without a thread, for a status and a text.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        unread_bytes: Callable[[], int] = lambda: 0,
        lane_of: Callable[[Scope], str] = page_lane,
        refusal: Refusal = page_refusal,
    ) -> None:
        self._lane_name = lane_of
        self._refusal = refusal
        self._unread_bytes = unread_bytes
        self._body_bytes = 0
        self._running: dict[Cancellation, asyncio.Future[None]] = {}
        loop = asyncio.get_running_loop()
        self._closing: asyncio.Future[None] = loop.create_future()
        self._abandoning: asyncio.Future[None] = loop.create_future()
        pages = _wsgi(app, self._abandoning.done)
        self._lanes = {name: Lane(name, pages) for name in THREADS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._lanes["quick"].run(cast(Any, scope), cast(Any, receive), cast(Any, send))
            return
        lane = self._lanes[self._lane_name(scope)]
        if self._closing.done():
            await self._refuse(scope, send, 503, CLOSING)
        elif lane.full:
            # Its body is not read. `_run` checks again: others may have come while it was.
            await self._refuse(scope, send, 503, WAITING)
        elif self._unread_bytes() > UNREAD_MAX_BYTES:
            await self._refuse(scope, send, 503, "Too many answers have not been read by their clients.")
        else:
            try:
                await self._serve(lane, scope, _Body(receive, self._closing), send)
            except _Unserved as error:
                if error.status is not None:
                    await self._refuse(scope, send, error.status, str(error))

    async def _refuse(self, scope: Scope, send: Send, status: int, reason: str) -> None:
        """Answer without a thread, and close the connection: its body may not have been read."""
        way_out = f"Try again in {RETRY_S} seconds." if status == 503 else "Send the request again."
        kind, text = self._refusal(scope, status, f"{reason} {way_out}")
        headers = {"content-type": kind, "cache-control": "no-store", "connection": "close"}
        headers |= {"content-length": str(len(text)), **guard.HEADERS}
        if status == 503:
            headers["retry-after"] = str(RETRY_S)
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": text.encode(), "more_body": False})

    async def _serve(self, lane: Lane, scope: Scope, body: "_Body", send: Send) -> None:
        if lane is self._lanes["upload"] or _length(scope) > BODY_MAX_BYTES:
            await self._run(lane, scope, body.part, send, None)
            return
        held = 0
        parts: list[bytes] = []
        try:
            while not body.whole and held <= BODY_MAX_BYTES:
                part = (await body.part()).get("body", b"")
                held += len(part)
                self._body_bytes += len(part)
                parts.append(part)
                if self._body_bytes > BODIES_MAX_BYTES:
                    raise _Unserved(503, "Too many large requests are being read.")
            replayed = _replay(b"".join(parts))
            del parts
            await self._run(lane, scope, replayed, send, asyncio.ensure_future(body.gone()))
        finally:
            self._body_bytes -= held

    async def _run(
        self, lane: Lane, scope: Scope, receive: Receive, send: Send, gone: "asyncio.Future[None] | None"
    ) -> None:
        """Wait for a thread, and run the request in it.

        Args:
            gone: done when the client has disconnected; None if the body is still arriving, which reports that itself.
        """
        try:
            if lane.full:
                raise _Unserved(503, WAITING)
            turn = lane.enter()
            await asyncio.wait({turn, self._closing, *([gone] if gone else [])}, return_when=asyncio.FIRST_COMPLETED)
            if self._closing.done() or (gone is not None and gone.done()):
                lane.give_up(turn)
                if self._closing.done():
                    await self._refuse(scope, send, 503, CLOSING)
                return
            await self._in_thread(lane, scope, receive, send, gone)
        finally:
            if gone is not None:
                gone.cancel()

    async def _in_thread(
        self, lane: Lane, scope: Scope, receive: Receive, send: Send, gone: "asyncio.Future[None] | None"
    ) -> None:
        work, started, complete = Cancellation(GONE), False, False

        async def sent(message: Message) -> None:
            nonlocal started, complete
            started, complete = True, not message.get("more_body", message["type"] == "http.response.start")
            # An exception here would end the task that empties the thread's queue, and the thread would wait forever.
            try:
                await send(message)
            except Exception:
                work.cancel()

        def ended(running: "asyncio.Future[None]") -> None:
            del self._running[work]
            lane.leave()

        with work.covering():
            running = asyncio.ensure_future(lane.run(cast(Any, scope), cast(Any, receive), cast(Any, sent)))
        self._running[work] = running
        running.add_done_callback(ended)
        if gone is not None and scope["method"] in guard.SAFE_METHODS:
            await asyncio.wait({running, gone, self._abandoning}, return_when=asyncio.FIRST_COMPLETED)
            while not running.done() and not self._abandoning.done():
                work.cancel()
                await asyncio.wait({running}, timeout=cancellation.AGAIN_S)
        await asyncio.wait({running, self._abandoning}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            with suppress(Cancelled):
                await running
        if not started:
            await self._refuse(scope, send, 503, CLOSING)
        elif not complete:
            scope["state"][ABORT]()
            # The connection is lost in the next turn of the loop; until then uvicorn would log a defect.
            await asyncio.sleep(0)

    async def close(self, drop_unread: Callable[[], None] = lambda: None) -> None:
        """Refuse waiting requests. Wait for running ones, cancel them after `END_WITHIN_S`, and abandon those that
        still run after `CANCEL_WITHIN_S` more.

        Args:
            drop_unread: closes connections whose clients don't read. Threads may wait for them.
        """
        if self._closing.done():
            return
        self._closing.set_result(None)
        if self._running:
            await asyncio.wait(self._running.values(), timeout=END_WITHIN_S)
        drop_unread()
        loop = asyncio.get_running_loop()
        until_s = loop.time() + CANCEL_WITHIN_S
        while self._running and loop.time() < until_s:
            for work in self._running:
                work.reason = CLOSING
                work.cancel()
            await asyncio.wait(self._running.values(), timeout=cancellation.AGAIN_S)
        self._abandoning.set_result(None)
        for lane in self._lanes.values():
            lane.threads.shutdown()


class _Body:
    """A request body as it arrives.

    Args:
        receive: the ASGI function.
        closing: done when the server closes.

    Attributes:
        whole: True if the body is complete.
    """

    def __init__(self, receive: Receive, closing: "asyncio.Future[None]") -> None:
        self._receive = receive
        self._closing = closing
        self._loop = asyncio.get_running_loop()
        self._counted = 0
        self._until_s = self._loop.time() + BODY_WITHIN_S
        self.whole = False

    async def part(self) -> Message:
        """Return the next part; raise _Unserved if it doesn't arrive."""
        part: asyncio.Future[Message] = asyncio.ensure_future(self._receive())
        left_s = max(0.0, self._until_s - self._loop.time())
        ends: set[asyncio.Future[Any]] = {part, self._closing}
        await asyncio.wait(ends, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        if not part.done():
            part.cancel()
            if self._closing.done():
                raise _Unserved(503, CLOSING)
            raise _Unserved(408, "The request's body stopped arriving.")
        message = part.result()
        if message["type"] != "http.request":
            raise _Unserved(None, GONE)
        self.whole = not message.get("more_body", False)
        self._counted += len(message.get("body", b""))
        if self._counted >= BODY_PROGRESS_BYTES:
            self._counted = 0
            self._until_s = self._loop.time() + BODY_WITHIN_S
        return message

    async def gone(self) -> None:
        """Wait until the client has disconnected. Call it after the whole body was read."""
        while (await self._receive())["type"] == "http.request":
            pass


def _length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def _replay(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _wsgi(app: Callable[..., Iterable[bytes]], abandoned: Callable[[], bool]) -> Any:
    """Adapt the application for a2wsgi. It logs to standard error: standard output belongs to the program.

    Args:
        abandoned: returns True if the loop can't send answers any more.
    """

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["wsgi.errors"] = sys.stderr
        length: list[int] = []

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            if abandoned():
                raise Cancelled(CLOSING)
            length.extend(int(value) for name, value in headers if name.lower() == "content-length")
            return start_response(status, headers, *more)

        parts = app(environ, start)
        return _parts(parts, bool(length) and length[0] <= JOINED_MAX_BYTES)

    return answer


def _parts(parts: Iterable[bytes], joined: bool) -> Iterator[bytes]:
    try:
        if joined:
            yield b"".join(parts)
            return
        for part in parts:
            cancellation.check()
            yield part
    finally:
        if callable(close := getattr(parts, "close", None)):
            close()
