"""Runs one owned file: the lock, the broker, the loop that serves the ports, and the clock.

Without ports, calls run inline, one at a time. With ports, one thread runs an asyncio loop. It serves all connections
and does all writes; calls from other threads are passed to it.
"""

import asyncio
import logging
import os
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextvars import Context
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sandbox.broker.broker import Broker
from sandbox.broker.faults import FaultInjector
from sandbox.broker.groups.consumer_group import TopicLookup
from sandbox.broker.groups.coordinator import GroupCoordinator
from sandbox.broker.logs.retention import JUMP_MS
from sandbox.broker.shares.dead_letters import DeadLetters
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.kafka.errors import BrokerError, FileRefused, SandboxError
from sandbox.model.cancellation import Cancelled
from sandbox.model.file_path import file_path
from sandbox.model.process import bind_to_process
from sandbox.model.proxy import NO_PROXY
from sandbox.model.registry import CONFLICT_CODES
from sandbox.runtime import clock
from sandbox.runtime.clock import REPORTED_MS, Jump, WatchedClock, running_s
from sandbox.runtime.clock import system_clock as system_clock
from sandbox.runtime.disk_watch import StorageWatch
from sandbox.runtime.event_loop import Arrivals, end_tasks, new_event_loop, result_of
from sandbox.runtime.open_files import connections_max
from sandbox.runtime.ports import PLAINTEXT, open_page, open_ports, open_registry, spelled
from sandbox.runtime.ports import PortInUse as PortInUse
from sandbox.runtime.registry_port import RegistryPort
from sandbox.storage import activity
from sandbox.storage.file import location
from sandbox.storage.file.database import Database, StorageFailed, check_file, check_path
from sandbox.storage.file.lock import OwnerLock
from sandbox.storage.groups.groups import GroupStore
from sandbox.wire.group_bytes import MEMBER_BYTES, assigned_partitions, subscribed_topics

if TYPE_CHECKING:
    from sandbox.web.backend import Backend
    from sandbox.web.server import WebServer
    from sandbox.wire.auth.listener import Advertised, Listener
    from sandbox.wire.cluster_ports import ClusterPorts


def start_coordinator(broker: Broker, config: BrokerConfig, clock: Callable[[], int]) -> GroupCoordinator:
    """Load the groups of a file.

    Args:
        broker: the owner of the file and its topics.
        config: the broker's settings.
        clock: returns the current time in ms.
    """
    coordinator = GroupCoordinator(
        GroupStore(broker.database),
        config,
        decode_assignment=assigned_partitions,
        decode_subscription=subscribed_topics,
        member_bytes=MEMBER_BYTES,
        topics=TopicLookup(broker.topics, broker.topics_by_id),
        aged=broker.age_hold.time_ms,
        on_change=broker.group_changed,
    )
    coordinator.shares.on_archived = DeadLetters(broker, clock).write
    coordinator.load(clock())
    broker.commit()
    broker.on_undo(coordinator.reload)
    broker.on_reload(coordinator.load)
    return coordinator


T = TypeVar("T")
STOP_SECONDS = 10.0
LATE_S = 2.0
"""A timer is later than this if the process was stopped, or the machine slept and its monotonic clock continued."""
TROUBLED_TICK_MS = 1000
"""How often due work is tried while it fails, such as while the file can't be written."""
REFUSALS = (SandboxError, TypeError, ValueError)
"""Errors that are raised before anything is written. Any other error may have left unfinished changes."""
CLOSED = "This sandbox is closed."
READ_ONLY = "This sandbox was opened read-only, and changes nothing. Open it without that (--read-only) to change it."

logger = logging.getLogger("sandbox")


class Runtime:
    """The owner of one file.

    Args:
        path: the file.
        settings: broker settings that differ from Kafka's defaults.
        clock: returns the current time in ms.
        brokers: number of simulated brokers, 1 to 9.
        read_only: True changes nothing once the file is open. Retention and timeouts are off too.

    Attributes:
        web_token: the token that the page requires, None for none; `serve` publishes it beside the file.
        web_proxy: the proxy between browsers and the page.
        registry_conflict_code: the schema registry's error code for an incompatible schema.

    Raises:
        FileInUse, FileRefused: see `sandbox.kafka.errors`.
        BrokerError: INVALID_CONFIG for a setting.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        settings: Mapping[str, str],
        clock: Callable[[], int] = system_clock,
        brokers: int = 1,
        read_only: bool = False,
    ) -> None:
        self.clock = clock
        # The attribute is read at each call, because tests replace the clock of a running sandbox.
        self._now = WatchedClock(lambda: self.clock(), self._clock_jumped, running_s if clock is system_clock else None)
        self.read_only = read_only
        self.web_token: str | None = None
        self.web_proxy = NO_PROXY
        self.brokers = brokers
        self._host = ""
        self.faults = FaultInjector(random.random)
        self.started_ms = clock()
        self.kafka_address: str | None = None
        self.listener_addresses: dict[str, str] = {}
        self.secured_by: Listener | None = None
        self.web_address: str | None = None
        self.registry_address: str | None = None
        self.registry_conflict_code = CONFLICT_CODES[0]
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrivals: Arrivals | None = None
        self._inline = threading.RLock()
        self._commit_due = False
        self._tick_timer: asyncio.TimerHandle | None = None
        self._tick_due_ms = 0
        self._look_timer: asyncio.TimerHandle | None = None
        self.kafka: ClusterPorts | None = None
        self._web: WebServer | None = None
        self._registry: RegistryPort | None = None
        self.closed = False
        config = BrokerConfig(dict(settings))
        path = file_path(path)
        real = Path(os.path.realpath(path))
        check_path(real)
        if read_only and not os.path.exists(path):
            raise FileRefused(f"{os.fspath(path)} does not exist, and what is read-only makes no file.")
        bind_to_process(self)
        # Before the file is opened: closing it again would release the locks of another owner in this process.
        self.lock = OwnerLock(path)
        try:
            check_file(real)
            location.refuse_log_of_another_name(real)
            self.database = Database(path, self.lock.guard)
            try:
                self._start(config)
            except BaseException:
                self.database.close()
                raise
        except FileRefused:
            self.lock.release(refused=True)
            raise
        except BaseException:
            self.lock.release()
            raise

    def _start(self, config: BrokerConfig) -> None:
        try:
            self.broker = Broker(self.database, config, self.started_ms, self.brokers)
            self.watch = StorageWatch(self.broker, self._look_soon)
            self.broker.record = lambda happenings: activity.record(self.database, happenings, self.clock())
            self.coordinator = start_coordinator(self.broker, config, lambda: self.clock())
            self.broker.on_reload(self._content_replaced)
            if self.read_only:
                self.database.forbid_writes()
        except StorageFailed as error:
            self.database.rollback()
            raise FileRefused(f"{self.database.path} cannot be used. {error.words} ({error})") from error
        for doubt in (
            location.network_drive_warning(self.database.path),
            location.other_names_warning(self.database.path),
        ):
            if doubt is not None:
                logger.warning(doubt)

    def _content_replaced(self, now_ms: int) -> None:
        """Disconnect clients that connected before a replaced content could be read: they know the old one."""
        if self.kafka is not None:
            self.kafka.disconnect()

    # Calls from any thread

    def call(self, function: Callable[[int], T], *, changes: bool = True) -> T:
        """Run a function of the time as part of a turn, and return its result once that is durable.

        Args:
            changes: False if the function only reads, which is also allowed in a read-only sandbox.

        Raises:
            BrokerError: CLUSTER_AUTHORIZATION_FAILED if the sandbox is read-only, KAFKA_STORAGE_ERROR if the file could
                not be written, or what the function raises.
        """
        with self._inline:
            self.check_open()
            if changes:
                self.check_writable()
            loop = self._loop
            if loop is None:
                return self._call_inline(function)
        if threading.current_thread() is self._thread:
            raise RuntimeError("this would wait for itself: the loop thread must not wait for a write")
        future: Future[T] = Future()
        try:
            # In a new context. Otherwise later work on the loop would keep the caller's, such as a page request's.
            loop.call_soon_threadsafe(self._call_on_loop, function, future, context=Context())
        except RuntimeError:
            raise Cancelled(CLOSED) from None
        return result_of(future, loop)

    def check_open(self) -> None:
        """Raise SandboxError after `close`."""
        if self.closed:
            raise Cancelled(CLOSED)

    def check_place(self) -> None:
        """Refuse to open another connection if the file or its log was replaced.

        Raises:
            SandboxError: the sandbox is closed.
            BrokerError: KAFKA_STORAGE_ERROR, with what was lost and what to do.
        """
        self.check_open()
        try:
            self.database.check_place()
        except StorageFailed as error:
            raise BrokerError("KAFKA_STORAGE_ERROR", error.words) from error

    def check_writable(self) -> None:
        """Raise BrokerError CLUSTER_AUTHORIZATION_FAILED if the file was opened read-only."""
        if self.read_only:
            raise BrokerError("CLUSTER_AUTHORIZATION_FAILED", READ_ONLY)

    def _call_inline(self, function: Callable[[int], T]) -> T:
        try:
            result = function(self._now())
        except StorageFailed as error:
            raise self.broker.undo(error) from error
        except REFUSALS:
            # What the function had completed before the refusal, such as creating a topic, is consistent and stays.
            self.broker.commit()
            raise
        except BaseException as error:
            self.broker.undo(error)
            raise
        failed = self.broker.commit()
        if failed is not None:
            raise failed
        self._do_due()
        self.broker.commit()
        self.watch.after_call()
        return result

    def _call_on_loop(self, function: Callable[[int], Any], future: "Future[Any]") -> None:
        try:
            result = function(self._now())
        except StorageFailed as error:
            future.set_exception(self.broker.undo(error))
            return
        except BaseException as error:
            if not isinstance(error, REFUSALS):
                self.broker.undo(error)
            future.set_exception(error)
            self.after()
            return

        def finish(failed: BrokerError | None) -> None:
            if failed is None:
                future.set_result(result)
            else:
                future.set_exception(failed)

        if self.broker.uncommitted:
            self.broker.turn.wait(finish)
        else:
            finish(None)
        self.after()

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop that serves the ports. Raises SandboxError if none are open."""
        self.check_open()
        if self._loop is None:
            raise SandboxError("No ports are open: call serve() first.")
        return self._loop

    def addresses(self) -> dict[int, str]:
        """Return broker id to "host:port", for brokers whose port is open."""
        ports = dict(self.kafka.ports) if self.kafka is not None else {}
        return {broker: f"{spelled(self._host)}:{port}" for broker, port in ports.items()}

    # On the loop

    def after(self) -> None:
        """Commit at the end of this turn of the loop what was written, and schedule the next tick."""
        if self._loop is not None and not self._commit_due:
            self._commit_due = True
            self._loop.call_soon(self._end_turn)

    def _handled(self) -> None:
        """Call `after` for one connection's requests. If no other socket is ready, end the turn without waiting."""
        if self._arrivals is None or self._arrivals.count != 1 or self._commit_due:
            self.after()
        else:
            self._end_turn()

    def _end_turn(self) -> None:
        self._commit_due = False
        if self.broker.uncommitted:
            self.broker.commit()
        self._schedule_tick()

    def _schedule_tick(self) -> None:
        """Set the timer for the next deadline. A timer that is early enough stays: most turns move no deadline."""
        if self.read_only:
            return
        due_ms = self.broker.next_deadline_ms()
        groups_due_ms = self.coordinator.next_deadline_ms()
        if groups_due_ms is not None and groups_due_ms < due_ms:
            due_ms = groups_due_ms
        now_ms = self._now()
        if self.watch.failures:
            due_ms = max(due_ms, now_ms + TROUBLED_TICK_MS)
        if self._tick_timer is not None:
            # An overdue timer stays too, because it measures for how long the process didn't run.
            if self._tick_due_ms <= max(due_ms, now_ms):
                return
            self._tick_timer.cancel()
            self._tick_timer = None
        if self._loop is not None and not self.closed:
            self._tick_due_ms = due_ms
            self._tick_timer = self._loop.call_later(max(0, due_ms - now_ms) / 1000, self._tick)

    def _tick(self) -> None:
        timer, self._tick_timer = self._tick_timer, None
        if self._loop is None:
            return
        try:
            late_s = 0 if timer is None else self._loop.time() - timer.when()
            if late_s > LATE_S:
                self._clock_jumped(Jump(int(1000 * late_s), 0), self._now())
            self._do_due()
        except Exception as error:
            # Without another tick, no timeout and no retention would end until a client's next request.
            logger.exception("Due work failed, and is tried again.")
            self.broker.undo(error)
            self._loop.call_later(TROUBLED_TICK_MS / 1000, self.after)
        else:
            self.after()

    def _clock_jumped(self, jump: Jump, now_ms: int) -> None:
        """Move every deadline by the clock's jump, or by the time during which this process could not run."""
        if self.read_only:
            return
        if abs(jump.by_ms) >= REPORTED_MS:
            logger.info(
                "The clock moved by %d ms more than this sandbox was running; by %d ms of that it was set. "
                "Timeouts are not affected.",
                *jump,
            )
        try:
            self.broker.clock_moved(jump.by_ms, jump.set_ms, now_ms)
            self.coordinator.clock_moved(jump.by_ms, now_ms)
        except StorageFailed as error:
            self.broker.undo(error)
        if abs(jump.set_ms) > JUMP_MS:
            clock.report(self.broker, jump.set_ms)
        self.restart_timer()

    def restart_timer(self) -> None:
        """Set the timer of the next tick again at the end of this turn, because the clock or the deadlines moved."""
        if self._tick_timer is not None:
            self._tick_timer.cancel()
            self._tick_timer = None
        self.after()

    def _do_due(self) -> None:
        if self.read_only:
            return
        now_ms = self._now()
        try:
            self.broker.tick(now_ms)
            self.coordinator.tick(now_ms)
        except StorageFailed as error:
            self.broker.undo(error)

    def _look_soon(self, after_s: float) -> None:
        """Schedule a check of the file. Without ports, each call checks it."""
        if self._loop is not None and not self.closed:
            if self._look_timer is not None:
                self._look_timer.cancel()
            self._look_timer = self._loop.call_later(after_s, self._look)

    def _look(self) -> None:
        self.watch.look()
        self.lock.renew()

    # Ports

    def serve(
        self,
        host: str,
        kafka_port: int | None,
        web_port: int | None,
        backend: "Backend",
        listeners: "Sequence[Listener]" = (),
        advertised: "Advertised | None" = None,
        registry_ports: Sequence[int] = (),
    ) -> None:
        """Start the loop thread and open the ports. Returns when they accept connections."""
        self.check_open()
        if self._thread is not None:
            raise SandboxError("This sandbox serves already.")
        started: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run_loop,
            args=(started, host, kafka_port, web_port, backend, listeners, advertised, registry_ports),
            name="sandbox",
            daemon=True,
        )
        self._thread.start()
        try:
            started.result()
        except BaseException:
            self._thread.join(STOP_SECONDS)
            self._thread = None
            raise
        self._publish_addresses()

    def _publish_addresses(self) -> None:
        self.lock.publish(
            kafka=self.kafka_address,
            web=self.web_address,
            registry=self.registry_address,
            listeners=self.listener_addresses,
            token=self.web_token,
        )

    def _run_loop(self, started: "Future[None]", *wanted: Any) -> None:
        loop, self._arrivals = new_event_loop()
        try:
            with self._inline:
                self._loop = loop
                loop.run_until_complete(self._open(*wanted))
            loop.call_soon(self.after)
            loop.call_soon(self.watch.look)
            started.set_result(None)
            loop.run_forever()
            loop.run_until_complete(self._shut())
        except BaseException as error:
            if started.done():
                logger.exception("the sandbox's loop failed")
            else:
                loop.run_until_complete(self._shut())
                started.set_exception(error)
        finally:
            self._loop = None
            loop.close()

    async def _open(
        self,
        host: str,
        kafka_port: int | None,
        web_port: int | None,
        backend: "Backend",
        listeners: "Sequence[Listener]",
        advertised: "Advertised | None",
        registry_ports: Sequence[int],
    ) -> None:
        if kafka_port is not None or listeners:
            from sandbox.wire.cluster_ports import ClusterPorts

            self._host = host
            self.kafka = ClusterPorts(
                self.broker,
                self.coordinator,
                self._now,
                self.after,
                self._handled,
                self.faults,
                connections_max(),
            )
            opened = await open_ports(self.kafka, self.broker, host, kafka_port, listeners, advertised)
            self.kafka_address = opened.pop(PLAINTEXT, None)
            self.listener_addresses = opened
            if self.kafka_address is None:
                self.secured_by = listeners[0]
        if web_port is not None:
            self._web, self.web_address = await open_page(backend, host, web_port, self.web_token, self.web_proxy)
        schemas = backend.schema_registry
        if registry_ports and schemas is not None:
            known = () if advertised is None else (advertised.host,)
            self._registry = port = RegistryPort(schemas, host, self.web_token, self.web_proxy, known)
            self.registry_address = await open_registry(port, host, registry_ports)

    def open_page(self, backend: "Backend", web_port: int) -> None:
        """Open the page after `serve`, beside the Kafka port. Raises SandboxError if no port is open or the page is."""

        async def open_it() -> None:
            if self._web is not None:
                raise SandboxError("The page is open already.")
            opened = await open_page(backend, self._host or "127.0.0.1", web_port, self.web_token, self.web_proxy)
            self._web, self.web_address = opened

        loop = self.loop()
        Context().run(asyncio.run_coroutine_threadsafe, open_it(), loop).result()
        self._publish_addresses()

    async def _shut(self) -> None:
        # Commit first, while the connections that wait for this commit can still be answered.
        self.broker.commit()
        if self._web is not None:
            await self._web.stop()
            self._web = None
        if self._registry is not None:
            await self._registry.close()
            self._registry = None
        if self.kafka is not None:
            await self.kafka.close()
            self.kafka = None
        for timer in (self._tick_timer, self._look_timer):
            if timer is not None:
                timer.cancel()
        self.broker.commit()
        self.kafka_address = self.web_address = self.registry_address = None
        self.listener_addresses = {}
        self.secured_by = None
        await end_tasks()

    def leave_to_parent(self) -> None:
        """After a fork, close the child's copies of the sockets, so that only the parent keeps connections and ports
        open.
        """
        if self._arrivals is not None:
            self._arrivals.leave_to_parent()

    def close(self) -> None:
        """Close the ports, commit what is pending and release the file. Idempotent.

        Returns within 3 s, unless a write takes longer. Then the file is released when the write has ended, and can't
        be opened until then.
        """
        if self.closed:
            return
        self.closed = True
        loop, thread = self._loop, self._thread
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(STOP_SECONDS)
            if thread.is_alive():
                logger.error("A write takes long. %s is released when it has ended.", self.database.path)
                threading.Thread(target=self._release_after, args=(thread,), daemon=True).start()
                return
        self._release()

    def _release_after(self, thread: threading.Thread) -> None:
        thread.join()
        self._release()

    def _release(self) -> None:
        try:
            with self._inline:
                self.broker.commit()
                self.database.close()
        finally:
            self.lock.release()
